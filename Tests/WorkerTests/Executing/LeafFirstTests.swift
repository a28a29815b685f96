import PostgresClient
import Shared
import TestSupport
import Testing

@testable import Worker

/// Rows that hang on others, when children come in the middle of a batch.
@Suite(.timeLimit(.minutes(5))) struct LeafFirstTests {
    private static func target(_ more: String = "order: leaf_first(parent)") -> String {
        "  Target: {table: events, key: id, max_age: {column: created_at, age: 1d}, strategy: block, \(more)}"
    }

    private static let table = [
        "CREATE TABLE events (id bigint PRIMARY KEY, created_at timestamp, parent bigint REFERENCES events)",
        "CREATE INDEX ON events (parent)",
    ]

    /// Two chains of five expired rows, 1 to 5 and 6 to 10, each row on the one before it, and one leased batch.
    private func withBatch(
        _ body: (TestBed, BatchExecutor, Lease, RunContext) async throws -> Void
    ) async throws {
        try await withTestBed(targets: Self.target(), settings: Unhurried.settings("lock_timeout: 1h")) { bed in
            for statement in Self.table { try await bed.run(statement) }
            try await bed.run(
                "INSERT INTO events SELECT n, now() - interval '2 days', CASE WHEN n NOT IN (1, 6) THEN n - 1 END FROM generate_series(1, 10) AS n"
            )
            let record = try await bed.start(batchRows: 10_000)
            try await bed.step(record.run)
            let (lease, context) = try await bed.firstLease(of: record)
            try await body(bed, bed.executor(), lease, context)
        }
    }

    /// A child's rows have the same places as those of its parent.
    @Test func `rows of a table that inherits stay, though expired ones have the same ctid`() async throws {
        let target =
            "  Target: {table: events, key: id, max_age: {column: created_at, age: 1d}, order: leaf_first(parent)}"
        try await withTestBed(targets: target, settings: "vacuum: off") { bed in
            for statement in Self.table { try await bed.run(statement) }
            try await bed.run(
                "CREATE TABLE young () INHERITS (events)",
                "INSERT INTO events SELECT n, now() - interval '2 days' FROM generate_series(1, 10) AS n",
                "INSERT INTO young SELECT 100 + n, now() FROM generate_series(1, 10) AS n"
            )
            expectFinished(try await bed.drain("Target")[0], rows: 10)
            #expect(try await bed.int("SELECT count(*) FROM young") == 10)
        }
    }

    @Test func `a row whose child is just being inserted stays with what it hangs on, and nobody waits`() async throws {
        try await self.withBatch { bed, _, lease, context in
            let statements = context.statements(generation: 1).batch(
                try #require(lease.message.range),
                skippingLocked: false
            )
            #expect(statements.count == 2)
            let writer = try await bed.connect()
            _ = try await writer.query("BEGIN")
            _ = try await writer.query("INSERT INTO events VALUES (11, now(), 3)")
            let deleted = try await bed.connection.transaction { connection in
                _ = try connection.run("SELECT pg_current_xact_id()")
                _ = try connection.run(statements[0].sql, statements[0].parameters)
                return try connection.run(statements[1].sql, statements[1].parameters).affectedRows
            }
            _ = try await writer.query("COMMIT")
            await writer.close()
            #expect(deleted == 7)
            #expect(try await bed.strings("SELECT id FROM events ORDER BY id") == ["1", "2", "3", "11"])
        }
    }

    @Test func `a child that was inserted between the snapshot and the lock is seen`() async throws {
        try await self.withBatch { bed, _, lease, context in
            let statements = context.statements(generation: 1).batch(
                try #require(lease.message.range),
                skippingLocked: false
            )
            let worker = try await bed.connect()
            _ = try await worker.query("BEGIN")
            _ = try await worker.query("SELECT pg_current_xact_id()")
            _ = try await worker.query(statements[0].sql, statements[0].parameters)
            // As if its lock had been there before ours: no check holds this one up.
            try await bed.run("SET session_replication_role = replica", "INSERT INTO events VALUES (11, now(), 8)")
            try await bed.run("SET session_replication_role = origin")
            let deleted = try await worker.query(statements[1].sql, statements[1].parameters).affectedRows
            _ = try await worker.query("COMMIT")
            await worker.close()
            #expect(deleted == 7)
            #expect(try await bed.strings("SELECT id FROM events ORDER BY id") == ["6", "7", "8", "11"])
        }
    }

    @Test func `behind the lock nobody inserts a child`() async throws {
        try await self.withBatch { bed, _, lease, context in
            let statements = context.statements(generation: 1).batch(
                try #require(lease.message.range),
                skippingLocked: false
            )
            let worker = try await bed.connect()
            _ = try await worker.query("BEGIN")
            _ = try await worker.query("SELECT pg_current_xact_id()")
            _ = try await worker.query(statements[0].sql, statements[0].parameters)
            let writer = try await bed.connect()
            let pid = try await writer.query("SELECT pg_backend_pid()").rows[0].text(0)
            async let inserted = writer.query("INSERT INTO events VALUES (11, now(), 3)")
            try await eventually("the writer waits for the batch") {
                try await bed.int("SELECT cardinality(pg_blocking_pids($1::integer))", [pid]) == 1
            }
            let deleted = try await worker.query(statements[1].sql, statements[1].parameters).affectedRows
            _ = try await worker.query("COMMIT")
            #expect(deleted == 10)
            do {
                _ = try await inserted
                Issue.record("a row hangs on nothing")
            } catch SQLState.foreignKeyViolation {}
            await worker.close()
            await writer.close()
            #expect(try await bed.strings("SELECT id FROM events") == [])
        }
    }

    @Test func `a refused plain delete has not happened, and the batch goes on with care`() async throws {
        try await self.withBatch { bed, executor, lease, context in
            try await bed.run("INSERT INTO events VALUES (11, now(), 3)")
            let outcome = try await executor.run(lease.message, context, .waiting, bed.connection)
            guard case .deleted(7, 0, _) = outcome else {
                Issue.record("\(outcome)")
                return
            }
            #expect(try await bed.strings("SELECT id FROM events ORDER BY id") == ["1", "2", "3", "11"])
        }
    }

    @Test func `a run ends although it keeps rows, and counts what went`() async throws {
        try await withTestBed(targets: Self.target(), settings: "vacuum: off") { bed in
            for statement in Self.table { try await bed.run(statement) }
            // Chains of 20 across the table; of every third one the last row is young.
            try await bed.run(
                """
                INSERT INTO events
                SELECT n, now() AT TIME ZONE 'UTC' - CASE WHEN n / 1000 = 19 AND n % 1000 % 3 = 0 THEN interval '1 hour' ELSE interval '3 days' END,
                       CASE WHEN n >= 1000 THEN n - 1000 END
                FROM generate_series(0, 19999) AS n
                """
            )
            let outcome = try await bed.drain("Target", batchRows: 500)[0]
            expectFinished(outcome, rows: 666 * 20)
            #expect(outcome.count("dead") == 0)
            #expect(try await bed.int("SELECT count(*) FROM events WHERE id % 1000 % 3 = 0") == 334 * 20)
        }
    }

    @Test func `slots whose chains meet do not lock each other out`() async throws {
        try await withTestBed(targets: Self.target(), settings: "vacuum: off") { bed in
            for statement in Self.table { try await bed.run(statement) }
            // Every chain has rows in every batch, up in some and down in others.
            try await bed.run(
                """
                INSERT INTO events
                SELECT n, now() - interval '3 days', NULL FROM generate_series(0, 29999) AS n
                """,
                """
                UPDATE events SET parent = id + CASE WHEN id % 2 = 0 THEN 100 ELSE -100 END
                WHERE id + CASE WHEN id % 2 = 0 THEN 100 ELSE -100 END BETWEEN 0 AND 29999
                """
            )
            let record = try await bed.start(batchRows: 300)
            try await bed.work(slots: 4)
            expectFinished(try await bed.outcome(of: record.run), rows: 30_000)
        }
    }

    @Test(arguments: [
        ("parent bigint", "leaf_first needs a foreign key of"),
        ("parent bigint REFERENCES events ON DELETE SET NULL", "leaf_first needs a foreign key of"),
        ("parent bigint REFERENCES events, other bigint", "has no index; run CREATE INDEX CONCURRENTLY ON"),
    ])
    func `a table that cannot be emptied leaf first is refused`(_ columns: String, _ sentence: String) async throws {
        try await withTestBed(targets: Self.target()) { bed in
            try await bed.run("CREATE TABLE events (id bigint PRIMARY KEY, created_at timestamp, \(columns))")
            let error = await #expect(throws: PlanningError.self) { try await bed.start() }
            #expect(error?.description.contains(sentence) == true, "\(error?.description ?? "")")
        }
    }
}
