import Shared

extension OracleCase {
    /// Rows that hang on others of their table.
    static let chained: [OracleCase] = [
        OracleCase(
            name: "chains all over the blocks",
            setup: Self.chains(),
            target: Self.leafFirst + [Events.age],
            oracle: Self.held(unless: "created_at < CUTOFF"),
            strategies: [.block, .window, .idRange, nil]
        ),
        OracleCase(
            name: "trees, with ties at the cutoff and without times",
            setup: Self.chains(parent: "c.n / 3"),
            afterCreation: [
                "UPDATE events SET created_at = CUTOFF + (seq % 3 - 1) * interval '1 microsecond' WHERE seq < 6",
                "UPDATE events SET created_at = NULL WHERE seq = 7",
            ],
            target: Self.leafFirst + [Events.age],
            oracle: Self.held(unless: "created_at < CUTOFF"),
            strategies: [.block, .window, .idRange, nil]
        ),
        OracleCase(
            name: "rows that hang on themselves, and on each other",
            setup: Self.chains(
                parent: "CASE c.n % 12 WHEN 0 THEN c.n WHEN 1 THEN c.n + 1 WHEN 2 THEN c.n - 1 ELSE c.n - 1 END"
            ),
            target: Self.leafFirst + [Events.age],
            oracle: Self.held(unless: "created_at < CUTOFF"),
            strategies: [.block, .window, .idRange, nil]
        ),
        OracleCase(
            name: "children that a condition keeps",
            setup: Self.chains(),
            target: Self.leafFirst + [Events.age, "where: kind <> 'b'"],
            oracle: Self.held(unless: "created_at < CUTOFF AND kind <> 'b'"),
            strategies: [.block, .window, .idRange, nil]
        ),
        OracleCase(
            name: "hardly any row has children",
            setup: Self.chains(parent: "CASE WHEN c.n % 500 = 0 THEN c.n - 1 END"),
            target: Self.leafFirst + [Events.age],
            oracle: Self.held(unless: "created_at < CUTOFF"),
            strategies: [.block, .window, .idRange, nil]
        ),
        OracleCase(
            name: "one chain of all rows, expired to the last",
            setup: Self.chains(parent: "c.n - 1") + ["UPDATE events SET created_at = created_at - interval '20 days'"],
            target: Self.leafFirst + [Events.age],
            oracle: "DELETE FROM oracle",
            strategies: [.block, .window, .idRange, nil]
        ),
        OracleCase(
            name: "one chain of all rows behind a young one",
            setup: Self.chains(parent: "c.n - 1") + [
                "UPDATE events SET created_at = created_at - interval '20 days'",
                """
                UPDATE events SET created_at = now() AT TIME ZONE 'UTC'
                WHERE id = (SELECT id FROM numbered ORDER BY n DESC OFFSET 10 LIMIT 1)
                """,
            ],
            target: Self.leafFirst + [Events.age],
            oracle: Self.held(unless: "created_at < CUTOFF"),
            strategies: [.block, .window, .idRange, nil]
        ),
        OracleCase(
            name: "children that come between planning and the first batch",
            setup: Self.chains() + [
                """
                INSERT INTO events (id, device, kind, created_at)
                SELECT CASE 'STRATEGY_KEY' WHEN 'uuid' THEN gen_random_uuid()::text ELSE (n + 1000000)::text END::STRATEGY_KEY,
                       1, 'spare' || n, now() AT TIME ZONE 'UTC' FROM generate_series(1, 150) AS n
                """
            ],
            afterPlanning: [
                "UPDATE events SET parent = numbered.id FROM numbered WHERE kind = 'spare' || n / 40 AND n % 40 = 3",
                "DELETE FROM oracle", "INSERT INTO oracle SELECT * FROM events",
                Self.held(unless: "created_at < CUTOFF"),
            ],
            target: Self.leafFirst + [Events.age],
            oracle: Self.held(unless: "created_at < CUTOFF"),
            strategies: [.block, .window, .idRange, nil]
        ),
        OracleCase(
            name: "chains, but never the newest two",
            setup: Self.chains(),
            target: Self.leafFirst + [Events.age, Events.newest(2)],
            oracle: Self.held(
                unless: """
                    created_at < CUTOFF AND created_at < (
                      SELECT n.created_at FROM events AS n WHERE n.device = events.device AND n.created_at IS NOT NULL
                      ORDER BY n.created_at DESC OFFSET 1 LIMIT 1)
                    """
            )
        ),
        OracleCase(
            name: "chains with notes about some of their rows",
            setup: Self.chains() + [
                "CREATE TABLE notes (event STRATEGY_KEY REFERENCES events)",
                "INSERT INTO notes SELECT id FROM numbered WHERE n % 50 = 4",
            ],
            target: Self.leafFirst + [Events.age, "protect: [notes]"],
            oracle: Self.held(unless: "created_at < CUTOFF AND id NOT IN (SELECT event FROM notes)"),
            strategies: [.block, .window, .idRange, nil]
        ),
        OracleCase(
            name: "chains in a partitioned table",
            setup: Self.chains() + [
                "ALTER TABLE events RENAME TO whole", "CREATE TABLE events (LIKE whole) PARTITION BY HASH (id)",
                "CREATE TABLE events0 PARTITION OF events FOR VALUES WITH (MODULUS 2, REMAINDER 0)",
                "CREATE TABLE events1 PARTITION OF events FOR VALUES WITH (MODULUS 2, REMAINDER 1)",
                "ALTER TABLE events ADD PRIMARY KEY (id)", "INSERT INTO events SELECT * FROM whole",
                "ALTER TABLE events ADD FOREIGN KEY (parent) REFERENCES events ON DELETE RESTRICT",
                "CREATE INDEX ON events (parent)", "CREATE INDEX ON events (created_at)", "ANALYZE events",
            ],
            target: Self.leafFirst + [Events.age],
            oracle: Self.held(unless: "created_at < CUTOFF"),
            strategies: [.window, .idRange, nil]
        ),
        OracleCase(
            name: "chains, row by row",
            setup: Self.chains() + [
                "DELETE FROM events WHERE parent IS NULL AND id NOT IN (SELECT parent FROM events WHERE parent IS NOT NULL)"
            ],
            target: Self.leafFirst + [Events.age, "where: seq < 5"],
            oracle: Self.held(unless: "created_at < CUTOFF AND seq < 5"),
            strategies: [.key],
            batchRows: nil
        ),
    ]

    private static let leafFirst = Events.named + ["order: leaf_first(parent)"]

    /// Chains of seven rows in an order that is neither the heap's nor the key's nor that of time; those of every other chain
    /// are older by ten days.
    ///
    /// - `parent`: the number of the row that row `c.n` hangs on.
    private static func chains(parent: String = "CASE WHEN c.n % 7 > 0 THEN c.n - 1 END") -> [String] {
        Events.setup(then: [
            "CREATE TABLE numbered AS SELECT id, row_number() OVER (ORDER BY md5(id::text)) AS n FROM events",
            "CREATE UNIQUE INDEX ON numbered (n)",
            "ALTER TABLE events ADD parent STRATEGY_KEY REFERENCES events",
            // Before the update: an index on rows with older versions serves nobody until every transaction that was under way has
            // ended, also those of other tests.
            "CREATE INDEX ON events (parent)",
            """
            UPDATE events SET parent = p.id, created_at = created_at - c.n / 7 % 2 * interval '10 days'
            FROM numbered AS c LEFT JOIN numbered AS p ON p.n = \(parent) WHERE c.id = events.id
            """,
        ])
    }

    /// Deletes the rows that meet a condition and on which none hangs that does not.
    private static func held(unless condition: String) -> String {
        """
        DELETE FROM oracle USING (
          WITH RECURSIVE held AS (
            SELECT parent AS id FROM events WHERE (\(condition)) IS NOT TRUE
            UNION SELECT events.parent FROM held JOIN events ON events.id = held.id)
          SELECT id FROM events WHERE (\(condition)) AND id NOT IN (SELECT id FROM held WHERE id IS NOT NULL)) AS gone
        WHERE gone.id = oracle.id
        """
    }
}
