package import PostgresClient

extension Plan {
    /// The first batch's statement and how the database would run it.
    package struct Preview: Sendable {
        package var sql: String
        package var explain: [String]
    }

    /// Explains the first batch without running it, in a read-only transaction.
    ///
    /// Without a ledger yet, the pivots are explained as the query that will find them.
    package func preview(
        terms: RunTerms,
        ledger: Ledger,
        _ connection: PostgresConnection
    ) async throws -> Preview {
        let statements = RangeStatement(self.resolved, terms: terms, namespace: ledger.namespace, generation: 1)
        let range = try await self.firstRange(statements, connection)
        var explained = statements.delete(range)
        if try await ledger.version(connection) == 0, terms.keepsNewest {
            var sql = SQLText()
            let query = PivotQuery(self.resolved, terms: terms, namespace: ledger.namespace).text(&sql)
            explained = statements.delete(range, pivots: query)
        }
        let explain = explained
        let pins = statements.settings(for: range).statement()
        let lines = try await connection.transaction(readOnly: true) { connection in
            try connection.run(pins.sql, pins.parameters)
            return try connection.run("EXPLAIN \(explain.sql)", explain.parameters).rows.compactMap { $0[0] }
        }
        let batch = statements.batch(range, skippingLocked: false).map(\.sql)
        return Preview(sql: batch.joined(separator: ";\n\n"), explain: lines)
    }

    private func firstRange(_ statements: RangeStatement, _ connection: PostgresConnection) async throws -> BatchRange {
        // Groups are packed by their sizes, which are known once the run has pivots; the statement is the same for any.
        if self.choice.strategy == .group { return .group(from: 1, to: 2, slice: nil) }
        let planner = ChunkPlanner(statements, connection)
        let cursor = try await planner.start(self.choice.strategy, sizing: self.firstSize, pivots: 0)
        guard let cursor, let first = try await planner.next(cursor, limit: 1).batches.first else {
            return .block(from: 0, to: 0)
        }
        return first.range
    }
}
