import Foundation
import RedisClient
import Testing

@Suite struct `The session sweeper` {
    private struct Report: Decodable {
        var outcome: String
        var examined: Int
        var deleted: Int
    }

    /// A product that has nothing but a Redis, and a prefix for the test.
    private static func variables(_ sandbox: Sandbox) -> [String: String?] {
        [
            "DATABASE_URL": nil, "EBB_SESSIONS": "ayon", "AYON_REDIS_KEY_PREFIX": sandbox.key("product"),
            "EBB_SESSIONS_INTERVAL": "100ms",
        ]
    }

    @Test(.timeLimit(.minutes(5)))
    func `one variable and one command are enough`() async throws {
        try await withSandbox { sandbox in
            try await sandbox.addSessions(3, age: 259_300, named: "old")
            try await sandbox.addSessions(2, age: 10, named: "young")
            let variables = Self.variables(sandbox)
            let first = try await sandbox.run(.worker, ["sweep", "--once", "--json"], environment: variables)
            #expect(first.status == .exited(0), "\(first.errors)")
            let report = try first.json(Report.self)
            #expect(report.outcome == "finished")
            #expect([report.examined, report.deleted] == [5, 3] as [Int])
            let second = try await sandbox.run(.worker, ["sweep", "--once"], environment: variables)
            #expect(second.status == .exited(0))
            #expect(second.output.hasPrefix("sessions (ayon): 2 examined, 0 expired, 0 deleted"), "\(second.output)")
        }
    }

    @Test(.timeLimit(.minutes(5)))
    func `without a layout it says what to set`() async throws {
        try await withSandbox { sandbox in
            let outcome = try await sandbox.run(.worker, ["sweep", "--once"])
            #expect(outcome.status == .exited(2))
            #expect(outcome.complaints.count == 1)
            #expect(outcome.errors.hasPrefix("EBB_SESSIONS is not set"), "\(outcome.errors)")
            let off = try await sandbox.run(.worker, ["sweep", "--once"], environment: ["EBB_SESSIONS": "off"])
            #expect(off.status == .exited(2) && off.errors.hasPrefix("EBB_SESSIONS is off, so"), "\(off.errors)")
        }
    }

    @Test(.timeLimit(.minutes(5)))
    func `a sweeper that is killed is replaced, one that is stopped gives its lease back`() async throws {
        try await withSandbox { sandbox in
            try await sandbox.addSessions(20_000, age: 10, named: "young")
            let variables = Self.variables(sandbox).merging(Sandbox.shortLeases) { $1 }
            let killed = try await sandbox.during(.worker, ["sweep"], environment: variables) { worker in
                try await until("it sweeps") { try await sandbox.redis.send("EXISTS", sandbox.key("sweep")).int == 1 }
                worker.send(SIGKILL)
            }
            #expect(killed.outcome.status == .killed(by: SIGKILL))
            try await sandbox.addSessions(500, age: 259_300, named: "old")
            let (_, stopped) = try await sandbox.during(.worker, ["sweep", "--json"], environment: variables) {
                worker in
                try await until("the next one has swept") {
                    try await sandbox.keys().count { $0.contains("product-session-old") } == 0
                }
                try await worker.stop()
            }
            #expect(stopped.status == .exited(0), "\(stopped.errors)")
            #expect(try await sandbox.redis.send("EXISTS", sandbox.key("sweep")).int == 0)
            #expect(try await sandbox.keys().count { $0.contains("product-session-young") } == 20_000)
        }
    }
}

extension Sandbox {
    /// Adds sessions as AYON keeps them, of the product whose prefix is the key `product`.
    ///
    /// - `age`: seconds since they were used.
    func addSessions(_ count: Int, age: Double, named name: String) async throws {
        let time = Date.now.timeIntervalSince1970 - age
        let results = try await self.redis.pipeline(
            (0..<count).map { number in
                let token = "\(name)-\(number)"
                let value = #"{"is_service":false,"last_used":\#(time),"token":"\#(token)"}"#
                return .command(["SET", self.key("product-session-\(token)"), value])
            }
        )
        for result in results { _ = try result.get() }
    }
}
