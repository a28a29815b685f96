import Foundation
import RedisClient
import Testing

/// What happens to Redis in the middle of a run; the run goes on by itself, and its count is exact.
@Suite(.timeLimit(.minutes(2))) struct `A run goes on, with an exact count, when Redis` {
    @Test(arguments: ["yes", "no"])
    func `becomes read-only and then writable again`(servesStaleData: String) async throws {
        try await Self.expectExactRun { _, server, _ in
            _ = try await server.client.send("CONFIG", "SET", "replica-serve-stale-data", servesStaleData)
            let connections = try #require(
                Int(try await server.information("total_connections_received", in: "stats") ?? "")
            )
            // Nobody answers there, so it only stops taking writes; from a real primary it would load an empty data set.
            _ = try await server.client.send("REPLICAOF", "127.0.0.1", "1")
            try await until("the workers have noticed") { try await server.errors("READONLY") >= 10 }
            _ = try await server.client.send("REPLICAOF", "NO", "ONE")
            let now = try #require(Int(try await server.information("total_connections_received", in: "stats") ?? ""))
            #expect(now >= connections + 4, "the workers have not asked for another server")
        }
    }

    @Test func `is killed and started again from its append-only file`() async throws {
        try await Self.expectExactRun { _, server, _ in
            for _ in 1...3 {
                try await server.kill()
                try await server.start()
            }
        }
    }

    @Test func `is stopped until the workers have nothing left to do, and started again`() async throws {
        try await Self.expectExactRun { sandbox, server, _ in
            try await server.kill(SIGTERM)
            try await until("the workers stand still") {
                try await sandbox.number(
                    """
                    SELECT count(*) FROM pg_stat_activity
                    WHERE state <> 'idle' AND query LIKE '%\(sandbox.namespace)%' AND pid <> pg_backend_pid()
                    """
                ) == 0
            }
            let rows = try await sandbox.rows()
            try await server.start()
            try await until("the run goes on") { try await sandbox.rows() < rows }
        }
    }

    @Test func `takes long to load its data`() async throws {
        try await Self.expectExactRun { _, server, _ in
            let text = String(repeating: "x", count: 4_096)
            _ = try await server.client.pipeline((1...1_000).map { .command(["SET", "padding:\($0)", text]) })
            // The snapshot it begins with is read key by key; commands would be read a thousand at a time.
            _ = try await server.client.send("BGREWRITEAOF")
            try await until("the file is rewritten") {
                let isRunning = try await server.information("aof_rewrite_in_progress", in: "persistence")
                let isPlanned = try await server.information("aof_rewrite_scheduled", in: "persistence")
                return isRunning == "0" && isPlanned == "0"
            }
            try await server.kill()
            try await server.start(
                ["--key-load-delay", "20000", "--loading-process-events-interval-bytes", "1024"],
                takesLong: true
            )
            try await until("both workers have noticed") { try await server.errors("LOADING") >= 4 }
            _ = try await server.client.send("CONFIG", "SET", "key-load-delay", "0")
            try await until("Redis is ready") { try await server.answer("PING") != nil }
        }
    }

    @Test func `forgets the scripts again and again`() async throws {
        try await Self.expectExactRun { sandbox, server, run in
            var flushed = 0
            try await sandbox.slow(by: 0)
            while try await sandbox.state(of: run) != "finished" {
                _ = try await server.client.send("SCRIPT", "FLUSH")
                flushed += 1
            }
            #expect(flushed > 100)
        }
    }

    @Test(arguments: [1, 20])
    func `loses the consumer group`(times: Int) async throws {
        try await Self.expectExactRun { sandbox, server, run in
            for _ in 1...times {
                let stream = sandbox.key("stream:default")
                #expect(try await server.client.send("XGROUP", "DESTROY", stream, "workers") == .integer(1))
                // Nothing is settled while there is no group.
                let done = try await sandbox.field("done", of: run)
                try await until("a worker has made it again and goes on") {
                    try await sandbox.field("done", of: run) > done
                }
            }
        }
    }

    @Test func `is out of memory: enqueueing is refused, the rest goes on`() async throws {
        let others =
            "  Others:\n    schema: SCHEMA\n    table: others\n    key: id\n    max_age: {column: at, age: 1d}\n"
        try await Self.expectExactRun(Events.target() + others) { sandbox, server, run in
            try await sandbox.execute(
                "CREATE TABLE \(sandbox.schema).others (id integer PRIMARY KEY, at timestamptz)",
                "INSERT INTO \(sandbox.schema).others VALUES (1, now() - interval '2 days')"
            )
            _ = try await server.client.send("CONFIG", "SET", "maxmemory", "1")
            let done = try await sandbox.field("done", of: run)
            let refused = try await sandbox.producer("enqueue", "Others", "--json")
            #expect(refused.status == .exited(2))
            #expect(refused.output == "")
            #expect(refused.complaints.count == 1, "\(refused.errors)")
            #expect(refused.errors.contains("OOM"), "\(refused.errors)")
            try await until("the workers drain the queue") { try await sandbox.field("done", of: run) > done + 20 }
            _ = try await server.client.send("CONFIG", "SET", "maxmemory", "0")
            try await sandbox.slow(by: 0)
            let accepted = try await sandbox.producer("enqueue", "Others", "--wait", "--json")
            #expect(accepted.status == .exited(0), "\(accepted.errors)")
            #expect(try await sandbox.number("SELECT count(*) FROM \(sandbox.schema).others") == 0)
        }
    }

    // MARK: The run

    private static let environment: [String: String?] = [
        "EBB_LEASES_DURATION": "1500ms",
        "EBB_BATCHES_STATEMENT_TIMEOUT": "700ms",
        "EBB_BATCHES_IDLE_TIMEOUT": "500ms",
        "EBB_BATCHES_LOCK_TIMEOUT": "300ms",
        "EBB_BATCHES_BACKOFF": "50ms",
    ]

    /// Runs a cleanup of some 500 batches beside two workers, with `trouble` in its middle, and expects a perfect end.
    private static func expectExactRun(
        _ targets: String = Events.target(),
        sourceLocation: SourceLocation = #_sourceLocation,
        _ trouble: @escaping @Sendable (Sandbox, RedisServer, _ run: String) async throws -> Void
    ) async throws {
        try await withRedisSandbox(targets) { sandbox, server in
            try await sandbox.createEvents(100_000)
            try await sandbox.slowDown()
            let before = try await sandbox.rows()
            let run = try await sandbox.withWorkers(2, environment: Self.environment) { workers in
                let enqueued = try await sandbox.producer("enqueue", "Events", "--batch-rows", "200", "--json")
                let run = try #require(try enqueued.json([StatusDocument].self).first?.run, "\(enqueued.errors)")
                try await until("some batches are done") { try await sandbox.field("done", of: run) >= 20 }
                #expect(try await sandbox.state(of: run) != "finished", "the trouble comes too late")
                try await trouble(sandbox, server, run)
                try await sandbox.slow(by: 0)
                try await until("the run is over") { try await sandbox.state(of: run) == "finished" }
                #expect(workers.filter { !$0.isAlive }.isEmpty)
                return run
            }
            let status = try await sandbox.producer("status", run, "--json").json(StatusDocument.self)
            let deleted = before - (try await sandbox.rows())
            #expect(status.rows.deleted == deleted, sourceLocation: sourceLocation)
            #expect(try await sandbox.ledgerSum(of: run) == deleted, sourceLocation: sourceLocation)
            #expect(status.error == nil, sourceLocation: sourceLocation)
            #expect(status.batches.total == status.batches.done, sourceLocation: sourceLocation)
            let open = [status.batches.queued, status.batches.leased, status.batches.delayed, status.batches.parked]
            #expect(open == [0, 0, 0, 0], "queued, leased, delayed, parked", sourceLocation: sourceLocation)
            try await sandbox.expectSurvivors(sourceLocation: sourceLocation)
            try await sandbox.expectQueueAtRest(sourceLocation: sourceLocation)
        }
    }
}

extension Sandbox {
    /// Makes every batch so slow that the trouble comes in the middle of the run.
    fileprivate func slowDown() async throws {
        try await self.execute(
            "CREATE TABLE \(self.schema).pace (seconds real)",
            "INSERT INTO \(self.schema).pace VALUES (0.2)",
            """
            CREATE FUNCTION \(self.schema).slow() RETURNS trigger LANGUAGE plpgsql
            AS $$ BEGIN PERFORM pg_sleep(seconds) FROM \(self.schema).pace; RETURN NULL; END $$
            """,
            """
            CREATE TRIGGER slow BEFORE DELETE ON \(self.schema).events
            FOR EACH STATEMENT EXECUTE FUNCTION \(self.schema).slow()
            """
        )
    }

    /// Changes how slow every batch is.
    fileprivate func slow(by seconds: Double) async throws {
        try await self.execute("UPDATE \(self.schema).pace SET seconds = \(seconds)")
    }
}
