package import PostgresClient

extension Ledger {
    /// What is known of a generation's pivots.
    package struct PivotSet: Sendable, Equatable {
        /// Whether every group with at least N rows had its true pivot when they were found.
        package var isExact: Bool
        package var count: Int
    }

    /// The pivots of a generation; nil when they have not been found yet.
    package func pivotSet(_ run: String, generation: Int, _ connection: PostgresConnection) async throws -> PivotSet? {
        try await connection.query(
            "SELECT exact, pivots FROM \(self.table("pivot_set")) WHERE run = $1 AND generation = $2::integer",
            [run, String(generation)]
        ).rows.first.map { PivotSet(isExact: $0.bool(0) ?? false, count: $0.int(1) ?? 0) }
    }

    /// Finds a generation's pivots and keeps them, once: whoever comes second gets what the first found.
    package func findPivots(
        _ query: PivotQuery,
        generation: Int,
        _ connection: PostgresConnection
    ) async throws -> PivotSet {
        let run = query.terms.run
        return try await self.transaction(connection) { connection in
            // The run's row is the lock: two planners of one run find pivots one after the other.
            _ = try connection.run("SELECT 1 FROM \(self.table("run")) WHERE run = $1 FOR UPDATE", [run])
            let known = try connection.run(
                "SELECT exact, pivots FROM \(self.table("pivot_set")) WHERE run = $1 AND generation = $2::integer",
                [run, String(generation)]
            )
            if let row = known.rows.first { return PivotSet(isExact: row.bool(0) ?? false, count: row.int(1) ?? 0) }
            // Values are kept as text: the transaction's settings shape it as where batches read them.
            var sql = SQLText()
            let text = query.text(&sql)
            let owner = "\(sql.bind(run, as: "text")), \(sql.bind(generation, as: "integer"))"
            let insert = sql.statement(
                """
                INSERT INTO \(self.table("pivot")) (run, generation, ordinal, group_values, order_values, witnesses)
                SELECT \(owner), found.ordinal, found.group_values, found.order_values, found.witnesses
                FROM (\(text)) AS found
                """
            )
            let count = try connection.run(insert.sql, insert.parameters).affectedRows
            _ = try connection.run(
                "INSERT INTO \(self.table("pivot_set")) VALUES ($1, $2::integer, $3::boolean, $4::bigint)",
                [run, String(generation), query.method.isExact ? "true" : "false", String(count)]
            )
            return PivotSet(isExact: query.method.isExact, count: count)
        }
    }

    /// Carries the pivots of a generation over to the next; repeating it changes nothing.
    package func copyPivots(
        _ run: String,
        from generation: Int,
        to next: Int,
        _ connection: PostgresConnection
    ) async throws {
        try await self.transaction(connection) { connection in
            _ = try connection.run("SELECT 1 FROM \(self.table("run")) WHERE run = $1 FOR UPDATE", [run])
            let numbers = [run, String(generation), String(next)]
            _ = try connection.run(
                """
                INSERT INTO \(self.table("pivot"))
                SELECT run, $3::integer, ordinal, group_values, order_values, witnesses
                FROM \(self.table("pivot")) WHERE run = $1 AND generation = $2::integer
                ON CONFLICT DO NOTHING
                """,
                numbers
            )
            _ = try connection.run(
                """
                INSERT INTO \(self.table("pivot_set"))
                SELECT run, $3::integer, exact, pivots FROM \(self.table("pivot_set"))
                WHERE run = $1 AND generation = $2::integer
                ON CONFLICT DO NOTHING
                """,
                numbers
            )
        }
    }
}
