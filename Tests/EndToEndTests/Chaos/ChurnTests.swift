import Foundation
import RedisClient
import Testing

@Suite struct `Workers that come and go` {
    private static let workers = 20

    /// How long they do so at least: a minute in `make chaos`.
    private static let time: Duration =
        ProcessInfo.processInfo.environment["EBB_CHAOS_SEEDS"] == nil ? .seconds(8) : .seconds(60)

    @Test(.timeLimit(.minutes(5)))
    func `leave no consumer and no growing key, however they go`() async throws {
        try await withSandbox { sandbox in
            var sandbox = sandbox
            sandbox.environment.merge(Storm.shortLeases) { $1 }
            // In a minute, some batch may be unlucky more often than a batch that is to blame.
            sandbox.environment["EBB_BATCHES_ATTEMPTS"] = "100"
            try await sandbox.createEvents(20_000)
            try await sandbox.withWorkers(1) { [sandbox] _ in
                try await Self.clean(sandbox)
                let before = try await Self.settledSizes(sandbox)
                // Batches for them to die in.
                try await sandbox.execute("UPDATE \(sandbox.schema).events SET created_at = '2000-01-01'")
                async let cleaned: Void = Self.clean(sandbox)
                try await Self.churn(sandbox)
                try await cleaned
                // One more run is remembered now.
                var after = try await Self.settledSizes(sandbox)
                for run in try await sandbox.runs() { after[sandbox.key("run:\(run)")] = nil }
                after[sandbox.key("runs")]? -= 1
                #expect(after == before.filter { !$0.key.contains("run:") })
            }
            #expect(try await sandbox.consumers() == 0)
            try await sandbox.expectQueueAtRest()
        }
    }

    private static func clean(_ sandbox: Sandbox) async throws {
        let outcome = try await sandbox.producer("enqueue", "Events", "--batch-rows", "50", "--wait")
        #expect(outcome.status == .exited(0), "\(outcome.errors)")
    }

    /// Starts workers and kills each a moment after it has come up.
    private static func churn(_ sandbox: Sandbox) async throws {
        let programs = sandbox.directory + "/programs"
        try FileManager.default.createDirectory(atPath: programs, withIntermediateDirectories: true)
        let fleet = Fleet(sandbox, programs: programs)
        let end = ContinuousClock.now + Self.time
        var kills = 0
        try await withThrowingTaskGroup { group in
            for number in 0..<Self.workers { group.addTask { try await fleet.keepWorker(number) } }
            while ContinuousClock.now < end || kills < Self.workers {
                for name in fleet.names.shuffled() {
                    guard let member = fleet.member(name), fleet.consumer(of: member) != nil else { continue }
                    if fleet.kill(name) { kills += 1 }
                    // So that they have had different times to live.
                    try await Task.sleep(for: .milliseconds(Int.random(in: 1...30)))
                }
                // Only makes room for others between two looks.
                try await Task.sleep(for: .milliseconds(2))
            }
            fleet.stop(SIGKILL)
            try await group.waitForAll()
        }
        #expect(fleet.complaints == [])
        print("\(kills) workers came and went")
    }

    /// The size of every key, once only the one worker that lives is known.
    private static func settledSizes(_ sandbox: Sandbox) async throws -> [String: Int] {
        try await until("the dead are forgotten") {
            let beating = try await sandbox.redis.send("ZCARD", sandbox.key("workers")).int ?? 0
            var consumers = 0
            for priority in ["high", "default", "low"] {
                consumers = max(consumers, try await sandbox.consumers(of: "stream:\(priority)"))
            }
            return beating == 1 && consumers <= 1
        }
        var sizes: [String: Int] = [:]
        // Events are kept up to a number of their own.
        for key in try await sandbox.keys() where !key.hasSuffix(":events") {
            let type = try await sandbox.redis.send("TYPE", key).string ?? "none"
            let commands = [
                "stream": "XLEN", "hash": "HLEN", "zset": "ZCARD", "list": "LLEN", "set": "SCARD", "string": "STRLEN",
            ]
            let command = commands[type]
            sizes[key] = try await sandbox.redis.send(try #require(command, "\(key) is a \(type)"), key).int
        }
        return sizes
    }
}
