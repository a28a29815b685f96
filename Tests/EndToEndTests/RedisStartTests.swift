import RedisClient
import Testing

@Suite struct `At the start, a Redis` {
    struct Server: Sendable, CustomTestStringConvertible {
        var testDescription: String
        var options: [String]
        var words: [String]

        init(_ description: String, _ options: [String], says words: String...) {
            self.testDescription = description
            self.options = options
            self.words = words
        }
    }

    @Test(
        .timeLimit(.minutes(5)),
        arguments: [
            Server(
                "that is a replica",
                ["--replicaof", "127.0.0.1 1"],
                says: "is a replica of 127.0.0.1:1",
                "accepted: the URL of the primary"
            ),
            Server(
                "that evicts anything",
                ["--maxmemory", "200mb", "--maxmemory-policy", "allkeys-lru"],
                says: "maxmemory-policy of Redis is allkeys-lru",
                "accepted: noeviction"
            ),
        ],
        [Program.producer, .worker]
    )
    func `is refused in one sentence, with nothing half done:`(server: Server, program: Program) async throws {
        try await withRedisSandbox(options: server.options) { sandbox, _ in
            try await sandbox.createEvents(10)
            let arguments = program == .producer ? ["enqueue", "Events", "--json"] : ["--drain"]
            let outcome = try await sandbox.run(program, arguments)
            #expect(outcome.status == .exited(2))
            #expect(outcome.output == "")
            #expect(outcome.complaints.count == 1, "\(outcome.errors)")
            for words in server.words { #expect(outcome.errors.contains(words), "\(outcome.errors)") }
            #expect(try await sandbox.leftTraces() == [])
        }
    }

    @Test(
        .timeLimit(.minutes(5)),
        arguments: [
            Server(
                "that may evict summaries",
                ["--maxmemory", "200mb", "--maxmemory-policy", "volatile-ttl"],
                says: "maxmemory-policy of Redis is volatile-ttl"
            ),
            Server(
                "that would evict anything, had it a limit",
                ["--maxmemory-policy", "allkeys-lfu"],
                says: "maxmemory-policy of Redis is allkeys-lfu",
                "once maxmemory is set"
            ),
            Server(
                "that forgets",
                ["--appendonly", "no"],
                says: "appendonly no",
                "producer recover RUN",
                "accepted: appendonly yes"
            ),
        ]
    )
    func `is warned of, and used:`(server: Server) async throws {
        try await withRedisSandbox(options: server.options) { sandbox, _ in
            try await sandbox.createEvents(1_000)
            let enqueued = try await sandbox.producer("enqueue", "Events", "--json")
            let worker = try await sandbox.run(.worker, ["--drain"])
            for outcome in [enqueued, worker] {
                #expect(outcome.status == .exited(0), "\(outcome.errors)")
                let warnings = outcome.complaints.filter { $0.contains(" warning ") }
                #expect(warnings.count == 1, "\(outcome.errors)")
                for words in server.words { #expect(warnings.first?.contains(words) == true, "\(outcome.errors)") }
            }
            #expect(enqueued.complaints.count == 1, "\(enqueued.errors)")
            let run = try #require(try enqueued.json([StatusDocument].self).first?.run)
            #expect(try await sandbox.state(of: run) == "finished")
            try await sandbox.expectSurvivors()
        }
    }

    @Test(.timeLimit(.minutes(5)))
    func `that does not let this user ask INFO is warned of, and used`() async throws {
        try await withRedisSandbox { sandbox, server in
            try await sandbox.createEvents(1_000)
            _ = try await sandbox.redis.send(
                "ACL",
                "SETUSER",
                "ebb",
                "on",
                ">sesame",
                "~*",
                "+@all",
                "-info",
                "-config"
            )
            let url = server.url.replacing("://", with: "://ebb:sesame@")
            let cleanup = try await sandbox.producer("cleanup", "Events", environment: ["REDIS_URL": url])
            #expect(cleanup.status == .exited(0), "\(cleanup.errors)")
            // The command says it, and its worker does not say it again.
            let warnings = cleanup.complaints.filter { $0.contains("does not let this user ask INFO") }
            #expect(warnings.count == 1, "\(cleanup.errors)")
            try await sandbox.expectSurvivors()
        }
    }
}
