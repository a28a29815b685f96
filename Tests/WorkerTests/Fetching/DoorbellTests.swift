import RedisClient
import Shared
import Synchronization
import TestSupport
import Testing

@testable import Worker

/// When a wait for work ends.
@Suite(.timeLimit(.minutes(5))) struct DoorbellTests {
    /// What ends a wait of an hour while something happens again and again.
    ///
    /// It waits in slices, and hears nothing between two of them.
    private func heard(
        rows: Int = 0,
        _ happens: @escaping (TestBed, RunRecord) async throws -> Void
    ) async throws -> Doorbell.NewRun? {
        var heard: Doorbell.NewRun?
        let targets = "  Target: {table: events, key: id, max_age: {column: created_at, age: 1d}}"
        try await withTestBed(targets: targets) { bed in
            try await bed.run(
                "CREATE TABLE events (id bigint PRIMARY KEY, created_at timestamp)",
                "INSERT INTO events SELECT n, now() - interval '2 days' FROM generate_series(1, \(rows)) AS n",
                "ANALYZE events"
            )
            let run = try await bed.start()
            let doorbell = Doorbell(queue: try bed.services.queue())
            let isAwake = Mutex(false)
            async let new = {
                defer { isAwake.withLock { $0 = true } }
                return try await doorbell.wait(atMost: .seconds(3600))
            }()
            try await eventually("the wait ends") {
                try await happens(bed, run)
                return isAwake.withLock { $0 }
            }
            heard = try await new
            await doorbell.queue.close()
        }
        return heard
    }

    @Test(arguments: [(150_000, true), (1_000, false)])
    func `a new run ends it, and is told if it is a large one`(rows: Int, isTold: Bool) async throws {
        let new = try await self.heard(rows: rows) { bed, run in
            _ = try await bed.queue.redis.send("DEL", bed.queue.keys.run(run.run))
            try await bed.queue.create(run, generation: 1)
        }
        #expect(new?.target == (isTold ? "Target" : nil))
    }

    @Test func `another event ends it soon`() async throws {
        let new = try await self.heard { bed, run in
            _ = try await bed.queue.pause(run.run)
            _ = try await bed.queue.resume(run.run)
        }
        #expect(new == nil)
    }
}
