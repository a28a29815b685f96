/// How a run will cut its table, and why.
package struct StrategyChoice: Sendable, Equatable {
    package var strategy: Strategy
    /// One sentence for people.
    package var reason: String
}

/// Chooses the strategy that reads and writes least.
struct StrategyChooser: Sendable {
    let resolved: ResolvedTarget
    let estimate: Estimate

    /// - Throws: `PlanningError` when the target asks for a strategy its table cannot serve, or none fits.
    func choose() throws(PlanningError) -> StrategyChoice {
        let obstacles = Dictionary(uniqueKeysWithValues: Strategy.ofTables.map { ($0, self.obstacle(to: $0)) })
        if let wanted = self.resolved.target.strategy {
            if let obstacle = obstacles[wanted] ?? nil {
                throw PlanningError(
                    "target \(self.resolved.target.name): strategy \(wanted.rawValue) is not possible: \(obstacle)"
                )
            }
            return StrategyChoice(strategy: wanted, reason: "the target asks for it")
        }
        // An id range reads every row like a block range does, and needs an index for it: it is for tables whose rows
        // have no usable TID.
        let possible = Strategy.choices.filter {
            (obstacles[$0] ?? nil) == nil && ($0 != .idRange || obstacles[.block] != .some(nil))
        }
        guard let best = possible.min(by: { self.cost($0) < self.cost($1) }) else {
            let reasons = Strategy.choices.compactMap { strategy in
                (obstacles[strategy] ?? nil).map { "\(strategy.rawValue): \($0)" }
            }
            throw PlanningError(
                "target \(self.resolved.target.name): no strategy can cut \(self.resolved.facts.name) without reading "
                    + "all of it for every batch (\(reasons.joined(separator: "; ")))"
            )
        }
        return StrategyChoice(strategy: best, reason: self.reason(best, among: possible))
    }

    /// Why the table cannot be cut in this way; nil when it can.
    func obstacle(to strategy: Strategy) -> String? {
        switch strategy {
        case .block:
            return self.resolved.facts.isPlainHeap
                ? nil : "the table is partitioned or no heap, so block numbers name no single row"
        case .window:
            guard let column = self.resolved.timeColumn else { return "the rule has no time column" }
            return self.resolved.facts.index(leading: [column.name]) == nil
                ? "no index starts with \(column.name)" : nil
        case .key: return nil
        case .prefix: return "it is for objects"
        case .idRange:
            guard self.resolved.key.count == 1, self.resolved.key[0].isInteger else {
                return "the key is not one integer"
            }
            return self.resolved.facts.index(leading: [self.resolved.key[0].name]) == nil
                ? "no index starts with the key" : nil
        case .group:
            guard !self.resolved.group.isEmpty else { return "the rule has no keep_newest" }
            guard self.estimate.keep > 0 else { return "keep_newest keeps nothing, so that there are no pivots" }
            if let key = self.resolved.guards.first(where: { !$0.isIndexed }) {
                return "protect would search all of \(key.name) for each row, since \(key.constraint) has no index"
            }
            if let worst = self.resolved.facts.kept.lazy.compactMap(\.worst).first {
                return "unreferenced would search all of \(worst.name) for each row, since \(worst.column) has no index"
            }
            switch PivotQuery(self.resolved, terms: Self.anyTerms, namespace: "").method {
            case .skipScan, .joinedLookup: return nil
            default:
                return "no index on ("
                    + (self.resolved.group.map(\.facts.name) + self.resolved.order.map(\.name)).joined(separator: ", ")
                    + ") over NOT NULL groups"
            }
        }
    }

    private static let anyTerms = RunTerms(run: "", createdAt: "", cutoff: nil, keep: 1)

    /// Microseconds that a batch is meant to take.
    private static let batch = 250_000.0

    /// Microseconds of one backend for planning, deleting and verifying the whole run.
    private func cost(_ strategy: Strategy) -> Double {
        let batches = max(
            1,
            self.estimate.rows * self.estimate.rowCost / self.estimate.work(strategy, of: Self.batch)
        )
        let deleting = self.estimate.rows * self.estimate.rowCost + batches * self.estimate.proofs(strategy)
        switch strategy {
        case .block: return deleting + 2 * self.estimate.blocks * CostModel.block
        case .window:
            let order = self.resolved.timeColumn?.correlation ?? 0
            return deleting + self.estimate.rows * (2 * CostModel.entry + CostModel.scattered * (1 - order * order))
        case .idRange:
            return deleting + self.estimate.total * 2 * CostModel.entry + 2 * self.estimate.blocks * CostModel.block
        case .key, .prefix: return .infinity
        case .group:
            return deleting + self.estimate.rows * (2 * CostModel.entry + CostModel.scattered) + self.estimate.blocks
        }
    }

    private func reason(_ strategy: Strategy, among possible: [Strategy]) -> String {
        let share = "\(Int(self.estimate.rows)) of \(Int(self.estimate.total)) rows are expected to be expired"
        switch strategy {
        case .block:
            let others = possible.filter { $0 != .block }
            return others.isEmpty
                ? "\(share), and no index fits the rule: every block is read once"
                : "\(share): reading every block once costs less than an index walk (\(others.map(\.rawValue).joined(separator: ", ")))"
        case .window:
            let column = self.resolved.timeColumn?.name ?? ""
            return "\(share): the index on \(column) finds them without reading the rest"
        case .idRange: return "\(share), and the table has no usable block numbers: the key's index cuts it"
        case .prefix: return share
        case .key: return "\(share), each in a transaction of its own"
        case .group: return "\(share), few per block: the index by group and order finds them without reading the rest"
        }
    }
}
