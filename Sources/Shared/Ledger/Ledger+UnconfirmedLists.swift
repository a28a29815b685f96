package import PostgresClient

/// Lists of keys whose call nobody has seen the answer of: it may have happened, in part, or not at all.
extension Ledger {
    /// One of them.
    package struct UnconfirmedList: Sendable, Equatable {
        package var batch: String
        package var number: Int
        /// Since it was written, by the database's clock; its call began later.
        package var age: Duration
        /// By key, of those alone that no later list of the run has: a key counts where it was last seen.
        package var sizes: [String: Int]
    }

    /// Takes the open batches of a run away from whoever is at them: nothing more of theirs is counted, and no other call is made.
    ///
    /// - `generation`: those of older plans alone; nil means all.
    package func disown(_ run: String, before generation: Int? = nil, _ connection: PostgresConnection) async throws {
        _ = try await connection.query(
            """
            UPDATE \(self.table("batch")) SET owner = NULL
            WHERE run = $1 AND outcome = 'open' AND owner IS NOT NULL
              AND ($2::integer IS NULL OR split_part(batch, '.', 1)::integer < $2)
            """,
            [run, generation.map { String($0) }]
        )
    }

    /// Whether a run has such lists, or files of rows that nobody has confirmed to be gone.
    package func hasUnconfirmedLists(_ run: String, _ connection: PostgresConnection) async throws -> Bool {
        try await connection.query(
            """
            SELECT EXISTS (SELECT FROM \(self.table("object_list")) WHERE run = $1 AND deleted IS NULL)
                OR EXISTS (SELECT FROM \(self.table("file_list")) WHERE run = $1 AND deleted IS NULL)
            """,
            [run]
        ).rows.first?.bool(0) == true
    }

    /// The lists of a run, of all its batches, however they ended.
    package func unconfirmedLists(_ run: String, _ connection: PostgresConnection) async throws -> [UnconfirmedList] {
        try await connection.query(
            """
            SELECT l.batch, l.list, (extract(epoch FROM clock_timestamp() - l.written_at) * 1000000)::bigint,
                   to_json(own.keys), array_to_string(own.sizes, ' ')
            FROM \(self.table("object_list")) AS l CROSS JOIN LATERAL (
              SELECT array_agg(o.key) AS keys, array_agg(o.size) AS sizes FROM unnest(l.keys, l.sizes) AS o (key, size)
              WHERE NOT EXISTS (
                SELECT FROM \(self.table("object_list")) AS later CROSS JOIN unnest(later.keys) AS seen (key)
                WHERE later.run = l.run AND (later.written_at, later.batch, later.list) > (l.written_at, l.batch, l.list)
                  AND seen.key = o.key)
            ) AS own
            WHERE l.run = $1 AND l.deleted IS NULL ORDER BY l.written_at
            """,
            [run]
        ).rows.map { row in
            let keys = try row[3].map { try Self.strings(json: $0) } ?? []
            let sizes = (row[4] ?? "").split(separator: " ").map { Int($0) ?? 0 }
            return UnconfirmedList(
                batch: try row.text(0),
                number: row.int(1) ?? 0,
                age: .microseconds(row.int(2) ?? 0),
                sizes: Dictionary(zip(keys, sizes)) { first, _ in first }
            )
        }
    }

    /// Writes what was found out about a list, and adds it to its batch's count, once; does nothing when the run is over.
    package func settle(
        _ confirmation: Confirmation,
        run: String,
        batch: String,
        _ connection: PostgresConnection
    ) async throws {
        _ = try await connection.query(
            """
            WITH settled AS (
              UPDATE \(self.table("object_list")) SET deleted = $4::integer, late = $5::integer
              WHERE run = $1 AND batch = $2 AND list = $3::integer AND deleted IS NULL
                AND EXISTS (SELECT FROM \(self.table("run")) WHERE run = $1 AND finished_at IS NULL FOR SHARE)
              RETURNING run, batch)
            UPDATE \(self.table("batch")) AS b SET rows = b.rows + $4::bigint, bytes = b.bytes + $6::bigint
            FROM settled WHERE b.run = settled.run AND b.batch = settled.batch
            """,
            [
                run, batch, String(confirmation.list), String(confirmation.deleted), String(confirmation.late),
                String(confirmation.bytes),
            ]
        )
    }
}
