import Shared
import TestSupport
import Testing

/// Ranges in which no row meets the operator's condition.
@Suite(.timeLimit(.minutes(5))) struct IdleRangeTests {
    private static func target(_ strategy: Strategy, where condition: String) -> String {
        "  Target: {table: events, key: id, max_age: {column: created_at, age: 1d}, "
            + "where: \"\(condition)\", strategy: \(strategy.rawValue)}"
    }

    /// 2,000 rows, those of kind `log` in one piece from the 500th on.
    private static let table = [
        "CREATE UNLOGGED TABLE events (id bigint PRIMARY KEY, kind text, created_at timestamp)",
        """
        INSERT INTO events
        SELECT n, CASE WHEN n BETWEEN 500 AND 599 THEN 'log' END,
               now() AT TIME ZONE 'UTC' - interval '3 days' + n * interval '1 second'
        FROM generate_series(1, 2000) AS n
        """,
        "CREATE INDEX ON events (created_at)",
        "ANALYZE events",
    ]

    /// The second is so dear, as the database sees it, that it is not looked up, but searched for along the range.
    @Test(arguments: [Strategy.window, .idRange], ["kind = 'log'", "dear(kind) = 'log'"])
    func `a range without a row of the kind becomes no batch`(_ strategy: Strategy, _ condition: String) async throws {
        let target = Self.target(strategy, where: condition)
        try await withTestBed(targets: target, settings: "vacuum: off") { bed in
            for statement in Self.table { try await bed.run(statement) }
            try await bed.run("CREATE FUNCTION dear(text) RETURNS text LANGUAGE sql COST 10000 AS 'SELECT $1'")
            let outcome = try await bed.drain("Target", batchRows: 50)[0]
            expectFinished(outcome, rows: 100)
            // Two, unless a busy machine makes a search take long; all ranges would be 40.
            #expect(outcome.count("total") < 20, "\(outcome.fields)")
            #expect(try await bed.int("SELECT count(*) FROM events") == 1_900)
        }
    }

    @Test func `a search that takes long is given up, and the ranges go out as they are`() async throws {
        let slow = "CASE WHEN kind = 'log' THEN true ELSE pg_sleep(0.3) IS NULL END"
        try await withTestBed(targets: Self.target(.window, where: slow), settings: "vacuum: off") { bed in
            try await bed.run(
                "CREATE UNLOGGED TABLE events (id bigint PRIMARY KEY, kind text, created_at timestamp)",
                """
                INSERT INTO events
                SELECT n, CASE WHEN n > 3 THEN 'log' END, now() AT TIME ZONE 'UTC' - interval '3 days' + n * interval '1 second'
                FROM generate_series(1, 6) AS n
                """,
                "CREATE INDEX ON events (created_at)",
                "ANALYZE events"
            )
            let outcome = try await bed.drain("Target", batchRows: 1)[0]
            expectFinished(outcome, rows: 3)
            #expect(outcome.count("total") == 6, "\(outcome.fields)")
        }
    }

    @Test(arguments: [
        "kind::integer = 5",
        // More than one row from a subquery; PostgreSQL calls that an error of a class of its own.
        "5 = (SELECT n FROM generate_series(CASE kind WHEN 'five' THEN 4 ELSE 5 END, 5) AS n)",
    ])
    func `a condition that fails on a row costs the batch that meets it, and not the others`(
        _ condition: String
    ) async throws {
        let target = Self.target(.window, where: condition)
        try await withTestBed(targets: target, settings: Poison.settings()) { bed in
            try await bed.run(
                "CREATE UNLOGGED TABLE events (id bigint PRIMARY KEY, kind text, created_at timestamp)",
                """
                INSERT INTO events
                SELECT n, CASE n WHEN 777 THEN 'five' ELSE '5' END,
                       now() AT TIME ZONE 'UTC' - interval '3 days' + n * interval '1 second'
                FROM generate_series(1, 2000) AS n
                """,
                "CREATE INDEX ON events (created_at)",
                "ANALYZE events"
            )
            let outcome = try await bed.drain("Target", batchRows: 500)[0]
            #expect(outcome.state == "failed", "\(outcome.fields)")
            // It cannot be split either: the database does not say which row it is.
            #expect(try await bed.queue.deadLetters(of: outcome.run).count == 1)
            #expect(try await bed.int("SELECT count(*) FROM events") == 500)
            #expect(try await bed.int("SELECT count(*) FROM events WHERE kind = 'five'") == 1)
        }
    }

    @Test(arguments: [Strategy.window, .idRange])
    func `a run without any row of the kind has no batch and ends`(_ strategy: Strategy) async throws {
        let target = Self.target(strategy, where: "kind = 'no such kind'")
        try await withTestBed(targets: target, settings: "vacuum: off") { bed in
            for statement in Self.table { try await bed.run(statement) }
            let outcome = try await bed.drain("Target", batchRows: 50)[0]
            expectFinished(outcome, rows: 0)
            #expect(outcome.count("total") < 20, "\(outcome.fields)")
        }
    }
}
