import Foundation
import RedisClient
import Testing

@Suite struct `A worker that is gone` {
    /// Rows that take half a second each to delete, in batches of one.
    private static let batches = 40

    @Test(.timeLimit(.minutes(5)))
    func `keeps its own batches back for a lease, and no others`() async throws {
        try await withSandbox(Events.target(strategy: "window", keepsNewest: false)) { sandbox in
            try await Self.createSlowRows(sandbox)
            let run = try await Self.enqueue(sandbox)
            try await sandbox.withWorkers(1) { _ in
                let (done, outcome) = try await sandbox.during(.worker) { victim in
                    try await until("both workers are in two batches each") {
                        guard try await sandbox.field("done", of: run) >= 4 else { return false }
                        // Stopped, it cannot end one between the look and the kill.
                        victim.send(SIGSTOP)
                        let leases = try await Self.leases(sandbox)
                        if leases.count == 2 && leases.values.allSatisfy({ $0 == 2 }) { return true }
                        victim.send(SIGCONT)
                        return false
                    }
                    victim.send(SIGKILL)
                    return try await sandbox.field("done", of: run)
                }
                #expect(outcome.status == .killed(by: SIGKILL))
                #expect(done < Self.batches)
                // Two of the survivor's may have been under way; what it does besides does not wait for the victim's.
                try await until("other batches go on") { try await sandbox.field("done", of: run) > done + 2 }
                #expect(try await sandbox.field("redelivered", of: run) == 0)
                try await until("all batches are done") {
                    try await sandbox.field("done", of: run) == Self.batches
                }
                #expect(try await sandbox.field("redelivered", of: run) == 2)
            }
            #expect(try await sandbox.rows() == 0)
            #expect(try await sandbox.ledgerSum(of: run) == Self.batches)
        }
    }

    private static func createSlowRows(_ sandbox: Sandbox) async throws {
        try await sandbox.execute(
            "CREATE TABLE \(sandbox.schema).events (id integer PRIMARY KEY, created_at timestamptz NOT NULL)",
            """
            INSERT INTO \(sandbox.schema).events
            SELECT i, now() - interval '100 days' - i * interval '1 second' FROM generate_series(1, \(Self.batches)) AS i
            """,
            "CREATE INDEX ON \(sandbox.schema).events (created_at)",
            "ANALYZE \(sandbox.schema).events",
            """
            CREATE FUNCTION \(sandbox.schema).slow() RETURNS trigger LANGUAGE plpgsql AS
            $$ BEGIN PERFORM pg_sleep(0.5); RETURN OLD; END $$
            """,
            """
            CREATE TRIGGER slow BEFORE DELETE ON \(sandbox.schema).events
            FOR EACH ROW EXECUTE FUNCTION \(sandbox.schema).slow()
            """
        )
    }

    private static func enqueue(_ sandbox: Sandbox) async throws -> String {
        let enqueued = try await sandbox.producer("enqueue", "Events", "--batch-rows", "1", "--json")
        let document = try #require(try enqueued.json([StatusDocument].self).first)
        #expect(document.batches.total == Self.batches)
        return document.run
    }

    /// How many batches each consumer holds.
    private static func leases(_ sandbox: Sandbox) async throws -> [String: Int] {
        let reply = try await sandbox.redis.send("XPENDING", sandbox.key("stream:default"), "workers")
        var leases: [String: Int] = [:]
        for consumer in reply.array?.last?.array ?? [] {
            guard let parts = consumer.array, let name = parts.first?.string else { continue }
            leases[name] = parts.last?.int
        }
        return leases
    }
}
