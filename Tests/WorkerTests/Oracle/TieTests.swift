import Shared
import TestSupport
import Testing

/// Values that more rows share than a batch should have.
@Suite(.timeLimit(.minutes(15))) struct TieTests {
    private static func target(_ strategy: Strategy) -> String {
        """
          Target: {table: events, key: id, max_age: {column: created_at, age: 1d}, \
        keep_newest: {count: 1, per: [device], order: [created_at]}, strategy: \(strategy.rawValue)}
        """
    }

    @Test func `a million equal times are cut by blocks, never one batch`() async throws {
        try await withTestBed(targets: Self.target(.window), settings: "vacuum: off") { bed in
            try await bed.run(
                "CREATE UNLOGGED TABLE events (id bigint PRIMARY KEY, device integer NOT NULL, created_at timestamp)",
                """
                INSERT INTO events
                SELECT n, n % 3, now() AT TIME ZONE 'UTC' - CASE WHEN n <= 1000000 THEN interval '3 days'
                                                                 ELSE interval '1 second' * (n - 1000000) END
                FROM generate_series(1, 1010000) AS n
                """,
                "CREATE INDEX ON events (created_at)",
                "ANALYZE events"
            )
            let outcome = try await bed.drain("Target", batchRows: 20_000, within: .seconds(600))[0]
            expectFinished(outcome, rows: 1_000_000)
            #expect(outcome.largestBatch <= 80_000)
            #expect(try await bed.int("SELECT count(*) FROM events") == 10_000)
        }
    }

    @Test func `one time that most of a group shares does not make one batch of the rest`() async throws {
        try await withTestBed(targets: Self.target(.group), settings: "vacuum: off") { bed in
            try await bed.run(
                "CREATE UNLOGGED TABLE events (id bigint PRIMARY KEY, device integer NOT NULL, created_at timestamp)",
                """
                INSERT INTO events
                SELECT n, 1, now() AT TIME ZONE 'UTC' - CASE WHEN n <= 5000 THEN interval '9 days'
                                                             ELSE interval '8 days' - n * interval '1 second' END
                FROM generate_series(1, 60000) AS n
                """,
                "CREATE INDEX ON events (device, created_at)",
                "ANALYZE events"
            )
            let outcome = try await bed.drain("Target", batchRows: 1_000)[0]
            expectFinished(outcome, rows: 59_999)
            #expect(outcome.largestBatch <= 6_000)
        }
    }
}
