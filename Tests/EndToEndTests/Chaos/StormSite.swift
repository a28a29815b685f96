import Foundation
import PostgresClient
import RedisClient
import Synchronization
import Testing

/// Where a storm takes place: servers, programs, and what is seen of the run from outside.
final class StormSite: Sendable {
    let servers: ChaosServers
    let sandbox: Sandbox
    let fleet: Fleet
    private let state = Mutex(State())

    private struct State {
        var run = ""
        var faults: [String: Int] = [:]
        var violations: [String] = []
    }

    init(servers: ChaosServers, sandbox: Sandbox, fleet: Fleet) {
        self.servers = servers
        self.sandbox = sandbox
        self.fleet = fleet
    }

    /// The run's id.
    var run: String { self.state.withLock { $0.run } }

    /// How often each kind of fault has struck.
    var faults: [String: Int] { self.state.withLock { $0.faults } }

    /// What was seen on the way that must never be.
    var violations: [String] { self.state.withLock { $0.violations } }

    func count(_ kind: String) { self.state.withLock { $0.faults[kind, default: 0] += 1 } }

    private func note(_ violation: String) {
        self.state.withLock { state in
            if state.violations.count < 20 { state.violations.append(violation) }
        }
    }

    func waitForRun() async throws {
        try await until("there is a run") {
            guard let run = await self.patiently({ try await self.sandbox.runs().first }) else { return false }
            self.state.withLock { $0.run = run ?? "" }
            return run != nil
        }
    }

    /// What `body` returns; nil while Redis is away.
    func patiently<Value: Sendable>(_ body: () async throws -> Value) async -> Value? {
        do { return try await body() } catch { return nil }
    }

    /// The run's hash in one look; nil while Redis is away.
    ///
    /// Its counters must add up at every instant.
    func fields() async -> [String: String]? {
        guard let reply = await self.patiently({ try await self.sandbox.redis.send("HGETALL", self.runKey) }),
            let words = reply.array?.map({ $0.string ?? "" }), !words.isEmpty
        else { return nil }
        var fields: [String: String] = [:]
        for index in stride(from: 0, to: words.count - 1, by: 2) { fields[words[index]] = words[index + 1] }
        let parts = Self.places.map { Int(fields[$0] ?? "") ?? -1 }
        if parts.reduce(0, +) != Int(fields["total"] ?? "") || parts.contains(where: { $0 < 0 }) {
            let counters = fields.filter { Self.places.contains($0.key) || $0.key == "total" }
            self.note("the counters do not add up: \(counters)")
        }
        return fields
    }

    private var runKey: String { self.sandbox.key("run:\(self.run)") }

    /// Where a batch can be.
    static let places = ["queued", "leased", "delayed", "parked", "done", "dead", "cancelled"]

    /// Whether the run is over by Redis.
    func isRunOver() async -> Bool {
        guard !self.run.isEmpty, let fields = await self.fields() else { return false }
        return ["finished", "failed", "cancelled"].contains(fields["state"])
    }

    /// Inflicts the faults one after the other, those that last beside the next ones; returns when all are over.
    ///
    /// - Throws: when the run comes to its end before.
    func inflict(_ schedule: FaultSchedule) async throws {
        try await withThrowingTaskGroup { group in
            for entry in schedule.entries {
                try await until("batch \(entry.settled) is settled", within: .seconds(120)) {
                    guard let fields = await self.fields() else { return false }
                    try #require(fields["finished_at"] == nil, "the run was over before \(entry.fault)")
                    let settled = ["done", "dead", "cancelled"].reduce(0) { $0 + (Int(fields[$1] ?? "") ?? 0) }
                    return settled >= entry.settled
                }
                if entry.fault.lasts {
                    group.addTask { try await self.inflict(entry.fault) }
                } else {
                    try await self.inflict(entry.fault)
                }
            }
            try await group.waitForAll()
        }
        self.servers.postgresProxy.heal()
        self.servers.redisProxy.heal()
    }

    /// Lets the run come to its end.
    func openGate() async throws {
        let postgres = try await self.servers.connectPostgres()
        _ = try await postgres.query("DELETE FROM \(self.sandbox.schema).gate")
        await postgres.close()
    }
}

extension Fault {
    /// Whether it goes on for a while beside others.
    fileprivate var lasts: Bool {
        switch self {
        case .freezeWorker, .lockRows, .pause: true
        default: false
        }
    }
}
