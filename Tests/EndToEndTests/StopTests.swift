import Foundation
import PostgresClient
import RedisClient
import Testing

@Suite struct `A worker that is stopped` {
    @Test(.timeLimit(.minutes(1)))
    func `gives its batch back at once, without an attempt used`() async throws {
        try await withSandbox { sandbox in
            try await sandbox.createEvents(1_000)
            let before = try await sandbox.rows()
            // A lease so long that only the worker itself can have given the batch back.
            let patient: [String: String?] = [
                "EBB_LEASES_DURATION": "300s", "EBB_BATCHES_STATEMENT_TIMEOUT": "100s",
                "EBB_BATCHES_LOCK_TIMEOUT": "90s",
                "EBB_WORKER_GRACE": "200ms",
            ]
            let enqueued = try await sandbox.producer("enqueue", "Events", "--batch-rows", "1000000", "--json")
            let run = try #require(try enqueued.json([StatusDocument].self).first?.run)
            let locker = try await Servers.connect()
            _ = try await locker.query("BEGIN")
            _ = try await locker.query("SELECT 1 FROM \(sandbox.schema).events FOR UPDATE")

            let (stopped, outcome) = try await sandbox.during(.worker, ["--concurrency", "1"], environment: patient) {
                worker in
                try await until("the delete waits for the lock") {
                    try await sandbox.number(
                        """
                        SELECT count(*) FROM pg_stat_activity
                        WHERE wait_event_type = 'Lock' AND query LIKE '%DELETE FROM%\(sandbox.schema)%'
                        """
                    ) == 1
                }
                #expect(try await sandbox.field("leased", of: run) == 1)
                worker.send(SIGTERM)
                return ContinuousClock.now
            }
            #expect(stopped.duration(to: .now) < .seconds(10))
            #expect(outcome.status == .exited(0), "\(outcome.errors)")

            let stream = sandbox.key("stream:default")
            let entries = try await sandbox.redis.send("XRANGE", stream, "-", "+").array ?? []
            #expect(entries.count == 1)
            let fields = entries.first?.array?.last?.array?.compactMap(\.string) ?? []
            #expect(fields.firstIndex(of: "a").map { fields[$0 + 1] } == "0")
            #expect(try await sandbox.redis.send("XPENDING", stream, "workers").array?.first?.int == 0)
            #expect(try await sandbox.field("queued", of: run) == 1)
            #expect(try await sandbox.field("leased", of: run) == 0)
            #expect(try await sandbox.consumers() == 0)
            #expect(try await sandbox.redis.send("EXISTS", sandbox.key("workers")).int == 0)
            #expect(try await sandbox.rows() == before)

            _ = try await locker.query("ROLLBACK")
            await locker.close()
            let other = try await sandbox.run(.worker, ["--drain"])
            #expect(other.status == .exited(0), "\(other.errors)")
            let status = try await sandbox.producer("status", run, "--json").json(StatusDocument.self)
            #expect(status.state == "finished")
            #expect(status.rows.deleted == before - (try await sandbox.rows()))
            #expect(status.batches.redelivered == 0)
            try await sandbox.expectSurvivors()
            try await sandbox.expectQueueAtRest()
        }
    }
}

@Suite struct `Workers that are there first` {
    @Test(.timeLimit(.minutes(1)))
    func `wait for whatever is set up around them, and then work`() async throws {
        try await withSandbox { sandbox in
            try await sandbox.createEvents(5_000)
            try await sandbox.withWorkers(3) { workers in
                try await until("three workers are known") {
                    try await sandbox.redis.send("ZCARD", sandbox.key("workers")).int == 3
                }
                #expect(try await sandbox.value("SELECT to_regnamespace('\(sandbox.namespace)')") == nil)
                try await withThrowingTaskGroup { group in
                    for _ in 1...4 {
                        group.addTask {
                            let setup = try await sandbox.producer("setup")
                            #expect(setup.status == .exited(0), "\(setup.errors)")
                        }
                    }
                    try await group.waitForAll()
                }
                let enqueue = try await sandbox.producer("enqueue", "Events", "--batch-rows", "100", "--wait")
                #expect(enqueue.status == .exited(0), "\(enqueue.errors)")
                #expect(workers.filter { !$0.isAlive }.isEmpty)
            }
            try await sandbox.expectSurvivors()
            try await sandbox.expectQueueAtRest()
        }
    }
}
