import PostgresClient
import RedisClient
import Shared
import TestSupport
import Testing

@testable import Worker

/// What a worker's loop does besides its work.
@Suite(.timeLimit(.minutes(5))) struct WorkerServiceTests {
    @Test func `a worker without a free slot still says that it lives`() async throws {
        let target = "  Target: {table: events, key: id, max_age: {column: created_at, age: 1d}}"
        try await withTestBed(
            targets: target,
            settings:
                "batches: {statement_timeout: 1s, lock_timeout: 100ms, idle_timeout: 1s, duration: 100ms}\nleases: {duration: 3s}"
        ) { bed in
            try await bed.run("CREATE TABLE events (id bigint PRIMARY KEY, created_at timestamp)")
            _ = try await bed.start()
            let locker = try await bed.connect()
            _ = try await locker.query("BEGIN")
            _ = try await locker.query("LOCK TABLE \(bed.ledger.table("run")) IN ACCESS EXCLUSIVE MODE")
            let worker = WorkerService(services: bed.services, queue: bed.queue, concurrency: 1, drains: false)
            try await withThrowingTaskGroup(of: Void.self) { group in
                group.addTask { try await worker.run() }
                try await eventually("its only slot has a step") { try await locker.isWaitedFor() }
                for _ in 0..<3 {
                    let last = try await Self.lastBeat(bed)
                    try await eventually("it says so again") { try await Self.lastBeat(bed) > last }
                }
                group.cancelAll()
            }
            _ = try await locker.query("ROLLBACK")
            await locker.close()
        }
    }

    private static func lastBeat(_ bed: TestBed) async throws -> Int {
        let scores = try await bed.queue.redis.send("ZRANGE", bed.queue.keys.workers, "-1", "-1", "WITHSCORES").array
        return Int(scores?.last?.string ?? "") ?? 0
    }
}
