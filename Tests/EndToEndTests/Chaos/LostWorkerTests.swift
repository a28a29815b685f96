import Foundation
import RedisClient
import Testing

@Suite struct `A worker that is gone` {
    /// Rows, in batches of one, that take half a second each to delete: far more than are needed before the look is done.
    private static let batches = 400

    /// The default.
    private static let lease = Duration.seconds(15)

    private static let tries = 3

    @Test(.timeLimit(.minutes(10)))
    func `keeps its own batches back for a lease, and no others`() async throws {
        for _ in 1...Self.tries {
            if try await Self.isSeenOnce() { return }
        }
        Issue.record("\(Self.tries) times there was no look within a lease, or other batches were redelivered, too")
    }

    /// Lets one of two workers vanish; false when somebody was asleep for so long that nothing can be said.
    private static func isSeenOnce() async throws -> Bool {
        var isSeen = false
        try await withSandbox(Events.target(strategy: "window", keepsNewest: false)) { sandbox in
            try await Self.createSlowRows(sandbox)
            let run = try await Self.enqueue(sandbox)
            isSeen = try await sandbox.withWorkers(1) { _ in
                let loss = try await Self.loseWorker(sandbox, run)
                #expect(loss.done < Self.batches)
                let isInTime = try await Self.othersGoOn(sandbox, run, after: loss)
                try await sandbox.slow(by: 0)
                try await until("all batches are done") {
                    try await sandbox.field("done", of: run) == Self.batches
                }
                let redelivered = try await sandbox.field("redelivered", of: run)
                #expect(redelivered >= 2)
                // A survivor that sleeps for a lease takes over its own batches, too.
                return isInTime && redelivered == 2
            }
            #expect(try await sandbox.rows() == 0)
            #expect(try await sandbox.ledgerSum(of: run) == Self.batches)
        }
        return isSeen
    }

    /// What is known when a worker has vanished.
    private struct Loss: Sendable {
        var done: Int
        /// Before this, no batch that anybody held may be taken over.
        var leaseEnd: ContinuousClock.Instant
    }

    /// Runs a second worker, and kills it when both are in two batches each.
    private static func loseWorker(_ sandbox: Sandbox, _ run: String) async throws -> Loss {
        let (loss, outcome) = try await sandbox.during(.worker) { victim in
            var leaseEnd = ContinuousClock.now
            try await until("both workers are in two batches each") {
                guard try await sandbox.field("done", of: run) >= 4 else { return false }
                // Stopped, it cannot end one between the look and the kill.
                victim.send(SIGSTOP)
                let look = ContinuousClock.now
                let leases = try await Self.leases(sandbox)
                if leases.count == 2 && leases.values.allSatisfy({ $0.count == 2 }) {
                    leaseEnd = look + (Self.lease - Duration.milliseconds(leases.values.joined().max() ?? 0))
                    return true
                }
                victim.send(SIGCONT)
                return false
            }
            victim.send(SIGKILL)
            return Loss(done: try await sandbox.field("done", of: run), leaseEnd: leaseEnd)
        }
        #expect(outcome.status == .killed(by: SIGKILL))
        return loss
    }

    /// Waits until other batches are done, and expects that none is redelivered before a lease is up; false when that was not
    /// seen in time.
    private static func othersGoOn(_ sandbox: Sandbox, _ run: String, after loss: Loss) async throws -> Bool {
        var isInTime = false
        try await until("other batches go on") {
            let reply = try await sandbox.redis.send("HMGET", sandbox.key("run:\(run)"), "done", "redelivered")
            isInTime = ContinuousClock.now < loss.leaseEnd
            let redelivered = reply.array?.last?.int ?? 0
            if isInTime { #expect(redelivered == 0) }
            // Two of the survivor's may have been under way; what it does besides does not wait for the victim's.
            return (reply.array?.first?.int ?? 0) > loss.done + 2
        }
        return isInTime
    }

    private static func createSlowRows(_ sandbox: Sandbox) async throws {
        try await sandbox.execute(
            "CREATE TABLE \(sandbox.schema).events (id integer PRIMARY KEY, created_at timestamptz NOT NULL)",
            """
            INSERT INTO \(sandbox.schema).events
            SELECT i, now() - interval '100 days' - i * interval '1 second' FROM generate_series(1, \(Self.batches)) AS i
            """,
            "CREATE INDEX ON \(sandbox.schema).events (created_at)",
            "ANALYZE \(sandbox.schema).events"
        )
        try await sandbox.slowDown(by: 0.5)
    }

    private static func enqueue(_ sandbox: Sandbox) async throws -> String {
        let enqueued = try await sandbox.producer("enqueue", "Events", "--batch-rows", "1", "--json")
        let document = try #require(try enqueued.json([StatusDocument].self).first)
        #expect(document.batches.total == Self.batches)
        return document.run
    }

    /// For how many milliseconds each consumer has held each of its batches.
    private static func leases(_ sandbox: Sandbox) async throws -> [String: [Int]] {
        let reply = try await sandbox.redis.send("XPENDING", sandbox.key("stream:default"), "workers", "-", "+", "10")
        var leases: [String: [Int]] = [:]
        for entry in reply.array ?? [] {
            guard let parts = entry.array, parts.count == 4, let name = parts[1].string, let age = parts[2].int
            else { continue }
            leases[name, default: []].append(age)
        }
        return leases
    }
}
