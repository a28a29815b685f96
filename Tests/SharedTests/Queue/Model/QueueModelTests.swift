import Foundation
import RedisClient
import TestSupport
import Testing

@testable import Shared

/// Random walks over all units of the queue, on every server there is; `make model` walks further.
///
/// A failure names its seed; `EBB_MODEL_SEEDS=3 EBB_MODEL_STEPS=20000 deploy/test --filter QueueModel` repeats it.
@Suite(.serialized, .timeLimit(.minutes(10))) struct QueueModelTests {
    @Test func `Redis and the model agree`() async throws {
        try await Walks.walkAll(TestServers.redisURL())
    }

    @Test func `after each single move, all of Redis is as the model says`() async throws {
        try await Walks.walk(TestServers.redisURL(), seed: 77, moves: 400) { walk in
            walk.together = 1
            walk.comparing = 1
        }
    }

    @Test func `a Valkey and the model agree`() async throws {
        guard let binary = ValkeyServer.binary else {
            print("queue model: no Valkey here; put valkey-server into PATH or name it in EBB_TEST_VALKEY_BIN")
            return
        }
        try await ValkeyServer.with(binary) { url in
            try await Walks.walkAll(url)
        }
    }
}

/// How far tests walk, and how.
private enum Walks {
    static let seeds = list("EBB_MODEL_SEEDS") ?? [1, 2]
    static let moves = Int(list("EBB_MODEL_STEPS")?.first ?? 20_000)

    /// Answers of units, and what no answer tells.
    private static let worth = [
        "ack something", "append +", "append -1", "beat something", "blind +", "blind 0", "claim nothing",
        "claim something", "create_run +", "create_run 0", "discard +", "drop_delayed 0", "end_run +", "end_run 0",
        "fail CANCELLED", "fail DEAD", "fail LOST", "fail RELEASED", "fail RETRY", "finish +", "finish 0", "leave +",
        "leave 0", "pause ", "pause cancelled", "pause ending", "pause failed", "pause finished", "pause paused",
        "pause planning", "pause running", "pause verifying", "promote something", "reap +", "reap 0",
        "reclaim something", "revive +", "revive -1", "revive 0", "setup +", "split LOST", "split SPLIT", "start +",
        "start -1", "step +", "step 0", "take_step nothing", "take_step something", "cancelled where it turned up",
        "delayed for another worker", "dropped: delayed", "dropped: of a former life", "dropped: of no run",
        "finished with open batches", "judged by deaths", "judged by first tries", "judged by splits",
        "letter displaced", "cancelled, its lease having lapsed", "lives again", "not promoted, counted before",
        "parked", "paused, all being blind",
        "settled, counted before", "timed out", "unparked",
    ]

    private static func list(_ variable: String) -> [UInt64]? {
        ProcessInfo.processInfo.environment[variable].map { $0.split(separator: ",").compactMap { UInt64($0) } }
    }

    /// All seeds, which together have to meet everything that is worth meeting when they go far.
    static func walkAll(_ url: String) async throws {
        var met: [String: Int] = [:]
        for seed in self.seeds {
            met.merge(try await self.walk(url, seed: seed, moves: self.moves), uniquingKeysWith: +)
        }
        // Short walks may miss what is rare.
        guard self.moves * self.seeds.count >= 200_000 else { return }
        for what in self.worth { #expect(met[what] ?? 0 > 0, "no walk has met: \(what)") }
    }

    /// Returns what the walk has met.
    @discardableResult
    static func walk(
        _ url: String,
        seed: UInt64,
        moves: Int,
        _ change: (inout ModelWalk) -> Void = { _ in }
    ) async throws -> [String: Int] {
        let redis = RedisClient(configuration: try RedisConfiguration(url: url))
        let prefix = "{m\(String(UInt64.random(in: .min ... .max), radix: 36))}:"
        var walk = ModelWalk(redis: redis, prefix: prefix, seed: seed)
        change(&walk)
        let information = try await redis.send("INFO", "server").string ?? ""
        let start = ContinuousClock.now
        var failure: (any Error)?
        do { try await walk.walk(moves) } catch { failure = error }
        let seconds = (ContinuousClock.now - start) / .seconds(1)
        for key in try await redis.send("KEYS", prefix + "*").array ?? [] {
            _ = try await redis.send("UNLINK", key.string ?? "")
        }
        await redis.close()
        if let failure { throw Disagreement("seed \(seed) on \(version(information)): \(failure)") }
        let speed = Int(Double(walk.done) / seconds)
        print("queue model: \(version(information)), seed \(seed): \(walk.done) moves, \(speed) a second")
        return walk.outcomes.merging(walk.model.notes) { $1 }
    }

    private static func version(_ information: String) -> String {
        let fields = information.split(whereSeparator: \.isNewline)
        func value(_ name: String) -> Substring? {
            fields.first { $0.hasPrefix(name + ":") }?.dropFirst(name.count + 1)
        }
        return value("valkey_version").map { "Valkey \($0)" } ?? "Redis \(value("redis_version") ?? "?")"
    }
}
