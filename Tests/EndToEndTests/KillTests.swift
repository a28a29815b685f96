import Foundation
import RedisClient
import Synchronization
import Testing

@Suite struct `Whatever is killed` {
    /// Leases so short that what a killed process held is free again soon; see the settings' own rule.
    private static let shortLeases: [String: String?] = [
        "EBB_LEASES_DURATION": "1500ms",
        "EBB_BATCHES_STATEMENT_TIMEOUT": "700ms",
        "EBB_BATCHES_IDLE_TIMEOUT": "500ms",
        "EBB_BATCHES_LOCK_TIMEOUT": "300ms",
        "EBB_BATCHES_BACKOFF": "50ms",
    ]

    private static let kills = 10

    /// For a part of some thousand batches, which are executed by debug builds.
    private static let patience = Duration.seconds(420)

    @Test(.timeLimit(.minutes(15)), arguments: ["block", "window"])
    func `ten kills of workers and five of the producer lose no row and count none twice`(strategy: String) async throws
    {
        try await withSandbox(Events.target(strategy: strategy)) { sandbox in
            try await sandbox.createEvents(200_000, fillFactor: 40)
            let before = try await sandbox.rows()
            let run = try await Self.killPlanners(sandbox)
            try await sandbox.slowDown(by: 0.04)
            let kills = Kills(Self.kills)
            async let first: Void = Self.keepKilling(sandbox, run, kills)
            async let second: Void = Self.keepKilling(sandbox, run, kills)
            let final = try await Self.wait(sandbox, run, kills)
            _ = try await (first, second)
            #expect(kills.open == 0, "the run was over before all kills were done")
            let deleted = before - (try await sandbox.rows())
            #expect(final.run == run)
            #expect(final.state == "finished")
            #expect(final.error == nil)
            #expect(final.strategy == strategy)
            #expect(final.rows.deleted == deleted)
            #expect(try await sandbox.ledgerSum(of: run) == deleted)
            #expect(final.batches.total > Self.ahead)
            #expect(final.batches.total == final.batches.done)
            try await sandbox.expectSurvivors()
            try await sandbox.expectQueueAtRest()
            #expect(try await sandbox.runs() == [run])
        }
    }

    /// Starts a run with a producer that is killed in the middle of planning, three times over.
    ///
    /// However late a kill comes, the plan is not complete: there are more batches, and blocks, than may be ahead of the workers.
    private static func killPlanners(_ sandbox: Sandbox) async throws -> String {
        let enqueue = ["enqueue", "Events", "--batch-rows", "30", "--wait", "--json"]
        var run = ""
        var total = 0
        for attempt in 1...3 {
            let known = run
            let seen = total
            let (found, outcome) = try await sandbox.during(.producer, enqueue, environment: Self.shortLeases) {
                producer in
                var found = known
                try await until("the plan grows") {
                    if found.isEmpty { found = try await sandbox.runs().first ?? "" }
                    guard !found.isEmpty else { return false }
                    let total = try await sandbox.field("total", of: found)
                    return total > seen || total >= Self.ahead
                }
                producer.send(SIGKILL)
                return found
            }
            #expect(outcome.status == .killed(by: SIGKILL))
            run = found
            total = try await sandbox.field("total", of: run)
            let step = try await sandbox.redis.send("HGET", sandbox.key("run:\(run)"), "step").string
            #expect(step == "plan", "kill \(attempt) came too late: \(total) batches were planned")
        }
        return run
    }

    /// Batches ahead at which planning rests.
    private static let ahead = 4_096

    /// Keeps a worker running until the run is over, and kills it at random moments while there are kills left.
    private static func keepKilling(_ sandbox: Sandbox, _ run: String, _ kills: Kills) async throws {
        while true {
            let isDoomed = kills.take()
            let (isOver, outcome) = try await sandbox.during(.worker, environment: Self.shortLeases) { worker in
                let goal = try await sandbox.field("done", of: run) + Int.random(in: 20...150)
                var isOver = false
                try await until("the run goes on", within: Self.patience) {
                    isOver = try await sandbox.state(of: run) == "finished"
                    if isOver || !worker.isAlive { return true }
                    guard isDoomed else { return false }
                    return try await sandbox.field("done", of: run) >= goal
                }
                if isOver { try await worker.stop() } else { worker.send(SIGKILL) }
                return isOver
            }
            guard isOver else {
                #expect(outcome.status == .killed(by: SIGKILL), "\(outcome.errors)")
                if isDoomed { kills.done() }
                continue
            }
            #expect(outcome.status == .exited(0), "\(outcome.errors)")
            if isDoomed { kills.giveBack() }
            return
        }
    }

    /// Waits for the run with a producer that is killed twice on the way; lets it go fast once the third is there and
    /// all kills are done.
    private static func wait(_ sandbox: Sandbox, _ run: String, _ kills: Kills) async throws -> StatusDocument {
        let enqueue = ["enqueue", "Events", "--batch-rows", "120", "--wait"]
        for goal in [Int.random(in: 50...300), Int.random(in: 400...900)] {
            let (_, outcome) = try await sandbox.during(.producer, enqueue, environment: Self.shortLeases) { producer in
                try await until("the run goes on", within: Self.patience) {
                    try await sandbox.field("done", of: run) >= goal
                }
                producer.send(SIGKILL)
            }
            // On a busy machine the run may have been over first.
            if outcome.status != .killed(by: SIGKILL) {
                #expect(outcome.status == .exited(0), "\(outcome.errors)")
                #expect(try await sandbox.state(of: run) == "finished")
            }
        }
        let found = "run \(run) of "
        let outcome = try await sandbox.run(
            .producer,
            enqueue,
            environment: Self.shortLeases,
            onceOutput: { $0.contains(found) },
            then: { _ in
                try await until("all kills are done", within: Self.patience) { kills.open == 0 }
                try await sandbox.slow(by: 0)
            }
        )
        #expect(outcome.status == .exited(0), "\(outcome.errors)")
        #expect(outcome.output.contains("is not over yet; it goes on"), "\(outcome.output)")
        return try await sandbox.status(of: run)
    }

    /// How many kills are left, for the two that do them.
    private final class Kills: Sendable {
        private struct Counts {
            /// Those that nobody is about to do.
            var free: Int
            /// Those that are not done.
            var open: Int
        }

        private let counts: Mutex<Counts>

        init(_ count: Int) { self.counts = Mutex(Counts(free: count, open: count)) }

        var open: Int { self.counts.withLock { $0.open } }

        func take() -> Bool {
            self.counts.withLock { counts in
                guard counts.free > 0 else { return false }
                counts.free -= 1
                return true
            }
        }

        func giveBack() { self.counts.withLock { $0.free += 1 } }

        func done() { self.counts.withLock { $0.open -= 1 } }
    }
}
