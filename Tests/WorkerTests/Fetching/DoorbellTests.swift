import Logging
import PostgresClient
import RedisClient
import Shared
import Synchronization
import TestSupport
import Testing

@testable import Worker

/// What an idle worker does about a run that was just created.
@Suite(.timeLimit(.minutes(5))) struct DoorbellTests {
    /// Lets an idle worker hear of a new run over so many rows.
    ///
    /// Gives the run and the worker's memory of runs as they were when it looked for work again.
    private func hear(
        ofRows rows: Int,
        _ body: (RunContexts, RunRecord, PostgresConnection) async throws -> Void
    )
        async throws
    {
        try await withTestBed(targets: "  Target: {table: events, key: id, max_age: {column: created_at, age: 1d}}") {
            bed in
            try await bed.run(
                "CREATE TABLE events (id bigint PRIMARY KEY, created_at timestamp)",
                "INSERT INTO events SELECT n, now() - interval '2 days' FROM generate_series(1, \(rows)) AS n",
                "ANALYZE events"
            )
            let contexts = bed.services.runContexts()
            let doorbell = Doorbell(
                queue: try bed.services.queue(),
                contexts: contexts,
                pool: ConnectionPool(try bed.services.postgresConfiguration(as: "ebb test")),
                logger: Logger(label: "ebb.test")
            )
            let run = try await bed.start()
            let isAwake = Mutex(false)
            async let woken: Void = {
                try await doorbell.wait(atMost: .seconds(240))
                isAwake.withLock { $0 = true }
            }()
            // It waits in slices, and hears nothing between two of them.
            try await eventually("it hears of the run") {
                _ = try await bed.queue.redis.send("DEL", bed.queue.keys.run(run.run))
                try await bed.queue.create(run, generation: 1)
                return isAwake.withLock { $0 }
            }
            try await woken
            await doorbell.queue.close()
            let closed = try await bed.connect()
            await closed.close()
            try await body(contexts, run, closed)
        }
    }

    @Test func `it reads what batches of a large one need`() async throws {
        try await self.hear(ofRows: 120_000) { contexts, run, closed in
            // Known by now, so that no connection is needed.
            let context = try await contexts.context(run.run, closed)
            #expect(context.record.run == run.run)
        }
    }

    @Test func `it looks for work soon, and leaves a small one to whoever gets its batches`() async throws {
        try await self.hear(ofRows: 1_000) { contexts, run, closed in
            await #expect(throws: PostgresError.self) { _ = try await contexts.context(run.run, closed) }
        }
    }
}
