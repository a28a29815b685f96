import Foundation
import PostgresClient
import RedisClient
import Testing

@Suite(.timeLimit(.minutes(5))) struct `Behind pgbouncer in transaction mode` {
    @Test func `a run ends with an exact count, whoever is killed, and its neighbours notice nothing`() async throws {
        guard Pgbouncer.isInstalled else {
            print("skipped: pgbouncer is not installed; deploy/install installs it")
            return
        }
        try await withPostgresSandbox { direct, server in
            let before = try await PostgresTrouble.prepare(direct)
            try await Pgbouncer.with(server) { pool in
                let neighbour = Neighbour(connection: try await pool.connect())
                let sandbox = direct.through(pool)
                // What a session is like before Ebb comes.
                let (_, view) = try await neighbour.look()
                #expect(view.objects == [])
                #expect(view.settings.count > 300)
                let environment = Sandbox.shortLeases
                let run = try await sandbox.withWorkers(2, environment: environment) { _ in
                    let (run, sessions, waited) = try await sandbox.duringRun(
                        batchRows: 50,
                        environment: environment
                    ) { run in
                        try await Self.killOne(sandbox, run, environment)
                        var sessions: Set<Int> = []
                        while try await sandbox.state(of: run) != "finished" {
                            let (session, now) = try await neighbour.look()
                            // Once it has had both, the rest may go fast.
                            if sessions.insert(session).inserted, sessions.count == Pgbouncer.sessions {
                                try await sandbox.slow(by: 0.01)
                            }
                            #expect(now.objects == [])
                            try #require(now == view, "\(Set(now.settings).symmetricDifference(view.settings))")
                        }
                        return sessions
                    }
                    #expect(waited.status == .exited(0), "\(waited.errors)")
                    #expect(sessions.count >= Pgbouncer.sessions)
                    return run
                }
                let status = try await sandbox.expectEnd(of: run, deletedFrom: before)
                #expect(status.batches.done == status.batches.total)
                let sessions = "SELECT count(*) FROM pg_stat_activity WHERE usename = 'plain'"
                #expect(try await direct.number(sessions) <= Pgbouncer.sessions)
                try await sandbox.expectSurvivors()
                try await sandbox.expectQueueAtRest()
                await neighbour.connection.close()
            }
            await direct.postgres.close()
        }
    }

    /// Kills a third worker in the middle of a batch.
    private static func killOne(
        _ sandbox: Sandbox,
        _ run: String,
        _ environment: [String: String?]
    ) async throws {
        let workers = try await sandbox.redis.send("ZCARD", sandbox.key("workers")).int ?? 0
        let (_, outcome) = try await sandbox.during(.worker, environment: environment) { worker in
            try await until("a third worker is at work") {
                try await sandbox.redis.send("ZCARD", sandbox.key("workers")).int ?? 0 > workers
            }
            let done = try await sandbox.field("done", of: run)
            try await sandbox.untilDone(moreThan: done + 4, of: run)
            worker.send(SIGKILL)
        }
        #expect(outcome.status == .killed(by: SIGKILL))
    }
}

extension Sandbox {
    /// The same sandbox, whose programs go through a pool.
    fileprivate func through(_ pool: Pgbouncer) -> Sandbox {
        var sandbox = self
        sandbox.environment["DATABASE_URL"] = pool.url
        return sandbox
    }
}
