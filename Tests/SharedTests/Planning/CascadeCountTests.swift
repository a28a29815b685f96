import TestSupport
import Testing

@testable import Shared

/// `plan --count` counts what a run then takes.
@Suite(.timeLimit(.minutes(5))) struct CascadeCountTests {
    /// 1,000 rows in ten groups, of which those up to 900 are expired; half of all have ten notes each, of which every second
    /// has two tags.
    private static let tables = [
        "CREATE TABLE events (id bigint PRIMARY KEY, device integer NOT NULL, created_at timestamp)",
        """
        INSERT INTO events
        SELECT n, n % 10, CASE WHEN n <= 900 THEN timestamp '2020-01-01' ELSE now() AT TIME ZONE 'UTC' END + n * interval '1 second'
        FROM generate_series(1, 1000) AS n
        """,
        "CREATE TABLE notes (id bigserial PRIMARY KEY, event bigint REFERENCES events ON DELETE CASCADE)",
        "INSERT INTO notes (event) SELECT n FROM generate_series(1, 500) AS n, generate_series(1, 10)",
        "CREATE TABLE tags (note bigint REFERENCES notes ON DELETE CASCADE, event bigint REFERENCES events ON DELETE CASCADE)",
        "INSERT INTO tags (note) SELECT id FROM notes, generate_series(1, 2) WHERE id % 2 = 0",
        "INSERT INTO tags (event) SELECT n FROM generate_series(501, 1000) AS n",
        "ANALYZE events, notes, tags",
    ]

    /// Counts, and then deletes by plain SQL what is left out by `keep`, to compare.
    private func check(
        _ rule: String,
        then statements: String...,
        delete: String,
        isLeast: Bool = false
    ) async throws {
        let target = "  Target: {table: events, key: id, max_age: {column: created_at, age: 1d}, \(rule)}"
        try await withTestBed(targets: target) { bed in
            for statement in Self.tables + statements { try await bed.run(statement) }
            guard case .on(let knobs) = try bed.target().resolveKnobs(environment: bed.services.environment) else {
                throw UnexpectedState("the target is off")
            }
            let terms = try await RunTerms.now(knobs: knobs, bed.connection)
            let plan = try await Plan.make(
                bed.target(),
                terms: terms,
                duration: .milliseconds(250),
                fixedRows: nil,
                bed.connection
            )
            let count = try await plan.count(terms: terms, namespace: bed.namespace, bed.connection)
            let names = ["events", "notes", "tags"]
            var before: [Int] = []
            for name in names { before.append(try await bed.int("SELECT count(*) FROM \(name)")) }
            try await bed.run("DELETE FROM events WHERE created_at < '2021-01-01' AND \(delete)")
            var gone: [Int] = []
            for (name, rows) in zip(names, before) {
                gone.append(rows - (try await bed.int("SELECT count(*) FROM \(name)")))
            }
            #expect(count.rows == gone[0])
            #expect(gone[0] > 0)
            for (name, rows) in zip(names, gone).dropFirst() {
                let oid = try await bed.int("SELECT '\(name)'::regclass::oid")
                #expect(count.cascaded[oid, default: 0] == rows, "\(name)")
            }
            #expect(count.isLeast == isLeast)
        }
    }

    @Test func `children and grandchildren, each row once`() async throws {
        try await self.check("strategy: block", delete: "true")
    }

    @Test func `what keep_newest keeps is left out`() async throws {
        try await self.check(
            "keep_newest: {count: 50, per: [device], order: [created_at]}",
            delete: "id <= 500"
        )
    }

    @Test func `what is protected is left out`() async throws {
        try await self.check("protect: [notes]", delete: "id > 500")
    }

    @Test func `children that refer to their own table`() async throws {
        try await self.check(
            "strategy: block",
            then: "ALTER TABLE notes ADD parent bigint REFERENCES notes ON DELETE CASCADE",
            "INSERT INTO notes (parent) SELECT id FROM notes WHERE id % 7 = 0",
            "INSERT INTO notes (parent) SELECT id FROM notes WHERE event IS NULL",
            delete: "true"
        )
    }

    @Test func `circles are counted as far as they can be, and said to be`() async throws {
        try await self.check(
            "strategy: block",
            then: "ALTER TABLE tags ADD id bigserial UNIQUE",
            "ALTER TABLE notes ADD tag bigint REFERENCES tags (id) ON DELETE CASCADE",
            delete: "true",
            isLeast: true
        )
    }
}
