package import PostgresClient

/// Files of rows that are gone: their lists, and what became of them.
///
/// The list is written with the rows' delete, so that either both are there or neither is. Nothing here is open while files are
/// worked on.
extension Ledger {
    /// A batch whose rows are gone and whose files are not, and who is at it.
    package struct FileClaim: Sendable, Equatable {
        package var run: String
        package var batch: String
        /// Of this attempt alone.
        var owner = Ledger.newOwner()
        /// The store's name.
        package var store: String
        /// Where it was when the rows were deleted: a list is for no other place.
        package var location: String
        package var paths: [String]
        /// In the order of the paths; nil while nobody has looked.
        package var sizes: [Int]?
        /// When it was written, in seconds since 1970 by the database's clock; nil while that is not asked for.
        package var writtenAt: Int?

        /// - `paths`: each of one row alone; a second one is the same file.
        package init(run: String, batch: String, store: String, location: String, paths: [String], sizes: [Int]?) {
            self.run = run
            self.batch = batch
            self.store = store
            self.location = location
            self.paths = paths
            self.sizes = sizes
        }
    }

    /// What became of the files of a list.
    package struct FileCount: Sendable, Equatable {
        package var deleted: Int
        /// Those that were gone before.
        package var missing: Int
        package var bytes: Int
    }

    /// Lets a transaction's commit wait until it would survive a crash, should the role or the database be less strict: files do
    /// not come back with their rows.
    package static let durably = PostgresStatement(
        """
        SELECT set_config('synchronous_commit', 'on', true) WHERE current_setting('synchronous_commit') = 'off'
        """
    )

    /// Writes a list, and leaves the batch open; part of the transaction that deletes the rows.
    package func list(_ claim: FileClaim) -> PostgresStatement {
        PostgresStatement(
            """
            WITH open AS (
              UPDATE \(self.table("batch")) SET outcome = 'open', owner = $3 WHERE run = $1 AND batch = $2)
            INSERT INTO \(self.table("file_list")) (run, batch, store, paths, sizes, location)
            VALUES ($1, $2, $4, $5::text[], $6::bigint[], $7)
            """,
            [
                claim.run, claim.batch, claim.owner, claim.store, SQLText.array(claim.paths),
                SQLText.array((claim.sizes ?? []).map { String($0) }), claim.location,
            ]
        )
    }

    /// An owner of an open batch that nobody else is.
    static func newOwner() -> String { String(UInt64.random(in: .min ... .max), radix: 36) }

    /// Takes an open list over from whoever was at it; nil when there is none.
    package func takeFiles(
        run: String,
        batch: String,
        limits: TransactionSettings.TimeLimits,
        _ connection: PostgresConnection
    ) async throws -> FileClaim? {
        let owner = Self.newOwner()
        return try await self.transaction(connection, with: .outsideTables(limits)) { connection in
            let taken = try connection.run(
                """
                UPDATE \(self.table("batch")) SET owner = $3
                WHERE run = $1 AND batch = $2 AND outcome = 'open'
                  AND EXISTS (SELECT FROM \(self.table("file_list")) WHERE run = $1 AND batch = $2 AND deleted IS NULL)
                """,
                [run, batch, owner]
            )
            guard taken.affectedRows == 1 else { return nil }
            let row = try connection.run(
                """
                SELECT store, to_json(paths), array_to_string(sizes, ' '), location, floor(extract(epoch FROM written_at))::bigint
                FROM \(self.table("file_list"))
                WHERE run = $1 AND batch = $2
                """,
                [run, batch]
            ).rows.first
            guard let row else { return nil }
            let sizes = try row.text(2).split(separator: " ").map { Int($0) ?? 0 }
            var claim = FileClaim(
                run: run,
                batch: batch,
                store: try row.text(0),
                location: try row.text(3),
                paths: try Self.strings(json: row.text(1)),
                sizes: sizes.isEmpty ? nil : sizes
            )
            claim.owner = owner
            claim.writtenAt = row.int(4)
            return claim
        }
    }

    /// Writes how large files are before any of them goes, so that whoever comes next counts the same.
    ///
    /// - Returns: when the list was written; nil when somebody else has the batch now: no file may be touched then.
    package func measure(
        _ claim: FileClaim,
        sizes: [Int],
        limits: TransactionSettings.TimeLimits,
        _ connection: PostgresConnection
    ) async throws -> Int? {
        try await self.transaction(connection, with: .outsideTables(limits)) { connection in
            try connection.run(
                """
                UPDATE \(self.table("file_list")) AS l SET sizes = $4::bigint[]
                FROM \(self.table("batch")) AS b
                WHERE l.run = $1 AND l.batch = $2 AND b.run = $1 AND b.batch = $2 AND b.owner = $3 AND b.outcome = 'open'
                RETURNING floor(extract(epoch FROM l.written_at))::bigint
                """,
                [claim.run, claim.batch, claim.owner, SQLText.array(sizes.map { String($0) })]
            ).rows.first?.int(0)
        }
    }

    /// Ends a batch whose files are gone, too.
    ///
    /// - Returns: its record; nil when somebody else has it now.
    package func confirm(
        _ count: FileCount,
        of claim: FileClaim,
        limits: TransactionSettings.TimeLimits,
        _ connection: PostgresConnection
    ) async throws -> BatchRecord? {
        try await self.transaction(connection, with: .outsideTables(limits)) { connection in
            let row = try connection.run(
                """
                UPDATE \(self.table("batch")) SET outcome = 'done', owner = NULL, bytes = $4::bigint, settled_at = now()
                WHERE run = $1 AND batch = $2 AND owner = $3 AND outcome = 'open'
                RETURNING rows, cascaded, bytes
                """,
                [claim.run, claim.batch, claim.owner, String(count.bytes)]
            ).rows.first
            guard let row else { return nil }
            _ = try connection.run(
                """
                UPDATE \(self.table("file_list")) SET deleted = $3::integer, missing = $4::integer
                WHERE run = $1 AND batch = $2
                """,
                [claim.run, claim.batch, String(count.deleted), String(count.missing)]
            )
            return BatchRecord(
                outcome: .done,
                rows: row.int(0) ?? 0,
                cascaded: row.int(1) ?? 0,
                bytes: row.int(2) ?? 0
            )
        }
    }

    /// Batches whose rows are gone and whose files are not: of a run, and of runs of the same target and schema that were ended
    /// before somebody could come to them.
    ///
    /// A batch that was given up on waits for an operator.
    package func openFiles(
        of record: RunRecord,
        _ connection: PostgresConnection
    ) async throws -> [(run: String, batch: String)] {
        try await connection.query(
            """
            SELECT l.run, l.batch FROM \(self.table("file_list")) AS l
            JOIN \(self.table("run")) AS r USING (run) JOIN \(self.table("batch")) AS b USING (run, batch)
            WHERE l.deleted IS NULL AND b.outcome = 'open'
              AND (l.run = $1 OR r.target = $2 AND r.schema_name = $3 AND r.finished_at IS NOT NULL
                   AND coalesce(r.server = \(Self.serverIdentity), true))
            ORDER BY l.run <> $1, l.run, l.batch
            """,
            [record.run, record.target, record.schema]
        ).rows.map { (try $0.text(0), try $0.text(1)) }
    }

    /// Whether a batch's rows are gone, and only its files are left.
    func hasFiles(_ run: String, _ batch: String, _ connection: isolated PostgresConnection) throws -> Bool {
        try connection.run(
            "SELECT EXISTS (SELECT FROM \(self.table("file_list")) WHERE run = $1 AND batch = $2 AND deleted IS NULL)",
            [run, batch]
        ).rows.first?.bool(0) == true
    }
}
