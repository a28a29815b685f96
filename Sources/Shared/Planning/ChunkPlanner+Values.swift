import PostgresClient

/// Windows of a time column and ranges of an integer key.
extension ChunkPlanner {
    /// A column that ranges are cut by: its name for SQL, its type for binding, and its upper end if it has one.
    private typealias Column = (name: String, type: String, limit: String?)

    /// The column that a strategy walks over.
    private func column(_ strategy: Strategy) -> Column? {
        let rule = RuleSQL(resolved: self.statements.resolved, terms: self.statements.terms)
        if strategy == .idRange {
            let key = self.statements.resolved.key[0]
            return (SQLText.quoted(key.name), key.type, nil)
        }
        return rule.timeLimit().map { (SQLText.quoted($0.column.name), $0.type, $0.value) }
    }

    /// The least value of what a strategy walks over; nil for none.
    func firstValue(_ strategy: Strategy) async throws -> String? {
        guard let column = self.column(strategy) else { return nil }
        var sql = SQLText()
        let limit = column.limit.map { "WHERE \(column.name) < \(sql.bind($0, as: column.type))" } ?? ""
        let statement = sql.statement(
            "SELECT min(\(column.name))::\(column.type)::text FROM \(self.statements.resolved.facts.name) \(limit)"
        )
        // The text goes back into statements that read it under these settings.
        return try await self.pinned(statement).first?[0]
    }

    private func range(_ strategy: Strategy, _ from: String, _ to: String?) -> BatchRange {
        strategy == .idRange ? .idRange(from: from, to: to) : .window(from: from, to: to)
    }

    /// The next ranges of values.
    func values(_ cursor: PlanCursor, limit: Int) async throws -> PlannedChunk {
        let hops = try await self.hops(cursor, count: limit)
        var batches: [PlannedBatch] = []
        for hop in hops {
            guard hop.end != hop.start else { return try await self.tie(at: hop.start, batches, cursor) }
            let range = self.range(cursor.strategy, hop.start, hop.end)
            batches.append(PlannedBatch(range: range, units: hop.end == nil ? 0 : cursor.units))
        }
        let next = hops.last?.next
        return self.chunk(batches, cursor, next: next ?? cursor.next, isComplete: next == nil)
    }

    /// A value, the one that has `units` rows between them, nil when the end is nearer than that, and where the next hop
    /// starts, nil when it would find nothing.
    private struct Hop {
        var start: String
        var end: String?
        var next: String?
    }

    /// A search that an error has ended, with the hops before it.
    private struct CutSearch: Error {
        var hops: [Hop]
        /// Whether rows were looked up.
        var isOpen: Bool
        var cause: PostgresError
    }

    /// The next hops, each from a row that meets the operator's `where` now, if the target has one; the last may be a tie, whose
    /// end is its start.
    ///
    /// Rows of one kind often lie together in time, and reading past the others once is cheaper than a batch for every piece of
    /// them. Workers may be waiting, who could read beside each other: a search gets no longer than a batch, and without
    /// a result the ranges go out as they are. What comes into a gap later is for verification, as everywhere.
    private func hops(_ cursor: PlanCursor, count: Int) async throws -> [Hop] {
        guard self.statements.resolved.target.rule.where != nil else {
            return try await self.walk(cursor, count: count)
        }
        for mayLookUp in [true, false] {
            do {
                return try await self.search(cursor, count: count, mayLookUp: mayLookUp)
            } catch let cut as CutSearch {
                // A condition that fails on a row is for the batch that meets it to say, and no reason to stop the others.
                guard OpenLookup.mayFail(cut.cause) else { throw cut.cause }
                // There are more rows than the database thought: the first one may be near.
                if cut.isOpen, cut.hops.isEmpty { continue }
                var rest = cursor
                rest.next = cut.hops.last?.next ?? cursor.next
                return try await cut.hops + self.walk(rest, count: count - cut.hops.count)
            }
        }
        return try await self.walk(cursor, count: count)
    }

    /// Hops without a look at what the rows are.
    private func walk(_ cursor: PlanCursor, count: Int) async throws -> [Hop] {
        guard let column = self.column(cursor.strategy) else { return [] }
        var sql = SQLText()
        let start = sql.bind(cursor.next, as: column.type)
        let stop = self.stop(after: "ebb_hop.stop", cursor, column, &sql)
        let statement = sql.statement(
            """
            WITH RECURSIVE ebb_hop (position, start, stop) AS (
              SELECT 0, NULL::\(column.type), \(start)
              UNION ALL
              SELECT ebb_hop.position + 1, ebb_hop.stop, \(stop)
              FROM ebb_hop
              WHERE ebb_hop.stop IS DISTINCT FROM ebb_hop.start AND ebb_hop.stop IS NOT NULL
                AND ebb_hop.position < \(sql.bind(count)))
            SELECT start::text, stop::text FROM ebb_hop WHERE position > 0 ORDER BY position
            """
        )
        return try await self.pinned(statement).map { Hop(start: try $0.text(0), end: $0[1], next: $0[1]) }
    }

    /// Hops from one row that meets the conditions to another, each a statement, so that one that takes long costs only itself.
    ///
    /// - `mayLookUp`: whether rows may be looked up, if that is expected to be cheap.
    /// - Throws: `CutSearch` for the errors of these statements.
    private func search(_ cursor: PlanCursor, count: Int, mayLookUp: Bool) async throws -> [Hop] {
        guard let column = self.column(cursor.strategy) else { return [] }
        let settings = self.statements.settings(for: .window(from: nil, to: nil), limits: .look).statement()
        @Sendable func first(isOpen: Bool) -> PostgresStatement {
            var sql = SQLText()
            let next = sql.bind(cursor.next, as: column.type)
            return sql.statement("SELECT \(self.match(from: next, column, isOpen: isOpen, &sql))::text")
        }
        return try await self.connection.transaction(readOnly: true) { connection in
            _ = try connection.run(settings.sql, settings.parameters)
            var hops: [Hop] = []
            var isOpen = false
            do {
                isOpen = try mayLookUp && OpenLookup.isCheap(first(isOpen: true), connection)
                let statement = first(isOpen: isOpen)
                var next = try connection.run(statement.sql, statement.parameters).rows.first?[0]
                while let start = next, hops.count < count {
                    var sql = SQLText()
                    let stop = self.stop(after: sql.bind(start, as: column.type), cursor, column, &sql)
                    let hop = sql.statement(
                        """
                        SELECT ebb_ahead.stop::text, \(self.match(from: "ebb_ahead.stop", column, isOpen: isOpen, &sql))::text
                        FROM (SELECT \(stop) AS stop OFFSET 0) AS ebb_ahead
                        """
                    )
                    let row = try connection.run(hop.sql, hop.parameters).rows.first
                    hops.append(Hop(start: start, end: row?[0], next: row?[1]))
                    next = row?[0] == start ? nil : row?[1]
                }
            } catch let error as PostgresError { throw CutSearch(hops: hops, isOpen: isOpen, cause: error) }
            return hops
        }
    }

    /// The value of the row that comes `units` rows after a value.
    private func stop(after value: String, _ cursor: PlanCursor, _ column: Column, _ sql: inout SQLText) -> String {
        self.value(from: value, column, [], offset: " OFFSET \(sql.bind(cursor.units))", &sql)
    }

    /// The first value, not less than another, of a row that its own columns say is to go.
    ///
    /// - `isOpen`: whether it is found by whatever index there is, which is for few rows; see ``OpenLookup``.
    private func match(from value: String, _ column: Column, isOpen: Bool, _ sql: inout SQLText) -> String {
        if isOpen {
            return OpenLookup(self.statements).first(column.name, as: column.type, from: value, &sql)
        }
        let rule = RuleSQL(resolved: self.statements.resolved, terms: self.statements.terms)
        return self.value(from: value, column, rule.ownConditions(isAlone: true, &sql), &sql)
    }

    private func value(
        from value: String,
        _ column: Column,
        _ conditions: [String],
        offset: String = "",
        _ sql: inout SQLText
    ) -> String {
        let name = "\(RuleSQL.row).\(column.name)"
        let limit = column.limit.map { "\(name) < \(sql.bind($0, as: column.type))" }
        let all = ["\(name) >= \(value)"] + [limit].compactMap { $0 } + conditions
        return """
            (SELECT \(name)::\(column.type) FROM \(self.statements.resolved.facts.name) AS \(RuleSQL.row)
             WHERE \(all.joined(separator: " AND ")) ORDER BY \(name)\(offset) LIMIT 1)
            """
    }

    /// One value has as many rows as a batch.
    ///
    /// Up to four batches' worth go as one; more are cut by blocks, and with them the rest of the run, since a block
    /// batch deletes whatever is expired in its blocks.
    private func tie(at value: String, _ batches: [PlannedBatch], _ cursor: PlanCursor) async throws -> PlannedChunk {
        guard let column = self.column(cursor.strategy) else {
            return self.chunk(batches, cursor, next: value, isComplete: true)
        }
        var sql = SQLText()
        let start = sql.bind(value, as: column.type)
        let limit = column.limit.map { " AND \(column.name) < \(sql.bind($0, as: column.type))" } ?? ""
        let most = sql.bind(cursor.units * 4 + 1)
        let statement = sql.statement(
            """
            SELECT (SELECT count(*) FROM (SELECT FROM \(self.statements.resolved.facts.name)
                                          WHERE \(column.name) = \(start) LIMIT \(most)) AS tied),
                   (SELECT min(\(column.name))::\(column.type)::text FROM \(self.statements.resolved.facts.name)
                    WHERE \(column.name) > \(start)\(limit))
            """
        )
        let row = try await self.pinned(statement).first
        let following = row.flatMap { $0[1] }
        if (row?.int(0) ?? 0) <= cursor.units * 4 || !self.statements.resolved.facts.isPlainHeap {
            let tied = PlannedBatch(range: self.range(cursor.strategy, value, following), units: row?.int(0) ?? 0)
            return self.chunk(
                batches + [tied],
                cursor,
                next: following ?? value,
                isComplete: following == nil
            )
        }
        var blocks = cursor
        blocks.strategy = .block
        blocks.end = self.statements.resolved.facts.blocks
        let rowsPerBlock = max(self.statements.resolved.facts.rows / Double(max(blocks.end, 1)), 1)
        blocks.sizing = cursor.sizing.divided(by: rowsPerBlock)
        return self.chunk(batches, blocks, next: "0", isComplete: false)
    }
}
