import PostgresClient
import Shared
import TestSupport
import Testing

@testable import Worker

extension TestBed {
    /// Writes that a batch ended, as a worker does.
    func end(_ message: BatchMessage, as outcome: Ledger.BatchOutcome) async throws -> Ledger.BatchRecord? {
        let limits = self.services.configuration.batches.timeLimits
        return try await self.ledger.end(
            message.run,
            message.batch,
            as: outcome,
            limits: limits,
            self.connection
        )
    }
}

/// One batch is one transaction with at most one effect.
@Suite(.timeLimit(.minutes(5))) struct BatchExecutorTests {
    private static let target =
        "  Target: {table: events, key: id, max_age: {column: created_at, age: 1d}, strategy: block}"

    /// A run with one leased batch of 300 expired rows, 100 of which have two children each.
    private func withBatch(_ body: (TestBed, BatchExecutor, Lease, RunContext) async throws -> Void) async throws {
        try await withTestBed(targets: Self.target, settings: Unhurried.settings("lock_timeout: 50ms")) { bed in
            try await bed.run(
                "CREATE TABLE events (id bigint PRIMARY KEY, created_at timestamp)",
                "INSERT INTO events SELECT n, now() - interval '2 days' FROM generate_series(1, 300) AS n",
                "CREATE TABLE children (id bigserial PRIMARY KEY, event bigint REFERENCES events ON DELETE CASCADE)",
                "CREATE TABLE grandchildren (child bigint REFERENCES children ON DELETE CASCADE)",
                "INSERT INTO children (event) SELECT n FROM generate_series(1, 100) AS n, generate_series(1, 2)",
                "INSERT INTO grandchildren SELECT id FROM children WHERE id <= 7",
                "CREATE INDEX ON children (event)",
                "CREATE INDEX ON grandchildren (child)"
            )
            let record = try await bed.start(batchRows: 10_000)
            try await bed.step(record.run)
            let work = try await bed.queue.poll(
                Queue.Poll(consumer: "test", lease: .seconds(15), slots: 2, reclaim: nil)
            )
            #expect(work.leases.count == 1)
            let lease = try #require(work.leases.first)
            let context = try await RunContext.load(
                record.run,
                catalog: bed.services.catalog,
                ledger: bed.ledger,
                bed.connection
            )
            let executor = bed.executor()
            try await body(bed, executor, lease, context)
        }
    }

    @Test func `rows lost by cascade are counted exactly, also in a session that has deleted before`() async throws {
        try await self.withBatch { bed, executor, lease, context in
            try await bed.run("DELETE FROM children WHERE event > 90")
            let outcome = try await executor.run(lease.message, context, .waiting, bed.connection)
            guard case .deleted(let rows, let cascaded, let microseconds) = outcome else {
                Issue.record("\(outcome)")
                return
            }
            #expect((rows, cascaded) == (300, 187))
            #expect(microseconds > 0)
            #expect(try await bed.int("SELECT cascaded FROM \(bed.ledger.table("batch"))") == 187)
        }
    }

    @Test func `a batch that was settled before deletes nothing and returns the ledger's figures`() async throws {
        try await self.withBatch { bed, executor, lease, context in
            _ = try await executor.run(lease.message, context, .waiting, bed.connection)
            try await bed.run("INSERT INTO events VALUES (1, now() - interval '9 days')")
            let again = try await executor.run(lease.message, context, .waiting, bed.connection)
            #expect(again == .endedBefore(.init(outcome: .done, rows: 300, cascaded: 207)))
            #expect(try await bed.int("SELECT count(*) FROM events") == 1)
            #expect(await bed.connection.isUsable)
        }
    }

    @Test func `a batch that was given up on is never executed`() async throws {
        try await self.withBatch { bed, executor, lease, context in
            let message = lease.message
            let record = try await bed.end(message, as: .dead)
            #expect(record == .init(outcome: .dead, rows: 0, cascaded: 0))
            let outcome = try await executor.run(lease.message, context, .waiting, bed.connection)
            #expect(outcome == .endedBefore(.init(outcome: .dead, rows: 0, cascaded: 0)))
            #expect(try await bed.int("SELECT count(*) FROM events") == 300)
        }
    }

    @Test func `giving up on a settled batch leaves it settled`() async throws {
        try await self.withBatch { bed, executor, lease, context in
            _ = try await executor.run(lease.message, context, .waiting, bed.connection)
            let message = lease.message
            let record = try await bed.end(message, as: .dead)
            #expect(record == .init(outcome: .done, rows: 300, cascaded: 207))
        }
    }

    @Test func `while a predecessor is at the batch nothing happens, and if it fails the batch can be done`()
        async throws
    {
        try await self.withBatch { bed, executor, lease, context in
            let predecessor = try await bed.connect()
            _ = try await predecessor.query("BEGIN")
            _ = try await predecessor.query(
                "INSERT INTO \(bed.ledger.table("batch")) (run, batch, outcome) VALUES ($1, $2, 'done')",
                [lease.message.run, lease.message.batch]
            )
            #expect(try await executor.run(lease.message, context, .waiting, bed.connection) == .predecessorAlive)
            #expect(try await bed.int("SELECT count(*) FROM events") == 300)
            await predecessor.close()
            try await eventually("the predecessor's transaction is over") {
                if case .deleted(300, 207, _) = try await executor.run(lease.message, context, .waiting, bed.connection)
                {
                    true
                } else {
                    false
                }
            }
        }
    }

    @Test func `no setting of a batch outlives its transaction`() async throws {
        try await self.withBatch { bed, executor, lease, context in
            let all = "SELECT name || '=' || setting FROM pg_settings WHERE name <> 'transaction_isolation' ORDER BY 1"
            let before = try await bed.strings(all)
            _ = try await executor.run(lease.message, context, .waiting, bed.connection)
            #expect(try await bed.strings(all) == before)
            _ = try await executor.run(lease.message, context, .waiting, bed.connection)
            #expect(try await bed.strings(all) == before)
        }
    }

    @Test func `a delete that fails leaves no trace, and the session can go on`() async throws {
        try await self.withBatch { bed, executor, lease, context in
            try await bed.run(
                "CREATE TABLE holder (event bigint REFERENCES events)",
                "INSERT INTO holder VALUES (150)"
            )
            let error = await #expect(throws: PostgresError.self) {
                try await executor.run(lease.message, context, .waiting, bed.connection)
            }
            #expect(error?.sqlState == .foreignKeyViolation)
            #expect(try await bed.int("SELECT count(*) FROM \(bed.ledger.table("batch"))") == 0)
            #expect(try await bed.int("SELECT count(*) FROM events") == 300)
        }
    }
}
