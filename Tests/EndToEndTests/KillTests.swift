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

    @Test(.timeLimit(.minutes(10)), arguments: ["block", "window"])
    func `ten kills of workers and five of the producer lose no row and count none twice`(strategy: String) async throws
    {
        try await withSandbox(Events.target(strategy: strategy)) { sandbox in
            try await sandbox.createEvents(200_000, fillFactor: 40)
            let before = try await sandbox.rows()
            let run = try await Self.killPlanners(sandbox)
            let kills = Kills(Self.kills)
            async let first: Void = Self.keepKilling(sandbox, run, kills)
            async let second: Void = Self.keepKilling(sandbox, run, kills)
            let final = try await Self.wait(sandbox, run)
            _ = try await (first, second)
            #expect(kills.count == 0, "the run was over before all kills were done")
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
                try await until("the run goes on") {
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
                continue
            }
            #expect(outcome.status == .exited(0), "\(outcome.errors)")
            if isDoomed { kills.giveBack() }
            return
        }
    }

    /// Waits for the run with a producer that is killed twice on the way.
    private static func wait(_ sandbox: Sandbox, _ run: String) async throws -> StatusDocument {
        let enqueue = ["enqueue", "Events", "--batch-rows", "120", "--wait", "--json"]
        for goal in [Int.random(in: 50...300), Int.random(in: 400...900)] {
            let (_, outcome) = try await sandbox.during(.producer, enqueue, environment: Self.shortLeases) { producer in
                try await until("the run goes on") { try await sandbox.field("done", of: run) >= goal }
                producer.send(SIGKILL)
            }
            // On a busy machine the run may have been over first.
            if outcome.status != .killed(by: SIGKILL) {
                #expect(outcome.status == .exited(0), "\(outcome.errors)")
                #expect(try await sandbox.state(of: run) == "finished")
            }
        }
        let outcome = try await sandbox.run(.producer, enqueue, environment: Self.shortLeases)
        #expect(outcome.status == .exited(0), "\(outcome.errors)")
        return try #require(try outcome.json([StatusDocument].self).first)
    }

    /// How many kills are left, for the two that do them.
    private final class Kills: Sendable {
        private let left: Mutex<Int>

        init(_ count: Int) { self.left = Mutex(count) }

        var count: Int { self.left.withLock { $0 } }

        func take() -> Bool {
            self.left.withLock { left in
                guard left > 0 else { return false }
                left -= 1
                return true
            }
        }

        func giveBack() { self.left.withLock { $0 += 1 } }
    }
}
