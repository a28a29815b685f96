package import PostgresClient

/// What operators change about a run.
extension Ledger {
    /// Makes dead batches possible again; a run that had failed is unfinished again, without a deadline.
    ///
    /// - Throws: `LedgerError` when the target has another unfinished run; `PostgresError`.
    package func revive(_ batches: [String], of record: RunRecord, _ connection: PostgresConnection) async throws {
        do {
            try await self.transaction(connection) { connection in
                _ = try connection.run(
                    """
                    UPDATE \(self.table("run"))
                    SET finished_at = NULL, state = NULL, error = NULL, rows = NULL, cascaded = NULL, bytes = NULL,
                        deadline = NULL
                    WHERE run = $1 AND state = 'failed'
                    """,
                    [record.run]
                )
                for batch in batches {
                    // What a batch of objects has deleted stays counted.
                    _ = try connection.run(
                        """
                        UPDATE \(self.table("batch")) SET outcome = 'open'
                        WHERE run = $1 AND batch = $2 AND outcome = 'dead' AND rows > 0
                        """,
                        [record.run, batch]
                    )
                    _ = try connection.run(
                        "DELETE FROM \(self.table("batch")) WHERE run = $1 AND batch = $2 AND outcome = 'dead'",
                        [record.run, batch]
                    )
                }
            }
        } catch SQLState.uniqueViolation {
            let other = try await self.unfinished(target: record.target, schema: record.schema, connection)
            throw LedgerError(
                "run \(record.run) cannot go on while its target \(record.target) has another unfinished run"
                    + (other.map { " \($0.run)" } ?? "") + "; let that end or cancel it first"
            )
        }
    }

    /// Takes the server that this session is on for the run's own, and returns whether it was another before.
    @discardableResult
    package func adoptServer(_ run: String, _ connection: PostgresConnection) async throws -> Bool {
        try await connection.query(
            """
            UPDATE \(self.table("run")) SET server = \(Self.serverIdentity)
            WHERE run = $1 AND server <> \(Self.serverIdentity)
            """,
            [run]
        ).affectedRows > 0
    }
}
