import PostgresClient
import Shared
import TestSupport
import Testing

@testable import Worker

/// What is referred to stays, also when the reference comes in the middle of a batch.
@Suite(.timeLimit(.minutes(5))) struct ProtectTests {
    private static func target(_ more: String = "protect: [notes]") -> String {
        "  Target: {table: events, key: id, max_age: {column: created_at, age: 1d}, strategy: block, \(more)}"
    }

    /// So patient that nobody gives way before the other session is done.
    private static let patient = Unhurried.settings("lock_timeout: 1h")

    /// A run with one leased batch of ten expired rows, and a table of notes about them.
    private func withBatch(
        _ settings: String,
        action: String = "CASCADE",
        target: String = Self.target(),
        _ body: (TestBed, BatchExecutor, Lease, RunContext) async throws -> Void
    ) async throws {
        try await withTestBed(targets: target, settings: settings) { bed in
            try await bed.run(
                "CREATE TABLE events (id bigint PRIMARY KEY, created_at timestamp)",
                "INSERT INTO events SELECT n, now() - interval '2 days' FROM generate_series(1, 10) AS n",
                "CREATE TABLE notes (event bigint REFERENCES events ON DELETE \(action))"
            )
            let record = try await bed.start(batchRows: 10_000)
            try await bed.step(record.run)
            let (lease, context) = try await bed.firstLease(of: record)
            try await body(bed, bed.executor(), lease, context)
        }
    }

    /// Inserts a note about row 5, begins `body`, and commits the note once `body` waits for it.
    private func whileNoteIsInserted<Value: Sendable>(
        _ bed: TestBed,
        _ body: @escaping @Sendable (PostgresConnection) async throws -> Value
    ) async throws -> Value {
        let writer = try await bed.connect()
        _ = try await writer.query("BEGIN")
        _ = try await writer.query("INSERT INTO notes VALUES (5)")
        let worker = try await bed.connect()
        let pid = try await worker.query("SELECT pg_backend_pid()").rows[0].text(0)
        async let value = body(worker)
        try await eventually("the batch waits for the writer") {
            try await bed.int("SELECT cardinality(pg_blocking_pids($1::integer))", [pid]) == 1
        }
        _ = try await writer.query("COMMIT")
        let result = try await value
        await worker.close()
        await writer.close()
        return result
    }

    /// Why rows are locked by a statement of their own: one statement is blind to what it waits for.
    @Test func `a single statement takes the row whose reference it has waited for, and the new row with it`()
        async throws
    {
        try await self.withBatch(Self.patient) { bed, _, lease, context in
            let statement = context.statements(generation: 1).delete(try #require(lease.message.range))
            let deleted = try await self.whileNoteIsInserted(bed) { connection in
                try await connection.query(statement.sql, statement.parameters).affectedRows
            }
            #expect(deleted == 10)
            #expect(try await bed.int("SELECT count(*) FROM notes") == 0, "nobody has asked for the note to go")
        }
    }

    @Test(arguments: ["CASCADE", "RESTRICT", "SET NULL"])
    func `a batch keeps the row whose reference comes while it runs`(_ action: String) async throws {
        try await self.withBatch(Self.patient, action: action) { bed, executor, lease, context in
            let outcome = try await self.whileNoteIsInserted(bed) { connection in
                try await executor.run(lease.message, context, .waiting, connection)
            }
            guard case .deleted(let rows, let cascaded, _) = outcome else {
                Issue.record("\(outcome)")
                return
            }
            #expect((rows, cascaded) == (9, 0))
            #expect(try await bed.strings("SELECT id FROM events") == ["5"])
            #expect(try await bed.strings("SELECT event FROM notes") == ["5"])
        }
    }

    @Test func `what somebody has locked is skipped, the others go`() async throws {
        try await self.withBatch(Self.patient) { bed, executor, lease, context in
            let writer = try await bed.connect()
            _ = try await writer.query("BEGIN")
            _ = try await writer.query("INSERT INTO notes VALUES (5)")
            let outcome = try await executor.run(lease.message, context, .skippingLocked, bed.connection)
            guard case .deleted(9, 0, _) = outcome else {
                Issue.record("\(outcome)")
                return
            }
            _ = try await writer.query("COMMIT")
            await writer.close()
            #expect(try await bed.strings("SELECT id FROM events") == ["5"])
        }
    }

    @Test func `a row that appears behind the lock is left alone`() async throws {
        try await self.withBatch("") { bed, _, lease, context in
            let statements = context.statements(generation: 1).batch(
                try #require(lease.message.range),
                skippingLocked: false
            )
            #expect(statements.count == 2)
            let worker = try await bed.connect()
            _ = try await worker.query("BEGIN")
            _ = try await worker.query("SELECT pg_current_xact_id()")
            _ = try await worker.query(statements[0].sql, statements[0].parameters)
            try await bed.run("INSERT INTO events VALUES (11, now() - interval '2 days')")
            let deleted = try await worker.query(statements[1].sql, statements[1].parameters).affectedRows
            _ = try await worker.query("COMMIT")
            await worker.close()
            #expect(deleted == 10)
            #expect(try await bed.strings("SELECT id FROM events") == ["11"])
        }
    }

    @Test(arguments: ["NO ACTION", "RESTRICT"])
    func `rows that a foreign key would hold are kept without a dead letter`(_ action: String) async throws {
        try await withTestBed(targets: Self.target()) { bed in
            try await bed.run(
                "CREATE TABLE events (id bigint PRIMARY KEY, created_at timestamp)",
                "INSERT INTO events SELECT n, now() - interval '2 days' FROM generate_series(1, 500) AS n",
                "CREATE TABLE notes (event bigint REFERENCES events ON DELETE \(action))",
                "INSERT INTO notes SELECT n * 7 FROM generate_series(1, 50) AS n"
            )
            let outcome = try await bed.drain("Target", batchRows: 100)[0]
            expectFinished(outcome, rows: 450)
            #expect(outcome.count("dead") == 0)
        }
    }

    @Test(arguments: [
        ("protect: [note]", #"protect names "note", which has no foreign key to"#),
        ("protect: [notes, tags]", #"protect names "tags", which has no foreign key to"#),
    ])
    func `a table that does not refer to the target is refused`(_ more: String, _ sentence: String) async throws {
        try await withTestBed(targets: Self.target(more)) { bed in
            try await bed.run(
                "CREATE TABLE events (id bigint PRIMARY KEY, created_at timestamp)",
                "CREATE TABLE notes (event bigint REFERENCES events)",
                "CREATE TABLE tags (event bigint)"
            )
            let error = await #expect(throws: PlanningError.self) { try await bed.start() }
            let text = error?.description ?? ""
            #expect(text.contains(sentence) && text.hasSuffix("accepted: notes"), "\(text)")
        }
    }
}
