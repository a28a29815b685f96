import Shared

extension OracleCase {
    private static let collidingColumns = [
        "i", "p", "t", "c", "rank", "ordinal", "number", "witnesses", "block", "branch", "next", "seen", "pivot",
        "edge",
        "tie", "rows", "run", "generation", "g1", "o1", "k1", "group_values", "order_values",
    ].map { "ALTER TABLE events ADD \"\($0)\" integer NOT NULL DEFAULT 7" }

    /// Tables, types and sessions of every kind, under ordinary rules.
    static let tables: [OracleCase] = [
        OracleCase(
            name: "timestamptz",
            setup: Events.setup(time: "timestamptz"),
            afterCreation: [
                "UPDATE events SET created_at = CUTOFFZ - (seq - 3) * interval '1 microsecond' WHERE seq < 6"
            ],
            target: Events.named + [Events.age, Events.newest(2)],
            oracle: Events.oracle(keep: 2, and: "created_at < CUTOFFZ")
        ),
        OracleCase(
            name: "timestamptz under a foreign time zone and date style",
            setup: Events.setup(time: "timestamptz"),
            afterCreation: [
                "UPDATE events SET created_at = CUTOFFZ - (seq - 3) * interval '1 microsecond' WHERE seq < 6"
            ],
            target: Events.named + [Events.age, Events.newest(2)],
            oracle: Events.oracle(keep: 2, and: "created_at < CUTOFFZ"),
            session: Self.foreign
        ),
        OracleCase(
            name: "timestamps without a zone are UTC under a foreign time zone and date style",
            setup: Events.setup(),
            afterCreation: [
                "UPDATE events SET created_at = CUTOFF - (seq - 3) * interval '1 microsecond' WHERE seq < 6"
            ],
            target: Events.named + [Events.age, Events.newest(2)],
            oracle: Events.oracle(keep: 2, and: "created_at < CUTOFF"),
            session: Self.foreign
        ),
        OracleCase(
            name: "columns are named like something in Ebb's own statements",
            setup: Events.setup(then: Self.collidingColumns),
            target: Events.named + [Events.age, Events.newest(2)],
            oracle: Events.oracle(keep: 2, and: "created_at < CUTOFF")
        ),
        OracleCase(
            name: "columns are named like that where no index leads to a group's rows",
            setup: Events.setup(then: ["DROP INDEX events_device_created_at_id_idx"] + Self.collidingColumns),
            target: Events.named + [Events.age, Events.newest(2)],
            oracle: Events.oracle(keep: 2, and: "created_at < CUTOFF"),
            strategies: [.block, .window, .idRange, nil]
        ),
        OracleCase(
            name: "integers are seconds since 1970",
            setup: Events.setup(then: [
                "ALTER TABLE events ALTER created_at TYPE bigint USING extract(epoch FROM created_at AT TIME ZONE 'UTC')"
            ]),
            afterCreation: [
                """
                UPDATE events SET created_at = floor(extract(epoch FROM CUTOFFZ)) + seq % 4 - 1 WHERE seq BETWEEN 1 AND 9
                """,
                "UPDATE events SET created_at = NULL WHERE seq = 10",
            ],
            target: Events.named + [Events.age, Events.newest(2)],
            oracle: Events.oracle(keep: 2, and: "created_at < extract(epoch FROM CUTOFFZ)"),
            session: Self.foreign
        ),
        OracleCase(
            name: "a small integer column, and when rows expire",
            setup: Events.setup(then: [
                "ALTER TABLE events ALTER created_at TYPE integer USING extract(epoch FROM created_at AT TIME ZONE 'UTC')",
                "ALTER TABLE events ALTER expires_at TYPE bigint USING extract(epoch FROM expires_at)",
            ]),
            target: Events.named + [Events.age, "expires_at: expires_at"],
            oracle: """
                DELETE FROM oracle WHERE created_at < extract(epoch FROM CUTOFFZ)
                AND expires_at < extract(epoch FROM CREATEDZ)
                """,
            strategies: [.block, .window, .idRange, nil]
        ),
        OracleCase(
            name: "a condition with the run's schema and creation",
            setup: Events.setup(then: [
                "CREATE TABLE kept AS SELECT id FROM events WHERE seq = 3",
                "UPDATE events SET payload = current_schema() WHERE kind = 'b'",
            ]),
            target: Events.named + [
                """
                where: "expires_at < {now} - interval '1 hour' AND (payload = {schema_name} OR ARRAY[left(payload, 1)] = '{x}') \
                AND id NOT IN (SELECT id FROM {schema}.kept)"
                """
            ],
            oracle: """
                DELETE FROM oracle WHERE expires_at < CREATEDZ - interval '1 hour'
                AND (kind = 'b' OR left(payload, 1) = 'x') AND id NOT IN (SELECT id FROM kept)
                """,
            strategies: [.block, .idRange, nil]
        ),
        OracleCase(
            name: "dates are midnights in UTC under a foreign time zone and date style",
            setup: Events.setup(time: "date"),
            target: Events.named + [Events.age, Events.newest(2)],
            oracle: Events.oracle(keep: 2, and: "created_at < CUTOFF"),
            session: Self.foreign
        ),
        OracleCase(
            name: "an empty table",
            setup: [Events.table()] + Events.indexes,
            target: Events.named + [Events.age, Events.newest()],
            oracle: "DELETE FROM oracle"
        ),
        OracleCase(
            name: "one row, the newest of its group",
            setup: [Events.table(), Events.fill()] + Events.indexes + [
                "DELETE FROM events WHERE created_at > (SELECT min(created_at) FROM events)"
            ],
            target: Events.named + [Events.age, Events.newest()],
            oracle: Events.oracle(keep: 1, and: "created_at < CUTOFF")
        ),
        OracleCase(
            name: "one row, which goes",
            setup: [Events.table(), Events.fill()] + Events.indexes + [
                "DELETE FROM events WHERE created_at > (SELECT min(created_at) FROM events)"
            ],
            target: Events.named + [Events.age],
            oracle: "DELETE FROM oracle",
            strategies: [.block, .window, .idRange, nil]
        ),
        OracleCase(
            name: "a table that was never analyzed",
            setup: [
                Events.table(), "ALTER TABLE events SET (autovacuum_enabled = off)", Events.fill(),
            ] + Events.indexes,
            target: Events.named + [Events.age, Events.newest()],
            oracle: Events.oracle(keep: 1, and: "created_at < CUTOFF"),
            batchRows: nil
        ),
        OracleCase(
            name: "a table full of dead rows",
            setup: Events.setup(then: [
                "ALTER TABLE events SET (autovacuum_enabled = off)",
                "UPDATE events SET payload = payload || 'y'",
                "UPDATE events SET payload = payload || 'z' WHERE seq > 3",
                "DELETE FROM events WHERE seq = 7",
            ]),
            target: Events.named + [Events.age, Events.newest(2)],
            oracle: Events.oracle(keep: 2, and: "created_at < CUTOFF")
        ),
        OracleCase(
            name: "ANALYZE between planning and the first batch",
            setup: [
                Events.table(), "ALTER TABLE events SET (autovacuum_enabled = off)", Events.fill(),
            ] + Events.indexes,
            afterPlanning: ["ANALYZE events"],
            target: Events.named + [Events.age, Events.newest()],
            oracle: Events.oracle(keep: 1, and: "created_at < CUTOFF")
        ),
        OracleCase(
            name: "VACUUM FULL between planning and the first batch, which moves every row",
            setup: Events.setup(then: ["UPDATE events SET payload = payload || 'y'"]),
            afterPlanning: ["VACUUM (FULL, ANALYZE) events"],
            target: Events.named + [Events.age, Events.newest()],
            oracle: Events.oracle(keep: 1, and: "created_at < CUTOFF")
        ),
        OracleCase(
            name: "every row moves between planning and the first batch",
            setup: Events.setup(),
            afterPlanning: ["UPDATE events SET payload = repeat('long', 100)"],
            target: Events.named + [Events.age, Events.newest()],
            oracle: Events.oracle(keep: 1, and: "created_at < CUTOFF")
                + "; UPDATE oracle SET payload = repeat('long', 100)"
        ),
        OracleCase(
            name: "groups named with everything that SQL, arrays and JSON treat specially",
            setup: Events.setup(group: "text NOT NULL", device: Self.hostile),
            target: Events.named + [Events.age, Events.newest(2)],
            oracle: Events.oracle(keep: 2, and: "created_at < CUTOFF")
        ),
        OracleCase(
            name: "the same, and NULL beside the text NULL",
            setup: Events.setup(group: "text", device: "nullif(\(Self.hostile), 'gone')"),
            target: Events.named + [Events.age, Events.newest(2)],
            oracle: Events.oracle(keep: 2, and: "created_at < CUTOFF")
        ),
        OracleCase(
            name: "floating-point order, not one digit lost",
            setup: Events.setup(then: [
                "ALTER TABLE events ALTER seq TYPE float8 USING seq + random() / 3",
                "CREATE INDEX ON events (device, seq)",
            ]),
            target: Events.named + [Events.age, Events.newest(3, order: "seq")],
            oracle: Events.oracle(keep: 3, and: "created_at < CUTOFF", order: "seq"),
            session: [(name: "extra_float_digits", value: "-10")]
        ),
    ]

    /// Names, keys and joins that need care.
    static let shapes: [OracleCase] = [
        OracleCase(
            name: "a key of two columns",
            setup: [
                "CREATE TABLE events (a integer, b text, device integer NOT NULL, created_at timestamp, PRIMARY KEY (a, b))",
                """
                INSERT INTO events SELECT n / 10, 'b, "' || n % 10, n % 23, now() AT TIME ZONE 'UTC' - n * interval '2 minutes'
                FROM generate_series(1, 6000) AS n
                """,
                "CREATE INDEX ON events (device, created_at)", "CREATE INDEX ON events (created_at)",
            ],
            target: ["table: events", "key: [b, a]", Events.age, Events.newest(3)],
            oracle: """
                DELETE FROM oracle USING (
                  SELECT a, b, rank() OVER (PARTITION BY device ORDER BY created_at DESC) AS position FROM oracle) AS ranked
                WHERE (oracle.a, oracle.b) = (ranked.a, ranked.b) AND position > 3 AND created_at < CUTOFF
                """,
            strategies: [.block, .window, .group, nil]
        ),
        OracleCase(
            name: "names with capitals, spaces, quotes and keywords",
            setup: [
                #"CREATE TABLE "Odd ""Table"" %" ("The Key" bigint PRIMARY KEY, "group" text NOT NULL, "Wann?" timestamp, "é" text)"#,
                """
                INSERT INTO "Odd ""Table"" %" SELECT n, 'g' || n % 11, now() AT TIME ZONE 'UTC' - n * interval '2 minutes', 'x'
                FROM generate_series(1, 6000) AS n
                """,
                #"CREATE INDEX "An ""index" ON "Odd ""Table"" %" ("group", "Wann?")"#,
                #"CREATE INDEX ON "Odd ""Table"" %" ("Wann?")"#,
            ],
            target: [
                #"table: '"Odd ""Table"" %"'"#, #"key: '"The Key"'"#, #"max_age: {column: '"Wann?"', age: 3d}"#,
                #"keep_newest: {count: 2, per: [group], order: ['"Wann?"']}"#,
                #"where: '"Odd ""Table"" %"."é" = ''x'''"#,
            ],
            table: #""Odd ""Table"" %""#,
            oracle: """
                DELETE FROM oracle WHERE "Wann?" < CUTOFF AND 2 <= (
                  SELECT count(*) FROM "Odd ""Table"" %" AS n WHERE n."group" = oracle."group" AND n."Wann?" > oracle."Wann?")
                """
        ),
        OracleCase(
            name: "a condition on columns that the joined table has too",
            setup: Statuses.setup,
            target: Statuses.named + [
                Events.age, Statuses.newest(2), "where: kind = 'b' AND (deployment_id IS NULL OR deployment_id <> 3)",
            ],
            table: "statuses",
            oracle: Statuses.oracle(keep: 2, and: "kind = 'b' AND (deployment_id IS NULL OR deployment_id <> 3)"),
            strategies: [.block, .window, .idRange, .group, nil]
        ),
        OracleCase(
            name: "the age of a joined table's row",
            setup: Statuses.setup + [
                "UPDATE revisions SET created_at = CASE WHEN id % 3 > 0 THEN created_at - id * interval '3 hours' END"
            ],
            target: Statuses.named + ["max_age: {column: revisions.created_at, age: 3d}", "where: kind = 'b'"],
            table: "statuses",
            oracle: """
                DELETE FROM oracle USING revisions WHERE revisions.id = revision_id AND revisions.created_at < CUTOFF
                AND oracle.kind = 'b'
                """,
            strategies: [.block, .idRange, nil]
        ),
        OracleCase(
            name: "single rows by key",
            setup: Statuses.setup + ["DELETE FROM statuses WHERE kind = 'a' OR revision_id > 8"],
            target: Statuses.named + [Events.age, Statuses.newest(3)],
            table: "statuses",
            oracle: Statuses.oracle(keep: 3, and: "true"),
            strategies: [.key],
            batchRows: nil
        ),
        OracleCase(
            name: "groups of a joined table, some rows without a group",
            setup: Statuses.setup,
            target: Statuses.named + [Events.age, Statuses.newest(1)],
            table: "statuses",
            oracle: Statuses.oracle(keep: 1, and: "true")
        ),
    ]

    private static let foreign = [(name: "TimeZone", value: "Asia/Kathmandu"), (name: "DateStyle", value: "SQL, DMY")]

    private static let hostile = #"""
        (ARRAY['NULL', '', ' ', '{', '}', '{a,b}', '"', '""', '\', '\\"', '''', 'a,b', 'ünïcödé 🐘', E'new\nline', 'null', $$ $1 $$,
               'gone', '[]', '["block","0","9"]', E'tab\there'])[n % 20 + 1]
        """#
}

/// Statuses of deployments' revisions; both tables have `id`, `kind`, `created_at` and `deployment_id`.
enum Statuses {
    static let setup = [
        "CREATE TABLE revisions (id bigint PRIMARY KEY, deployment_id integer, kind text, created_at timestamp)",
        """
        INSERT INTO revisions SELECT n, nullif(n % 17, 5), 'a', now() AT TIME ZONE 'UTC' FROM generate_series(1, 60) AS n
        """,
        """
        CREATE TABLE statuses (id STRATEGY_KEY PRIMARY KEY, revision_id bigint REFERENCES revisions, deployment_id integer,
                               kind text, created_at timestamp)
        """,
        """
        INSERT INTO statuses
        SELECT CASE 'STRATEGY_KEY' WHEN 'uuid' THEN gen_random_uuid()::text ELSE n::text END::STRATEGY_KEY,
               nullif(n % 61, 0), nullif(n % 7, 2), (ARRAY['a', 'b'])[n % 2 + 1],
               CASE WHEN n % 13 > 0 THEN now() AT TIME ZONE 'UTC' - (n * 104729 % 14400) * interval '1 minute' END
        FROM generate_series(1, 6000) AS n
        """,
        "CREATE INDEX ON statuses (revision_id, created_at DESC)", "CREATE INDEX ON statuses (created_at)",
        "ANALYZE statuses",
    ]

    static let named = [
        "table: statuses", "key: id", "joins: {revisions: revisions.id = statuses.revision_id}",
    ]

    static func newest(_ count: Int) -> String {
        "keep_newest: {count: \(count), per: [revisions.deployment_id], order: [created_at]}"
    }

    static func oracle(keep count: Int, and condition: String) -> String {
        """
        DELETE FROM oracle USING (
          SELECT s.id, rank() OVER (PARTITION BY r.deployment_id ORDER BY s.created_at DESC) AS position
          FROM oracle AS s JOIN revisions AS r ON r.id = s.revision_id WHERE s.created_at IS NOT NULL) AS ranked
        WHERE oracle.id = ranked.id AND position > \(count) AND created_at < CUTOFF AND \(condition)
        """
    }
}
