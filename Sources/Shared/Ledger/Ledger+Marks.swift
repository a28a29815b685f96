import FoundationEssentials
package import PostgresClient

/// Quarantine: objects that a run has found unreferenced, until a later one may delete them.
extension Ledger {
    /// The marks of one target in one place.
    package struct Marks: Sendable {
        package var target: String
        package var location: String

        package init(target: String, location: String) {
            self.target = target
            self.location = location
        }
    }

    /// The part of a listing that a page shows: keys with a prefix, after one and up to another.
    package struct KeyInterval: Sendable {
        package var prefix: String
        /// nil is the beginning.
        package var after: String?
        /// nil is the end.
        package var upTo: String?

        package init(prefix: String, after: String?, upTo: String?) {
            self.prefix = prefix
            self.after = after
            self.upTo = upTo
        }
    }

    /// Marks unreferenced objects, drops the marks of those that are gone, referenced or written anew, and returns the keys
    /// that had been marked for long enough at a moment.
    ///
    /// - `interval`: where marks of other keys are dropped; nil drops none.
    /// - `quarantine`: how long a mark has to be there.
    /// - `moment`: of the database's clock, as the ledger writes it.
    package func quarantine(
        _ objects: [ObjectStore.Object],
        in interval: KeyInterval?,
        _ marks: Marks,
        atLeast quarantine: Duration,
        before moment: String,
        _ connection: PostgresConnection
    ) async throws -> Set<String> {
        let keys = SQLText.array(objects.map(\.key))
        // Whole seconds: some storages say less of an object by itself than in a listing.
        let times = SQLText.array(objects.map { String(Int($0.lastModified.timeIntervalSince1970.rounded(.down))) })
        return try await self.transaction(connection) { connection in
            if let interval {
                _ = try connection.run(
                    """
                    DELETE FROM \(self.table("object_mark"))
                    WHERE target = $1 AND location = $2 AND key >= $3 AND starts_with(key, $3)
                      AND ($4::text IS NULL OR key > $4) AND ($5::text IS NULL OR key <= $5) AND key <> ALL ($6::text[])
                    """,
                    [marks.target, marks.location, interval.prefix, interval.after, interval.upTo, keys]
                )
            }
            if objects.isEmpty { return [] }
            _ = try connection.run(
                """
                INSERT INTO \(self.table("object_mark")) AS m (target, location, key, last_modified)
                SELECT $1, $2, key, to_timestamp(seconds)
                FROM unnest($3::text[], $4::bigint[]) AS o (key, seconds)
                ON CONFLICT (target, location, key) DO UPDATE SET last_modified = excluded.last_modified, marked_at = now()
                WHERE m.last_modified <> excluded.last_modified
                """,
                [marks.target, marks.location, keys, times]
            )
            let ripe = try connection.run(
                """
                SELECT key FROM \(self.table("object_mark"))
                WHERE target = $1 AND location = $2 AND key = ANY ($3::text[])
                  AND marked_at <= $4::timestamp AT TIME ZONE 'UTC' - $5::bigint * interval '1 microsecond'
                """,
                [marks.target, marks.location, keys, moment, String(quarantine.wholeMicroseconds)]
            )
            return Set(try ripe.rows.map { try $0.text(0) })
        }
    }

    /// Drops the marks of objects that were deleted.
    package func dropMarks(_ keys: [String], _ marks: Marks, _ connection: PostgresConnection) async throws {
        _ = try await connection.query(
            "DELETE FROM \(self.table("object_mark")) WHERE target = $1 AND location = $2 AND key = ANY ($3::text[])",
            [marks.target, marks.location, SQLText.array(keys)]
        )
    }

    /// Drops all marks, when a run does without them.
    package func dropMarks(_ marks: Marks, _ connection: PostgresConnection) async throws {
        _ = try await connection.query(
            "DELETE FROM \(self.table("object_mark")) WHERE target = $1 AND location = $2",
            [marks.target, marks.location]
        )
    }

    /// Strings of a JSON array.
    static func strings(json: String) throws -> [String] {
        try JSONDecoder().decode([String].self, from: Data(json.utf8))
    }
}
