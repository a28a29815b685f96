package import PostgresClient

/// Batches of objects: claims, the lists of keys, and what became of them.
///
/// Each method is one transaction, and none is open while a storage is asked.
extension Ledger {
    /// Who is at a batch of objects.
    package struct ObjectClaim: Sendable, Equatable {
        package var run: String
        package var batch: String
        /// Of this attempt alone.
        package var owner: String
        /// The number of the next list.
        package var nextList: Int
    }

    /// What a call has deleted.
    package struct Confirmation: Sendable, Equatable {
        package var list: Int
        package var deleted: Int
        package var bytes: Int
        /// Of the deleted, those that something refers to now.
        package var late: Int

        package init(list: Int, deleted: Int = 0, bytes: Int = 0, late: Int = 0) {
            self.list = list
            self.deleted = deleted
            self.bytes = bytes
            self.late = late
        }
    }

    /// Takes a batch of objects over from whoever was at it.
    ///
    /// - Returns: nil when it has ended, when its run is over, or when this is not the server that the run was created on.
    package func claimObjects(
        run: String,
        batch: String,
        limits: TransactionSettings.TimeLimits,
        _ connection: PostgresConnection
    ) async throws -> ObjectClaim? {
        let owner = Self.newOwner()
        return try await self.transaction(connection, with: .outsideTables(limits)) { connection in
            let claimed = try connection.run(
                """
                INSERT INTO \(self.table("batch")) AS b (run, batch, outcome, owner)
                SELECT run, $2, 'open', $3 FROM \(self.table("run"))
                WHERE run = $1 AND finished_at IS NULL AND coalesce(server = \(Self.serverIdentity), true)
                FOR SHARE
                ON CONFLICT (run, batch) DO UPDATE SET owner = excluded.owner WHERE b.outcome = 'open'
                """,
                [run, batch, owner]
            )
            guard claimed.affectedRows == 1 else { return nil }
            let list = try connection.run(
                "SELECT coalesce(max(list), 0) FROM \(self.table("object_list")) WHERE run = $1 AND batch = $2",
                [run, batch]
            ).rows.first?.int(0)
            return ObjectClaim(run: run, batch: batch, owner: owner, nextList: (list ?? 0) + 1)
        }
    }

    /// Whether a batch is still the claim's: it was not taken over, has not ended, and neither has its run.
    package func holds(_ claim: ObjectClaim, _ connection: PostgresConnection) async throws -> Bool {
        try await connection.query(
            """
            SELECT EXISTS (
              SELECT FROM \(self.table("batch")) AS b JOIN \(self.table("run")) AS r USING (run)
              WHERE b.run = $1 AND b.batch = $2 AND b.owner = $3 AND b.outcome = 'open' AND r.finished_at IS NULL)
            """,
            [claim.run, claim.batch, claim.owner]
        ).rows.first?.bool(0) == true
    }

    /// Writes what a call is about to delete.
    ///
    /// - Returns: false when the batch was taken over or has ended, or its run is over: nothing may be deleted then.
    package func write(
        _ objects: [ObjectStore.Object],
        of claim: ObjectClaim,
        limits: TransactionSettings.TimeLimits,
        _ connection: PostgresConnection
    ) async throws -> Bool {
        try await self.transaction(connection, with: .outsideTables(limits)) { connection in
            try connection.run(
                """
                INSERT INTO \(self.table("object_list")) (run, batch, list, keys, sizes)
                SELECT b.run, b.batch, $4::integer, $5::text[], $6::bigint[]
                FROM \(self.table("batch")) AS b JOIN \(self.table("run")) AS r USING (run)
                WHERE b.run = $1 AND b.batch = $2 AND b.owner = $3 AND b.outcome = 'open' AND r.finished_at IS NULL
                  AND coalesce(r.server = \(Self.serverIdentity), true)
                FOR SHARE
                """,
                [
                    claim.run, claim.batch, claim.owner, String(claim.nextList),
                    SQLText.array(objects.map(\.key)), SQLText.array(objects.map { String($0.size) }),
                ]
            ).affectedRows == 1
        }
    }

    /// Writes what a call has deleted, and adds it to the batch's count.
    ///
    /// - Returns: false when the batch was taken over: the end of the run counts what is gone.
    package func confirm(
        _ confirmation: Confirmation,
        of claim: ObjectClaim,
        limits: TransactionSettings.TimeLimits,
        _ connection: PostgresConnection
    ) async throws -> Bool {
        try await self.transaction(connection, with: .outsideTables(limits)) { connection in
            let counted = try connection.run(
                """
                UPDATE \(self.table("batch")) AS b SET rows = rows + $4::bigint, bytes = bytes + $5::bigint
                WHERE b.run = $1 AND b.batch = $2 AND b.owner = $3 AND b.outcome = 'open'
                  AND EXISTS (SELECT FROM \(self.table("run")) WHERE run = $1 AND finished_at IS NULL FOR SHARE)
                """,
                [
                    claim.run, claim.batch, claim.owner, String(confirmation.deleted), String(confirmation.bytes),
                ]
            )
            guard counted.affectedRows == 1 else { return false }
            _ = try connection.run(
                """
                UPDATE \(self.table("object_list")) SET deleted = $4::integer, late = $5::integer
                WHERE run = $1 AND batch = $2 AND list = $3::integer
                """,
                [
                    claim.run, claim.batch, String(confirmation.list), String(confirmation.deleted),
                    String(confirmation.late),
                ]
            )
            return true
        }
    }

    /// Ends a batch of objects, done.
    ///
    /// - Returns: its record; nil when it was taken over, or its run is over.
    package func complete(
        _ claim: ObjectClaim,
        microseconds: Int,
        limits: TransactionSettings.TimeLimits,
        _ connection: PostgresConnection
    ) async throws -> BatchRecord? {
        try await self.transaction(connection, with: .outsideTables(limits)) { connection in
            let row = try connection.run(
                """
                UPDATE \(self.table("batch")) AS b
                SET outcome = 'done', owner = NULL, microseconds = $4::bigint, settled_at = now()
                WHERE b.run = $1 AND b.batch = $2 AND b.owner = $3 AND b.outcome = 'open'
                  AND EXISTS (SELECT FROM \(self.table("run")) WHERE run = $1 AND finished_at IS NULL FOR SHARE)
                RETURNING rows, bytes
                """,
                [claim.run, claim.batch, claim.owner, String(microseconds)]
            ).rows.first
            return row.map { BatchRecord(outcome: .done, rows: $0.int(0) ?? 0, cascaded: 0, bytes: $0.int(1) ?? 0) }
        }
    }

    /// Opens a batch again that is split by the ledger and whose parts the queue has never heard of.
    package func reopenObjects(run: String, batch: String, _ connection: PostgresConnection) async throws {
        _ = try await connection.query(
            "UPDATE \(self.table("batch")) SET outcome = 'open' WHERE run = $1 AND batch = $2 AND outcome = 'split'",
            [run, batch]
        )
    }

    /// How many objects a run has deleted that something refers to now.
    package func lateReferences(_ run: String, _ connection: PostgresConnection) async throws -> Int {
        try await connection.query(
            "SELECT coalesce(sum(late), 0) FROM \(self.table("object_list")) WHERE run = $1",
            [run]
        ).rows.first?.int(0) ?? 0
    }

    /// How many batches of a plan generation have ended, and how many of them by being split or given up on.
    package func ended(
        _ run: String,
        generation: Int,
        _ connection: PostgresConnection
    ) async throws -> (all: Int, split: Int, dead: Int) {
        let row = try await connection.query(
            """
            SELECT count(*), count(*) FILTER (WHERE outcome = 'split'), count(*) FILTER (WHERE outcome = 'dead')
            FROM \(self.table("batch"))
            WHERE run = $1 AND split_part(batch, '.', 1) = $2 AND outcome <> 'open'
            """,
            [run, String(generation)]
        ).rows.first
        return (row?.int(0) ?? 0, row?.int(1) ?? 0, row?.int(2) ?? 0)
    }
}
