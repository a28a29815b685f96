import Foundation
import PostgresClient
import Shared
import Synchronization
import TestSupport
import Testing

@testable import Producer

/// The order of stages and who executes them; the stages are small programs.
@Suite(.timeLimit(.minutes(5))) struct ProcedureExecutorTests {
    /// Hooks that append their names to a table's worth of nothing: what ran, and in which order, is in the ledger.
    private static func settings(_ stages: String) -> String {
        """
        presets: []
        hooks:
          Good: {command: {argv: [/bin/true]}}
          Good2: {command: {argv: [/bin/true]}}
          Bad: {command: {argv: [/bin/false]}}
          Tell: {command: {argv: [/bin/echo, "failed so far: {failed}"]}}
          Slow: {command: {argv: [/bin/sleep, "60"], timeout: 2m}}
        procedure:
          time_zone: UTC
          stages:
        \(stages)
        """
    }

    private func withProcedure(
        _ stages: String,
        ownClock: Bool = false,
        _ body: (TestBed) async throws -> Void
    ) async throws {
        try await withTestBed(settings: Self.settings(stages), ownClock: ownClock, body)
    }

    @Test func `stages run one after the other, in their order`() async throws {
        try await self.withProcedure("    - {hook: Good2}\n    - {hook: Good}\n") { bed in
            let record = try await bed.procedure()
            #expect(record.state == .finished && record.error == nil)
            #expect(record.states == ["Good2: finished", "Good: finished"])
            let (first, second) = (try record.stage("Good2"), try record.stage("Good"))
            #expect(try #require(first.finishedAt) <= #require(second.startedAt))
            #expect(first.detail?["outcome"] == .string("done"))
        }
    }

    @Test func `a stage that fails is recorded, and the others run`() async throws {
        try await self.withProcedure("    - {hook: Bad}\n    - {hook: Good}\n") { bed in
            let record = try await bed.procedure()
            #expect(record.state == .failed && record.error == "stage Bad failed")
            #expect(record.states == ["Bad: failed", "Good: finished"])
            #expect(try record.stage("Bad").reason != nil)
        }
    }

    @Test func `a hook hears of the stages before it`() async throws {
        try await self.withProcedure("    - {hook: Bad}\n    - {hook: Tell}\n") { bed in
            let record = try await bed.procedure()
            #expect(try record.stage("Tell").detail?["output"] == .string("failed so far: Bad\n"))
        }
    }

    @Test func `a stage may stop those after it`() async throws {
        try await self.withProcedure("    - {hook: Bad, on_failure: stop}\n    - {hook: Good}\n") { bed in
            let record = try await bed.procedure()
            #expect(record.state == .failed)
            #expect(record.states == ["Bad: failed", "Good: skipped"])
            #expect(try record.stage("Good").reason?.hasPrefix("stage Bad failed: ") == true)
        }
    }

    @Test func `stages are switched off, left out and picked`() async throws {
        try await self.withProcedure("    - {hook: Good, enabled: no}\n    - {hook: Good2}\n    - {hook: Bad}\n") {
            bed in
            let skipped = try await bed.procedure(selection: StageSelection(skip: ["Bad"]))
            #expect(skipped.state == .finished)
            #expect(skipped.states == ["Good: off", "Good2: finished", "Bad: skipped"])
            #expect(try skipped.stage("Bad").reason == "left out by --skip")
            let only = try await bed.procedure(selection: StageSelection(only: ["Good2"]))
            #expect(only.states == ["Good: skipped", "Good2: finished", "Bad: skipped"])
            #expect(try only.stage("Bad").reason == "not named by --only")
        }
    }

    @Test func `a stage runs inside its window only, which may wrap midnight`() async throws {
        let stages = "    - {hook: Good, window: \"22:00-06:00\"}\n    - {hook: Good2, window: \"08:00-09:00\"}\n"
        try await self.withProcedure(stages, ownClock: true) { bed in
            try await bed.setClock("2031-05-21 03:00:00Z")
            let night = try await bed.procedure()
            #expect(night.states == ["Good: finished", "Good2: skipped"] && night.state == .finished)
            #expect(try night.stage("Good2").reason == "outside its window 08:00-09:00 (UTC)")
            try await bed.setClock("2031-05-21 08:30:00Z")
            #expect(try await bed.procedure().states == ["Good: skipped", "Good2: finished"])
        }
    }

    @Test func `a window that closes ends its stage`() async throws {
        let stages = "    - {hook: Slow, window: \"22:00-06:00\"}\n    - {hook: Good}\n"
        try await self.withProcedure(stages, ownClock: true) { bed in
            try await bed.setClock("2031-05-21 05:59:59Z", isStill: true)
            let record = try await bed.procedure()
            #expect(record.states == ["Slow: failed", "Good: finished"])
            #expect(try record.stage("Slow").reason == "its window 22:00-06:00 closed")
        }
    }

    @Test func `a stage that takes too long ends, failed`() async throws {
        try await self.withProcedure("    - {hook: Slow, timeout: 500ms}\n    - {hook: Good}\n") { bed in
            let record = try await bed.procedure()
            #expect(record.states == ["Slow: failed", "Good: finished"])
            #expect(try record.stage("Slow").reason == "timed out")
        }
    }

    @Test func `two at once are impossible`() async throws {
        try await self.withProcedure("    - {hook: Good}\n") { bed in
            let bed = try bed.withLongLeases()
            let first = try bed.executor()
            guard case .owned(let record, true) = try await bed.begin(first) else {
                throw UnexpectedState("the first did not begin")
            }
            let second = try bed.executor()
            guard case .alive(let other) = try await bed.begin(second) else {
                throw UnexpectedState("the second began, too")
            }
            #expect(other.id == record.id && !other.isLapsed)
            #expect(try await first.execute(record, isNew: true).state == .finished)
            guard case .owned(_, true) = try await bed.begin(second) else {
                throw UnexpectedState("nothing begins after the end")
            }
        }
    }

    @Test func `of many that race to begin, one does`() async throws {
        try await self.withProcedure("    - {hook: Good}\n") { bed in
            let bed = try bed.withLongLeases()
            try await bed.ledger.setup(bed.connection)
            let owned = try await withThrowingTaskGroup(of: Bool.self) { group in
                for _ in 0..<8 {
                    group.addTask {
                        let executor = try bed.executor()
                        return try await executor.pool.withConnection { connection in
                            let start = try await bed.ledger.startProcedure(
                                executor.procedure.stages,
                                selection: StageSelection(),
                                owner: executor.owner,
                                lease: executor.lease,
                                connection
                            )
                            if case .owned = start { return true } else { return false }
                        }
                    }
                }
                return try await group.reduce(0) { $0 + ($1 ? 1 : 0) }
            }
            #expect(owned == 1)
        }
    }

    @Test func `one whose owner has vanished is gone on with at the stage where it stood`() async throws {
        try await self.withProcedure("    - {hook: Good}\n    - {hook: Good2}\n    - {hook: Bad}\n") { bed in
            let first = try bed.executor()
            guard case .owned(let record, true) = try await bed.begin(first) else {
                throw UnexpectedState("it did not begin")
            }
            try await bed.ledger.endStage(
                record.stages[0],
                of: record.id,
                owner: first.owner,
                Ledger.StageEnd(.finished, rows: 7),
                bed.connection
            )
            try await bed.ledger.beginStage(record.stages[1], of: record.id, owner: first.owner, bed.connection)
            try await bed.lapse()
            #expect(try await bed.ledger.procedures(1, bed.connection).first?.isLapsed == true)
            let second = try bed.executor()
            guard case .owned(let taken, false) = try await bed.begin(second) else {
                throw UnexpectedState("it was not taken over")
            }
            #expect(taken.id == record.id && taken.takenOver == 1)
            // The first one, come back, can write nothing any more.
            await #expect(throws: LeaseLost.self) {
                try await bed.ledger.endStage(
                    record.stages[1],
                    of: record.id,
                    owner: first.owner,
                    Ledger.StageEnd(.failed),
                    bed.connection
                )
            }
            let isBeating = try await bed.ledger.beatProcedure(
                record.id,
                owner: first.owner,
                lease: .seconds(1),
                bed.connection
            )
            #expect(!isBeating)
            let isEnding = try await bed.ledger.finishProcedure(
                record.id,
                owner: first.owner,
                error: nil,
                bed.connection
            )
            #expect(!isEnding)
            let ended = try await second.execute(taken, isNew: false)
            #expect(ended.states == ["Good: finished", "Good2: finished", "Bad: failed"])
            #expect(try ended.stage("Good").rows == 7)
        }
    }

    @Test func `an owner that is told that it has lost the run stops`() async throws {
        try await self.withProcedure("    - {hook: Slow}\n") { bed in
            let first = try bed.executor()
            guard case .owned(let record, true) = try await bed.begin(first) else {
                throw UnexpectedState("it did not begin")
            }
            try await bed.run("UPDATE \(bed.ledger.table("procedure_run")) SET owner = 'somebody else'")
            // At the latest with the first beat, long before the hook ends.
            await #expect(throws: LeaseLost.self) { try await first.execute(record, isNew: true) }
        }
    }

    @Test func `who is told to stop says so in the ledger`() async throws {
        try await self.withProcedure("    - {hook: Slow}\n    - {hook: Good}\n") { bed in
            let executor = try bed.executor()
            guard case .owned(let record, true) = try await bed.begin(executor) else {
                throw UnexpectedState("it did not begin")
            }
            let work = Task { try await executor.execute(record, isNew: true) }
            try await eventually("the first stage runs") {
                try await bed.ledger.procedure(record.id, bed.connection)?.stages[0].state == .running
            }
            work.cancel()
            await #expect(throws: CancellationError.self) { try await work.value }
            let ended = try await executor.stop(record, reason: "stopped by SIGTERM")
            #expect(ended.state == .failed && ended.error == "stopped by SIGTERM")
            #expect(ended.states == ["Slow: failed", "Good: skipped"])
        }
    }

    @Test func `who watches is told all, and the event log, too`() async throws {
        final class Watch: ProcedureObserver {
            let told = Mutex<[String]>([])

            func note(_ news: ProcedureNews) async {
                let text =
                    switch news {
                    case .began(_, let isNew): "began \(isNew)"
                    case .stageBegan(_, let stage): "\(stage.name) began"
                    case .progress(let stage, _, _): "\(stage.name) goes on"
                    case .waits(let stage): "\(stage.name) waits"
                    case .stageEnded(_, let stage): "\(stage.name) \(stage.state.rawValue)"
                    case .ended(let record): record.state.rawValue
                    }
                self.told.withLock { $0.append(text) }
            }
        }
        try await self.withProcedure("    - {hook: Good}\n    - {hook: Bad}\n") { bed in
            let watch = Watch()
            let record = try await bed.procedure([watch, ProcedureTeller(bed.services, bed.queue)])
            #expect(
                watch.told.withLock { $0 } == [
                    "began true", "Good began", "Good finished", "Bad began", "Bad failed", "failed",
                ]
            )
            let events = try await bed.queue.events.latest(100).filter { $0.subject == record.id }
            let whole = events.filter { $0.topic == "maintenance" }
            #expect(whole.first?.status == "in_progress" && whole.last?.status == "failed")
            #expect(whole.last?.progress == 100 && whole.last?.error == "stage Bad failed")
            #expect(whole.contains { $0.description == "Good" } && whole.contains { $0.description == "Bad" })
            let stages = events.filter { $0.topic == "stage" }.map { "\($0.target) \($0.status)" }
            #expect(stages == ["Good running", "Good finished", "Bad running", "Bad failed"])
        }
    }

    @Test func `a stage that the executing program does not have fails`() async throws {
        try await self.withProcedure("    - {hook: Good}\n") { bed in
            var executor = try bed.executor()
            guard case .owned(let record, true) = try await bed.begin(executor) else {
                throw UnexpectedState("it did not begin")
            }
            executor.procedure.stages = []
            let ended = try await executor.execute(record, isNew: true)
            #expect(ended.states == ["Good: failed"])
        }
    }
}
