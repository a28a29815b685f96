import Shared
import TestSupport
import Testing

/// Rows that something else in the database holds: a run must neither lose the others nor go on for ever.
@Suite(.timeLimit(.minutes(5))) struct HeldRowsTests {
    private static let target =
        "  Target: {table: events, key: id, max_age: {column: created_at, age: 1d}, strategy: block}"
    private static let settings =
        "batches: {attempts: 2, backoff: 10ms, max_backoff: 10ms, lock_timeout: 50ms}\nvacuum: off"

    private static let events = [
        "CREATE TABLE events (id bigint PRIMARY KEY, created_at timestamp)",
        "INSERT INTO events SELECT n, now() - interval '2 days' FROM generate_series(1, 300) AS n",
    ]

    /// What holds rows, and how many.
    struct Holder: Sendable {
        var rows: Int
        var error: String
        var create: [String]
    }

    @Test(arguments: [
        Holder(
            rows: 1,
            error: "1 batches were given up on",
            create: [
                "CREATE TABLE children (event bigint PRIMARY KEY REFERENCES events)",
                "INSERT INTO children VALUES (7)",
            ]
        ),
        Holder(
            rows: 150,
            error: "rows are left that cannot be deleted",
            create: [
                "CREATE FUNCTION keep() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END'",
                "CREATE TRIGGER keep BEFORE DELETE ON events FOR EACH ROW WHEN (old.id % 2 = 0) EXECUTE FUNCTION keep()",
            ]
        ),
    ])
    func `a run with rows that cannot be deleted takes the others and fails with a reason`(
        _ holder: Holder
    ) async throws {
        try await withTestBed(targets: Self.target, settings: Self.settings) { bed in
            for statement in Self.events + holder.create { try await bed.run(statement) }
            let outcome = try #require(try await bed.drain("Target", batchRows: 100).first)
            #expect(outcome.state == "failed")
            #expect(outcome.ledgerState == "failed")
            #expect(
                outcome.fields["error"]?.contains(holder.error) == true,
                "\(outcome.fields)"
            )
            #expect(try await bed.int("SELECT count(*) FROM events") == holder.rows)
            #expect(outcome.ledgerRows == 300 - holder.rows)
            #expect(outcome.unrest == [])
        }
    }

    @Test func `a NULL group and the group of the empty array are two`() async throws {
        let target =
            "  Target: {table: events, key: id, keep_newest: {count: 1, per: [tags], order: [created_at]}}"
        try await withTestBed(targets: target) { bed in
            try await bed.run(
                "CREATE TABLE events (id bigint PRIMARY KEY, created_at timestamp NOT NULL, tags integer[])",
                "INSERT INTO events VALUES (1, now(), '{}'), (2, now() - interval '1 hour', NULL)",
                "INSERT INTO events VALUES (3, now() - interval '2 hours', NULL), (4, now() - interval '3 hours', '{}')"
            )
            let outcome = try #require(try await bed.drain("Target").first)
            expectFinished(outcome, rows: 2)
            #expect(try await bed.strings("SELECT id FROM events ORDER BY id") == ["1", "2"])
        }
    }

    @Test func `groups are found through an index that has their columns in another order`() async throws {
        let target =
            "  Target: {table: events, key: id, keep_newest: {count: 2, per: [a, b], order: [seq]}, strategy: group}"
        try await withTestBed(targets: target) { bed in
            try await bed.run(
                "CREATE TABLE events (id bigint PRIMARY KEY, a integer NOT NULL, b text NOT NULL, seq integer NOT NULL)",
                "INSERT INTO events SELECT n, n % 3, (n % 5)::text, n FROM generate_series(1, 600) AS n",
                "CREATE INDEX ON events (b, a, seq)"
            )
            let outcome = try #require(try await bed.drain("Target").first)
            expectFinished(outcome, rows: 570)
            #expect(try await bed.int("SELECT count(*) FROM events WHERE id > 570") == 30)
        }
    }
}
