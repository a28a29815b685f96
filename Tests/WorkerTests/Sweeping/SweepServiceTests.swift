import Foundation
import RedisClient
import Shared
import Synchronization
import TestSupport
import Testing

@testable import Worker

@Suite struct SweepServiceTests {
    private static func withBed(_ body: (TestBed, String) async throws -> Void) async throws {
        try await withTestBed { bed in
            let prefix = "{\(bed.namespace)}:session-"
            try await body(bed, prefix)
        }
    }

    private static func sweep(_ bed: TestBed, _ prefix: String) -> SessionSweep {
        SessionSweep(
            layout: SessionLayout(
                name: "test",
                before: prefix,
                after: "",
                time: .json(["exp"]),
                lifetime: .zero
            ),
            queue: bed.queue,
            lease: .seconds(15),
            tokenForm: .prefix,
            database: nil,
            logger: bed.services.logger
        )
    }

    @Test func `sweeps again and again until it is stopped`() async throws {
        try await Self.withBed { bed, prefix in
            let reports = Mutex<[SweepReport]>([])
            let service = SweepService(
                sweep: Self.sweep(bed, prefix),
                interval: .milliseconds(5),
                isOnce: false,
                logger: bed.services.logger,
                show: { report in reports.withLock { $0.append(report) } }
            )
            try await withThrowingTaskGroup { group in
                group.addTask { try await service.run() }
                for number in 0..<3 {
                    _ = try await bed.queue.redis.send("SET", "\(prefix)\(number)", "{\"exp\":5}")
                    try await eventually("session \(number) goes") {
                        try await bed.queue.redis.send("EXISTS", "\(prefix)\(number)").int == 0
                    }
                }
                group.cancelAll()
                try await group.waitForAll()
            }
            #expect(reports.withLock { $0.map(\.deleted).reduce(0, +) } == 3)
            // The one that was stopped holds no lease.
            #expect(try await bed.queue.redis.send("EXISTS", "{\(bed.namespace)}:sweep").int == 0)
        }
    }

    @Test func `once is once, and says so when another is at work`() async throws {
        try await Self.withBed { bed, prefix in
            let reports = Mutex<[SweepReport]>([])
            let service = SweepService(
                sweep: Self.sweep(bed, prefix),
                interval: .seconds(3_600),
                isOnce: true,
                logger: bed.services.logger,
                show: { report in reports.withLock { $0.append(report) } }
            )
            try await service.run()
            try await service.run()
            _ = try await bed.queue.redis.send("SET", "{\(bed.namespace)}:sweep", "another", "PX", "60000")
            try await service.run()
            #expect(reports.withLock { $0.map(\.outcome) } == [.finished, .finished, .elsewhere])
        }
    }
}
