import Foundation
import PostgresClient
import RedisClient
import Testing

@Suite struct `A worker that is stopped` {
    @Test(.timeLimit(.minutes(5)))
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
            // Long before the lock's timeout, which would end it, too.
            #expect(stopped.duration(to: .now) < .seconds(60))
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
    @Test(.timeLimit(.minutes(5)))
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

@Suite(.timeLimit(.minutes(5))) struct `A worker that is stopped in the middle of` {
    /// Leases so long that only the worker itself can have given back what it held.
    private static let patient: [String: String?] = [
        "EBB_LEASES_DURATION": "300s", "EBB_BATCHES_STATEMENT_TIMEOUT": "100s", "EBB_BATCHES_IDLE_TIMEOUT": "100s",
        "EBB_BATCHES_LOCK_TIMEOUT": "90s", "EBB_WORKER_GRACE": "200ms",
    ]

    @Test func `several batches gives them all back`() async throws {
        try await withSandbox { sandbox in
            try await sandbox.createEvents(2_000)
            let before = try await sandbox.rows()
            let run = try await sandbox.enqueue(batchRows: 100)
            let total = try await sandbox.field("total", of: run)
            let locker = try await Servers.connect()
            _ = try await locker.query("BEGIN")
            _ = try await locker.query("SELECT 1 FROM \(sandbox.schema).events FOR UPDATE")
            try await Self.stop(sandbox, ["--concurrency", "6"]) {
                try await sandbox.waiting(for: "DELETE FROM") == 6
            }
            #expect(try await sandbox.fields("queued", "leased", "delayed", of: run) == [total, 0, 0])
            let stream = sandbox.key("stream:default")
            let entries = try await sandbox.redis.send("XRANGE", stream, "-", "+").array ?? []
            let attempts = entries.compactMap { entry in
                let fields = entry.array?.last?.array?.compactMap(\.string) ?? []
                return fields.firstIndex(of: "a").map { fields[$0 + 1] }
            }
            #expect(attempts == Array(repeating: "0", count: total))
            #expect(try await sandbox.rows() == before)
            _ = try await locker.query("ROLLBACK")
            await locker.close()
            try await Self.expectPerfectEnd(sandbox, run, before)
        }
    }

    @Test func `planning gives the step back`() async throws {
        try await withSandbox { sandbox in
            try await sandbox.createEvents(5_000)
            let before = try await sandbox.rows()
            #expect(try await sandbox.producer("setup").status == .exited(0))
            let locker = try await Servers.connect()
            try await Self.lock(locker, "\(sandbox.namespace).pivot_set")
            // The producer is killed with the step in its hands, on a lease that is soon over.
            let enqueue = ["enqueue", "Events", "--batch-rows", "100"]
            let run = try await sandbox.during(.producer, enqueue, environment: Sandbox.shortLeases) { producer in
                try await until("the producer is planning") { try await sandbox.waiting(for: "pivot_set") == 1 }
                producer.send(SIGKILL)
                return try #require(try await sandbox.runs().first)
            }.value
            #expect(try await sandbox.field("total", of: run) == 0)
            try await Self.stop(sandbox) { try await sandbox.workersWaiting() == 1 }
            #expect(try await sandbox.isStepFree(of: run))
            _ = try await locker.query("ROLLBACK")
            await locker.close()
            try await Self.expectPerfectEnd(sandbox, run, before)
        }
    }

    @Test func `verifying gives the step back`() async throws {
        try await withSandbox { sandbox in
            try await sandbox.createEvents(2_000)
            let before = try await sandbox.rows()
            let run = try await sandbox.enqueue(batchRows: 1_000_000)
            let locker = try await Servers.connect()
            let first = try await Servers.connect()
            // The one batch waits for a row; behind it a lock on the table waits, and behind that is verification.
            _ = try await first.query("BEGIN")
            _ = try await first.query("SELECT 1 FROM \(sandbox.schema).events FOR UPDATE")
            try await Self.stop(sandbox) {
                guard try await sandbox.waiting(for: "DELETE FROM") == 1 else { return false }
                async let locked: Void = Self.lock(locker, "\(sandbox.schema).events")
                try await until("the lock waits for the batch") { try await sandbox.waiting(for: "LOCK TABLE") == 1 }
                _ = try await first.query("ROLLBACK")
                try await locked
                try await sandbox.untilState("verifying", of: run)
                try await until("verification waits for the lock") { try await sandbox.workersWaiting() == 1 }
                return true
            }
            #expect(try await sandbox.isStepFree(of: run))
            _ = try await locker.query("ROLLBACK")
            await locker.close()
            await first.close()
            try await Self.expectPerfectEnd(sandbox, run, before)
        }
    }

    private static func lock(_ connection: PostgresConnection, _ table: String) async throws {
        _ = try await connection.query("BEGIN")
        _ = try await connection.query("LOCK TABLE \(table) IN ACCESS EXCLUSIVE MODE")
    }

    /// Runs a worker until the condition holds, and expects that it ends at once, well, and with nothing in its hands.
    private static func stop(
        _ sandbox: Sandbox,
        _ arguments: [String] = [],
        when condition: @escaping @Sendable () async throws -> Bool
    ) async throws {
        let (stopped, outcome) = try await sandbox.during(.worker, arguments, environment: Self.patient) { worker in
            try await until("the worker is in the middle of it", condition)
            worker.send(SIGTERM)
            return ContinuousClock.now
        }
        #expect(outcome.status == .exited(0), "\(outcome.errors)")
        // Long before the lock's timeout, which would end it, too.
        #expect(stopped.duration(to: .now) < .seconds(60))
        #expect(try await sandbox.consumers() == 0)
        #expect(try await sandbox.redis.send("EXISTS", sandbox.key("workers")).int == 0)
        #expect(
            try await sandbox.redis.send("XPENDING", sandbox.key("stream:default"), "workers").array?.first?.int == 0
        )
    }

    private static func expectPerfectEnd(_ sandbox: Sandbox, _ run: String, _ before: Int) async throws {
        let drain = try await sandbox.run(.worker, ["--drain"])
        #expect(drain.status == .exited(0), "\(drain.errors)")
        let status = try await sandbox.expectEnd(of: run, deletedFrom: before)
        #expect(status.batches.redelivered == 0)
        try await sandbox.expectSurvivors()
        try await sandbox.expectQueueAtRest()
    }
}

extension Sandbox {
    /// How many sessions wait for a lock with a statement that has this in it, and a name of the sandbox.
    fileprivate func waiting(for statement: String) async throws -> Int {
        try await self.number(
            """
            SELECT count(*) FROM pg_stat_activity
            WHERE wait_event_type = 'Lock' AND query LIKE '%\(statement)%' AND query LIKE '%\(self.namespace)%'
            """
        )
    }

    /// How many workers' sessions wait for a lock on the table or the ledger, whatever their statement.
    fileprivate func workersWaiting() async throws -> Int {
        try await self.number(
            """
            SELECT count(DISTINCT pid) FROM pg_locks JOIN pg_stat_activity USING (pid)
            WHERE wait_event_type = 'Lock' AND application_name = 'ebb worker'
              AND relation IN (SELECT oid FROM pg_class WHERE relnamespace::regnamespace::text LIKE '\(self.namespace)%')
            """
        )
    }

    /// Whether the run's step can be taken now.
    fileprivate func isStepFree(of run: String) async throws -> Bool {
        let time = try await self.redis.send("TIME").array?.first?.int ?? 0
        return try await self.field("step_until", of: run) <= (time + 1) * 1_000
    }
}
