import FoundationEssentials
package import PostgresClient

/// What a target would do now: everything that is decided before the first batch is cut.
package struct Plan: Sendable {
    package let resolved: ResolvedTarget
    package let choice: StrategyChoice
    package let firstSize: BatchSizing
    let estimate: Estimate

    /// Rows expected to be deleted.
    package var estimatedRows: Int { Int(self.estimate.rows) }

    /// Batches expected, for people: later ones are sized by what the first ones took.
    package var estimatedBatches: Int {
        if self.choice.strategy == .block { return self.firstSize.batches(of: Int(self.estimate.blocks)) }
        return Int((self.estimate.rows / Double(self.firstSize.units)).rounded(.up))
    }

    /// WAL that the deletes are expected to write, in bytes: a record per row, and an image of each block touched.
    package var predictedWAL: Int {
        let scattered =
            self.choice.strategy == .block || self.choice.strategy == .idRange
            ? min(self.estimate.blocks, self.estimate.rows)
            : min(self.estimate.blocks, self.estimate.rows, self.estimate.rows / 10 + 1)
        return Int(self.estimate.rows * CostModel.walPerRow + scattered * CostModel.walPerBlock)
    }

    /// What the foreign keys cost, and what goes by cascade.
    package var references: ReferenceCosts { self.estimate.references }

    /// Makes sure that lookups of foreign keys without an index do not cost a run more than it may.
    ///
    /// - `most`: what they may cost; nil for no limit.
    /// - Throws: `PlanningError` that names the keys and the indexes to create.
    package func checkReferences(most: Duration?) throws(PlanningError) {
        let refusal = self.references.refusal(self.resolved.target, rows: self.estimate.rows, most: most)
        if let refusal { throw PlanningError(refusal) }
        try self.checkSearches(most: most)
    }

    /// The same for columns of `unreferenced` without an index: their tables are read as a whole by every batch.
    private func checkSearches(most: Duration?) throws(PlanningError) {
        let kept = self.resolved.facts.kept
        guard let most, !kept.isEmpty else { return }
        let cost = kept.reduce(0) { $0 + $1.search } * Double(self.estimatedBatches)
        guard cost > most / .microseconds(1),
            let worst = kept.compactMap(\.worst).max(by: { $0.rows < $1.rows })
        else { return }
        throw PlanningError(
            "target \(self.resolved.target.name): each of about \(self.estimatedBatches) batches would read all of "
                + "\(worst.name), about \(Int(worst.rows)) rows, since \(SQLText.quoted(worst.column)), which unreferenced names, "
                + "has no index; run CREATE INDEX CONCURRENTLY ON \(worst.name) (\(SQLText.quoted(worst.column))); first, "
                + "or set EBB_FOREIGN_KEYS_MOST (foreign_keys.most, now \(DurationText.format(most))) higher or to off"
        )
    }

    /// Reads the table's facts and decides; writes nothing.
    ///
    /// - `terms`: a run's, or those that a run would have now.
    /// - `duration`: what a batch should take.
    /// - `fixedRows`: a fixed batch size in rows.
    /// - Throws: `PlanningError`, `PostgresError`.
    package static func make(
        _ target: Target,
        terms: RunTerms,
        duration: Duration,
        fixedRows: Int?,
        _ connection: PostgresConnection
    ) async throws -> Plan {
        let facts = try await TableFacts.read(target, from: connection)
        let resolved = try ResolvedTarget(target, facts: facts)
        let estimate = try await Estimate.read(resolved, terms: terms, connection)
        let choice = try StrategyChooser(resolved: resolved, estimate: estimate).choose()
        return Plan(
            resolved: resolved,
            choice: choice,
            firstSize: BatchSizing(
                first: choice.strategy,
                estimate: estimate,
                duration: duration,
                fixedRows: fixedRows
            ),
            estimate: estimate
        )
    }
}

extension Plan {
    /// The children that are drained before the run, in its own schema; none while no row of its table is expired.
    package func drains(_ terms: RunTerms, _ connection: PostgresConnection) async throws -> [Target] {
        let children = self.resolved.target.drainFirst
        guard !children.isEmpty, try await self.hasExpiredRows(terms, connection) else { return [] }
        var found: [Target] = []
        for var child in children {
            child.schema = self.resolved.facts.schema
            if child.isOptional, try await TableFacts.schema(of: child, connection) == nil { continue }
            found.append(child)
        }
        return found
    }

    /// Whether a row is expired now; `keep_newest` is not asked.
    private func hasExpiredRows(_ terms: RunTerms, _ connection: PostgresConnection) async throws -> Bool {
        let statement = RangeStatement(self.resolved, terms: terms, namespace: "", generation: 0).anyExpired()
        return try await connection.transaction(readOnly: true) { connection in
            let settings = TransactionSettings.searching.statement()
            _ = try connection.run(settings.sql, settings.parameters)
            return try !connection.run(statement.sql, statement.parameters).rows.isEmpty
        }
    }
}

extension Estimate {
    /// Whether the expired rows are the table's first, by the statistics: at a correlation of 0.99 some hundredth of them is elsewhere.
    private static func isInOrder(_ resolved: ResolvedTarget) -> Bool {
        let rule = resolved.target.rule
        let isTimeAlone = rule.where == nil && (rule.maxAge == nil) != (rule.expiresAt == nil)
        guard isTimeAlone, resolved.facts.kept.isEmpty, resolved.chain == nil, let column = resolved.timeColumn else {
            return false
        }
        return column.correlation ?? 0 > 0.99 && column.nulls ?? 1 < 0.01
    }

    /// Asks the database's planner how many rows the rule's conditions select.
    ///
    /// The conditions are written open to statistics here, unlike in batches.
    static func read(
        _ resolved: ResolvedTarget,
        terms: RunTerms,
        _ connection: PostgresConnection
    ) async throws -> Estimate {
        let facts = resolved.facts
        let rule = RuleSQL(resolved: resolved, terms: terms)
        var sql = SQLText()
        let selected = rule.openRows(&sql)
        let explain = sql.statement("EXPLAIN (FORMAT JSON) SELECT FROM \(selected.from) WHERE \(selected.condition)")
        let settings = TransactionSettings.readingFacts.statement()
        let answer = try await connection.transaction(readOnly: true) { connection in
            // An operator's condition is read in UTC here, too.
            _ = try connection.run(settings.sql, settings.parameters)
            return try connection.run(explain.sql, explain.parameters).rows
        }
        var rows = min(facts.rows, try Explained(answer).rows)
        let groups = resolved.groupCount
        let keep = Double(terms.keep ?? 0)
        // Without an age, what stays is what is kept; with one, hardly anything that is kept has come of age.
        if resolved.age == nil, resolved.expiry == nil, let groups { rows = max(0, rows - groups * keep) }
        return Estimate(
            rows: rows,
            blocks: Double(facts.blocks),
            total: facts.rows,
            references: ReferenceCosts(resolved, rows: rows),
            groups: groups,
            keep: keep,
            isInOrder: Self.isInOrder(resolved)
        )
    }
}
