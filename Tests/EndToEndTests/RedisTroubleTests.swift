import Foundation
import RedisClient
import Testing

/// What happens to Redis in the middle of a run; the run goes on by itself, and its count is exact.
@Suite(.timeLimit(.minutes(15))) struct `A run goes on, with an exact count, when Redis` {
    @Test(arguments: ["yes", "no"])
    func `becomes read-only and then writable again`(servesStaleData: String) async throws {
        try await RedisTrouble.expectExactRun { _, server, _ in
            _ = try await server.client.send("CONFIG", "SET", "replica-serve-stale-data", servesStaleData)
            let connections = try #require(
                Int(try await server.information("total_connections_received", in: "stats") ?? "")
            )
            // Nobody answers there, so it only stops taking writes; from a real primary it would load an empty data set.
            _ = try await server.client.send("REPLICAOF", "127.0.0.1", "1")
            try await until("the workers have asked for another server, again and again") {
                let now = Int(try await server.information("total_connections_received", in: "stats") ?? "") ?? 0
                return try await server.errors("READONLY") >= 10 && now >= connections + 4
            }
            _ = try await server.client.send("REPLICAOF", "NO", "ONE")
        }
    }

    @Test func `is killed and started again from its append-only file`() async throws {
        try await RedisTrouble.expectExactRun { _, server, _ in
            for _ in 1...3 {
                try await server.kill()
                try await server.start()
            }
        }
    }

    @Test func `is killed beside a cleanup that has no worker of its own`() async throws {
        try await withRedisSandbox { sandbox, server in
            try await sandbox.createEvents(20_000)
            try await sandbox.slowDown(by: 1)
            let outcome = try await sandbox.withWorkers { _ in
                try await sandbox.during(.producer, ["cleanup", "Events", "--batch-rows", "200"]) { _ in
                    try await until("some batches are done") {
                        guard let run = try await sandbox.runs().first else { return false }
                        return try await sandbox.field("done", of: run) >= 5
                    }
                    let rows = try await sandbox.rowsDuringBatch()
                    try await server.kill(SIGTERM)
                    // What has been claimed is done without Redis; then everybody has missed it.
                    try await until("a batch is done meanwhile") { try await sandbox.rows() < rows }
                    try await server.start()
                    try await sandbox.slow(by: 0)
                }.outcome
            }
            #expect(outcome.status == .exited(0), "\(outcome.errors)")
            #expect(outcome.output.contains("Events: finished, "), "\(outcome.output)")
            try await sandbox.expectSurvivors()
        }
    }

    @Test func `is stopped until the workers have nothing left to do, and started again`() async throws {
        try await RedisTrouble.expectExactRun { sandbox, server, _ in
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
        try await RedisTrouble.expectExactRun { _, server, _ in
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
        try await RedisTrouble.expectExactRun { sandbox, server, run in
            let done = try await sandbox.field("done", of: run)
            var flushed = 0
            var isSlow = true
            while try await sandbox.state(of: run) != "finished" {
                _ = try await server.client.send("SCRIPT", "FLUSH")
                flushed += 1
                if isSlow, flushed > 100, try await sandbox.field("done", of: run) >= done + 20 {
                    try await sandbox.slow(by: 0)
                    isSlow = false
                }
            }
            #expect(flushed > 100)
        }
    }

    @Test(arguments: [1, 20])
    func `loses the consumer group`(times: Int) async throws {
        try await RedisTrouble.expectExactRun { sandbox, server, run in
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
        try await RedisTrouble.expectExactRun(Events.target() + others) { sandbox, server, run in
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
            #expect(refused.errors.contains("Redis is full"), "\(refused.errors)")
            // The log of events is capped, so it goes on, too.
            for (command, topic) in [("pause", "run.paused"), ("resume", "run.resumed")] {
                let changed = try await sandbox.producer(command, run)
                #expect(changed.status == .exited(0), "\(changed.errors)")
                let told = try await sandbox.producer("events", "--limit", "1")
                #expect(told.output.contains(topic), "\(told.output)")
            }
            try await until("the workers drain the queue") { try await sandbox.field("done", of: run) > done + 20 }
            _ = try await server.client.send("CONFIG", "SET", "maxmemory", "0")
            try await sandbox.slow(by: 0)
            let accepted = try await sandbox.producer("enqueue", "Others", "--wait", "--json")
            #expect(accepted.status == .exited(0), "\(accepted.errors)")
            #expect(try await sandbox.number("SELECT count(*) FROM \(sandbox.schema).others") == 0)
        }
    }
}
