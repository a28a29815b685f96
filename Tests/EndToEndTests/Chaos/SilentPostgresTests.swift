import Foundation
import PostgresClient
import RedisClient
import Testing

/// A connection that stays open while nothing comes back, as behind a load balancer or pooler that hangs: TCP's own
/// keepalive sees nothing wrong with it.
@Suite struct `A PostgreSQL that falls silent` {
    @Test(.timeLimit(.minutes(5)))
    func `does not keep a run from its end`() async throws {
        try await self.withSilence { sandbox, run, _ in
            try await until("the run ends", within: .seconds(60)) { try await sandbox.state(of: run) == "finished" }
        }
    }

    @Test(.timeLimit(.minutes(5)))
    func `does not keep a worker from ending`() async throws {
        try await self.withSilence { _, _, worker in
            worker.send(SIGTERM)
            try await until("the worker has ended", within: .seconds(60)) { !worker.isAlive }
        }
    }

    /// Runs `body` with one worker, at whose connections PostgreSQL has just fallen silent; new ones are answered.
    private func withSilence(_ body: @escaping @Sendable (Sandbox, String, Running) async throws -> Void) async throws {
        try await withSandbox { sandbox in
            try await sandbox.createEvents(20_000)
            let directory = try #require(try Servers.databaseURL().firstMatch(of: /host=([^&]+)/)?.1)
            let proxy = try Proxy(to: .unix(path: directory + "/.s.PGSQL.5432"))
            defer { proxy.stop() }
            let enqueued = try await sandbox.producer("enqueue", "Events", "--batch-rows", "100", "--json")
            let run = try #require(try enqueued.json([StatusDocument].self).first?.run)
            var environment: [String: String?] = Storm.shortLeases
            // A loaded machine may look like a silent server for a moment; that must not add up.
            environment["EBB_OUTAGES_MAX_PAUSE"] = "1s"
            environment["DATABASE_URL"] = "postgresql://ebb@127.0.0.1:\(proxy.port)/ebb"
            let (_, outcome) = try await sandbox.during(.worker, environment: environment) { worker in
                try await until("some batches are done") { try await sandbox.field("done", of: run) >= 20 }
                proxy.inflict(.blackHole(.toClient, for: .seconds(600)))
                do { try await body(sandbox, run, worker) } catch {
                    worker.send(SIGKILL)
                    throw error
                }
                worker.send(SIGTERM)
            }
            #expect(outcome.status == .exited(0), "\(outcome.errors)")
        }
    }
}
