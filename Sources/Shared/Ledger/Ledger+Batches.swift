package import PostgresClient

/// How batches ended.
extension Ledger {
    /// What the ledger says of a batch.
    package struct BatchRecord: Sendable, Equatable {
        package var outcome: BatchOutcome
        package var rows: Int
        package var cascaded: Int
        /// Of objects.
        package var bytes: Int

        package init(outcome: BatchOutcome, rows: Int, cascaded: Int, bytes: Int = 0) {
            self.outcome = outcome
            self.rows = rows
            self.cascaded = cascaded
            self.bytes = bytes
        }
    }

    /// How a batch ended.
    package enum BatchOutcome: String, Sendable, Hashable {
        case done
        case dead
        /// Two halves have taken its place.
        case split
    }

    /// The first write of a batch's transaction: says that it is done, before anything is deleted.
    ///
    /// Writes no row when the run is over, or when this is not the server that the run was created on: the transaction must
    /// then be rolled back. Fails with a unique violation when the batch has ended already. Until its transaction is over,
    /// the run cannot be ended.
    package func claim(run: String, batch: String) -> PostgresStatement {
        PostgresStatement(
            """
            INSERT INTO \(self.table("batch")) (run, batch, outcome)
            SELECT run, $2, 'done' FROM \(self.table("run"))
            WHERE run = $1 AND finished_at IS NULL AND coalesce(server = \(Self.serverIdentity), true)
            FOR SHARE
            """,
            [run, batch]
        )
    }

    /// How a batch ended; nil while it has not.
    package func batch(_ run: String, _ batch: String, _ connection: PostgresConnection) async throws -> BatchRecord? {
        try await connection.query(
            """
            SELECT outcome, rows, cascaded, bytes FROM \(self.table("batch"))
            WHERE run = $1 AND batch = $2 AND outcome <> 'open'
            """,
            [run, batch]
        ).rows.first.map { row in
            guard let outcome = BatchOutcome(rawValue: try row.text(0)) else {
                throw LedgerError("batch \(batch) of run \(run) ended as \(row[0] ?? ""), which this Ebb does not know")
            }
            return BatchRecord(
                outcome: outcome,
                rows: row.int(1) ?? 0,
                cascaded: row.int(2) ?? 0,
                bytes: row.int(3) ?? 0
            )
        }
    }

    /// Writes that a batch ended otherwise than done, before the queue hears of it: a late predecessor's first
    /// write then conflicts and rolls back.
    ///
    /// - `limits`: whoever is at the batch just now is waited for as long as a batch waits for a lock.
    /// A batch whose rows are gone is not split, since its files are in one list: it stays open.
    ///
    /// - Returns: how it ended by the ledger now; another outcome than asked for when somebody was faster, nil for a list.
    package func end(
        _ run: String,
        _ batch: String,
        as outcome: BatchOutcome,
        limits: TransactionSettings.TimeLimits,
        _ connection: PostgresConnection
    ) async throws -> BatchRecord? {
        struct RowsAreGone: Error {}
        do {
            try await self.transaction(connection, with: TransactionSettings(for: .keys([]), limits: limits)) {
                connection in
                _ = try connection.run(
                    """
                    INSERT INTO \(self.table("batch")) AS b (run, batch, outcome) VALUES ($1, $2, $3)
                    ON CONFLICT (run, batch) DO UPDATE SET outcome = excluded.outcome, owner = NULL WHERE b.outcome = 'open'
                    """,
                    [run, batch, outcome.rawValue]
                )
                // Only now: an earlier attempt's commit, whose answer nobody got, may have come while the row was waited for.
                if outcome == .split, try self.hasFiles(run, batch, connection) { throw RowsAreGone() }
            }
        } catch is RowsAreGone { return nil }
        return try await self.batch(run, batch, connection)
    }

    /// What of a run has ended already, as a queue that has lost it needs to know.
    package struct Settled: Sendable, Equatable {
        package var done = 0
        /// Of `done`, those that a split has made.
        package var doneChildren = 0
        package var split = 0
        package var rows = 0
        package var cascaded = 0
        /// Of objects.
        package var bytes = 0

        package init() {}
    }

    /// Sums up what of a run has ended already.
    package func settled(_ run: String, _ connection: PostgresConnection) async throws -> Settled {
        let row = try await connection.query(
            """
            SELECT count(*) FILTER (WHERE outcome = 'done'), count(*) FILTER (WHERE outcome = 'done' AND batch LIKE '%.%.%'),
                   count(*) FILTER (WHERE outcome = 'split'), coalesce(sum(rows), 0), coalesce(sum(cascaded), 0),
                   coalesce(sum(bytes), 0)
            FROM \(self.table("batch")) WHERE run = $1
            """,
            [run]
        ).rows.first
        var settled = Settled()
        settled.done = row?.int(0) ?? 0
        settled.doneChildren = row?.int(1) ?? 0
        settled.split = row?.int(2) ?? 0
        settled.rows = row?.int(3) ?? 0
        settled.cascaded = row?.int(4) ?? 0
        settled.bytes = row?.int(5) ?? 0
        return settled
    }
}
