/// What the foreign keys around a target's table cost a run, and what goes by cascade with it; by statistics.
///
/// A table is taken to lose as many rows per deleted parent as it has per parent on average. What is protected loses none.
package struct ReferenceCosts: Sendable, Equatable {
    /// One key.
    package struct Key: Sendable, Equatable {
        package var reference: ReferenceFacts
        /// Rows of the referenced table that go, each of which is looked up once.
        package var lookups: Double
        /// All lookups, in microseconds.
        package var cost: Double
        /// What of that an index would save, in microseconds.
        package var avoidable: Double
    }

    /// A table that loses rows by cascade.
    package struct Cascade: Sendable, Equatable {
        package var oid: Int
        /// Quoted.
        package var table: String
        package var rows: Double
    }

    package var keys: [Key]
    /// In the order in which the cascade reaches them.
    package var cascades: [Cascade]
    /// Microseconds per deleted row of the target: all lookups, and deleting what goes with it.
    var perRow: Double

    /// What indexes would save the whole run.
    package var avoidable: Duration {
        .microseconds(Int64(min(self.keys.reduce(0) { $0 + $1.avoidable }, Self.longest)))
    }

    /// Microseconds; a century, so that no estimate overflows.
    private static let longest = 3.2e15

    /// Rows go on to children's children at most so many levels deep, or tables that refer to each other would never end.
    private static let levels = 16
}

extension ReferenceCosts {
    /// - `rows`: how many rows of the target are expected to go.
    init(_ resolved: ResolvedTarget, rows: Double) {
        let facts = resolved.facts
        var sizes = [facts.oid: facts.rows]
        for reference in facts.references where reference.oid != facts.oid { sizes[reference.oid] = reference.rows }
        // Rows lost for each deleted row of the target.
        var lost: [Int: Double] = [facts.oid: 1]
        var order: [Int] = []
        var level = lost
        for _ in 0..<Self.levels {
            var next: [Int: Double] = [:]
            for reference in facts.references where reference.action == .cascade && reference.oid != facts.oid {
                guard let parents = level[reference.parent] else { continue }
                // What is drained has lost its rows before they could go by cascade.
                if resolved.isDrained(reference) || resolved.guards.contains(reference) { continue }
                let referring = reference.rows * (1 - reference.nulls)
                next[reference.oid, default: 0] += parents * referring / max(sizes[reference.parent] ?? 1, 1)
                if !order.contains(reference.oid) { order.append(reference.oid) }
            }
            if next.isEmpty { break }
            for (oid, rows) in next { lost[oid, default: 0] += rows }
            level = next.filter { $0.value > 1e-9 }
        }
        func gone(_ oid: Int) -> Double { min(rows * (lost[oid] ?? 0), sizes[oid] ?? 0) }
        self.keys = facts.references.map { reference in
            let lookups = reference.parent == facts.oid ? rows : gone(reference.parent)
            let cost = CostModel.lookup(reference)
            return Key(
                reference: reference,
                lookups: lookups,
                cost: lookups * cost,
                avoidable: lookups * max(0, cost - CostModel.reference)
            )
        }
        let names = Dictionary(facts.references.map { ($0.oid, $0.name) }) { first, _ in first }
        self.cascades = order.map { Cascade(oid: $0, table: names[$0] ?? "", rows: gone($0)) }
        let lookups = facts.references.reduce(0) { $0 + (lost[$1.parent] ?? 0) * CostModel.lookup($1) }
        let deletes = order.reduce(0) { $0 + (lost[$1] ?? 0) * CostModel.row }
        self.perRow = lookups + deletes
    }
}

extension ReferenceCosts {
    /// The keys that make up nearly all of what could be saved, the dearest first.
    package var slow: [Key] {
        let sum = self.keys.reduce(0) { $0 + $1.avoidable }
        return self.keys.filter { $0.avoidable > 0 && $0.avoidable >= sum / 100 }
            .sorted { $0.avoidable > $1.avoidable }
    }

    /// Why a run of the target should not begin, in one sentence; nil when its keys cost no more than `most`.
    package func refusal(_ target: Target, rows: Double, most: Duration?) -> String? {
        guard let most, self.avoidable > most, let worst = self.slow.first else { return nil }
        let others = self.slow.count - 1
        return
            "target \(target.name): deleting about \(Int(rows)) rows would take about \(self.avoidable.rounded) longer than "
            + "it has to, because \(worst.reference.slowness)"
            + (others > 0 ? " (and so with \(others) more \(others == 1 ? "key" : "keys"))" : "")
            + "; run \(self.slow.compactMap(\.reference.createIndex).joined(separator: " ")) first, "
            + "or set EBB_FOREIGN_KEYS_MOST (foreign_keys.most, now \(DurationText.format(most))) higher or to off"
    }
}

extension ReferenceFacts {
    /// What is slow about it, in words; for keys without an index.
    package var slowness: String {
        let columns = self.columns.joined(separator: ", ")
        let search =
            switch self.lookup {
            case .index(let index): "is looked up in index \(index)"
            case .wholeIndex(let index, _): "has no index that begins with it, so that all of \(index) is read"
            case .wholeTable: "has no index, so that all of the table, about \(Int(self.rows)) rows, is read"
            }
        return "foreign key \(self.constraint) of \(self.name) (\(columns)) \(search)"
            + (self.isIndexed ? "" : " for each deleted row of \(self.parentName)")
    }
}

extension Duration {
    /// For people: whole seconds from ten seconds on, else to the millisecond.
    package var rounded: String {
        let unit: Duration = self >= .seconds(10) ? .seconds(1) : .milliseconds(1)
        return DurationText.format(unit * Int((self / unit).rounded()))
    }
}
