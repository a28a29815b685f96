import Shared

/// A table with everything a rule can look at, and 6,000 rows in it.
enum Events {
    /// Its columns; `STRATEGY_KEY` as in `OracleCase`.
    static func table(
        _ name: String = "events",
        group: String = "integer NOT NULL",
        time: String = "timestamp"
    ) -> String {
        """
        CREATE TABLE \(name) (
          id STRATEGY_KEY PRIMARY KEY, device \(group), created_at \(time), expires_at timestamptz, seq integer,
          kind text, payload text)
        """
    }

    /// Keys in random order, groups of very different sizes, times over 10 days in an order that is not the heap's.
    static func fill(_ name: String = "events", device: String = "(abs(sin(n)) ^ 3 * 40)::integer") -> String {
        """
        INSERT INTO \(name) (id, device, created_at, expires_at, seq, kind, payload)
        SELECT CASE 'STRATEGY_KEY' WHEN 'uuid' THEN gen_random_uuid()::text ELSE (n * 7919 % 100003)::text END::STRATEGY_KEY,
               \(device), now() AT TIME ZONE 'UTC' - (n * 104729 % 864000) * interval '1 second',
               CASE n % 3 WHEN 0 THEN NULL ELSE now() + (n % 7 - 3) * interval '1 hour' END,
               n * 31 % 17, (ARRAY['a', 'b', 'c'])[n % 3 + 1], repeat('x', n % 200)
        FROM generate_series(1, 6000) AS n
        """
    }

    /// What makes every strategy possible.
    static let indexes = [
        "CREATE INDEX ON events (device, created_at DESC, id)",
        "CREATE INDEX ON events (created_at)",
        "CREATE INDEX ON events (expires_at)",
    ]

    static func setup(
        group: String = "integer NOT NULL",
        time: String = "timestamp",
        device: String = "(abs(sin(n)) ^ 3 * 40)::integer",
        then statements: [String] = []
    ) -> [String] {
        [Self.table(group: group, time: time), Self.fill(device: device)] + Self.indexes + statements + [
            "ANALYZE events"
        ]
    }

    static let named = ["table: events", "key: id"]
    static let age = "max_age: {column: created_at, age: 3d}"
    static func newest(_ count: Int = 1, order: String = "created_at") -> String {
        "keep_newest: {count: \(count), per: [device], order: [\(order)]}"
    }

    /// Deletes, of the rows that have fewer than `count` newer ones in their group, none; of the others those that meet the
    /// condition.
    static func oracle(keep count: Int, and condition: String = "true", order: String = "created_at") -> String {
        let columns = order.split(separator: ",").map { $0.trimmingPrefix(" ") }
        let newest = columns.map { "\($0) DESC" }.joined(separator: ", ")
        let present = columns.map { "\($0) IS NOT NULL" }.joined(separator: " AND ")
        return """
            DELETE FROM oracle USING (
              SELECT id, rank() OVER (PARTITION BY device ORDER BY \(newest)) AS position FROM oracle WHERE \(present)
            ) AS ranked
            WHERE oracle.id = ranked.id AND ranked.position > \(count) AND \(condition)
            """
    }
}
