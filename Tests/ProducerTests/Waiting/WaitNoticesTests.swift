import Shared
import TestSupport
import Testing

@testable import Producer

/// What somebody who waits for a run is warned of.
@Suite(.timeLimit(.minutes(5))) struct WaitNoticesTests {
    private static let target = "  Target: {table: things, key: id, max_age: {column: at, age: 1d}}\n"

    /// What is told of a run, looked at twice, to somebody who has waited for twice his patience, or just begun.
    private func told(
        hasWaited: Bool = true,
        hasWorker: Bool = false,
        _ change: (TestBed, _ run: String) async throws -> Void = { _, _ in }
    ) async throws -> [String] {
        try await withTestBed(targets: Self.target) { bed in
            try await bed.run("CREATE TABLE things (id integer PRIMARY KEY, at timestamptz)")
            let run = try await bed.start().run
            if hasWorker { _ = try await bed.queue.beat([], consumer: "worker") }
            try await change(bed, run)
            let log = MessageLog()
            let patience = Duration.seconds(600)
            let began = ContinuousClock.now - (hasWaited ? patience * 2 : .zero)
            var notices = WaitNotices(logger: log.logger, patience: patience, since: began)
            for _ in 0..<2 { try await notices.look(at: try await bed.queue.status(of: run), bed.queue) }
            return log.all.map { $0.replacing(run, with: "RUN") }
        }
    }

    @Test func `that no worker is alive, once and not at once`() async throws {
        let told = try await self.told()
        #expect(
            told.count == 1 && told[0].hasPrefix("warning no worker is alive, and the run waits for one"),
            "\(told)"
        )
        #expect(try await self.told(hasWaited: false) == [])
        #expect(try await self.told(hasWorker: true) == [])
    }

    @Test func `of a pause, once and at once`() async throws {
        let told = try await self.told(hasWaited: false) { bed, run in
            try await bed.services.runControl(bed.queue).pause(run)
        }
        #expect(
            told.count == 1 && told[0].hasPrefix("warning the run is paused, until: producer resume RUN"),
            "\(told)"
        )
    }

    @Test func `of nothing when the run is over`() async throws {
        let told = try await self.told { bed, run in
            try await bed.services.runControl(bed.queue).cancel(run, bed.connection)
            try await bed.step(run)
        }
        #expect(told == [])
    }
}
