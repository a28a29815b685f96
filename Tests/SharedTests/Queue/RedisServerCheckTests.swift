import Testing

@testable import Shared

@Suite struct RedisServerCheckTests {
    struct Server: Sendable, CustomTestStringConvertible {
        var testDescription: String
        var information: String
        /// What the one sentence about it must contain; empty when there is nothing to say.
        var words: [String]

        init(_ description: String, _ lines: String..., says words: [String] = []) {
            self.testDescription = description
            self.information = "# Server\r\n" + lines.map { $0 + "\r\n" }.joined() + "\r\n"
            self.words = words
        }
    }

    @Test(arguments: [
        Server("nothing is told"),
        Server(
            "a Redis as it should be",
            "redis_version:7.0.4",
            "role:master",
            "aof_enabled:1",
            "maxmemory_policy:noeviction"
        ),
        Server("a Valkey", "redis_version:7.2.4", "server_name:valkey", "valkey_version:8.0.1", "role:master"),
        Server("two digits", "redis_version:7.0.15"),
        Server("a release candidate", "redis_version:8.0.4-rc1"),
        Server("a version of two parts", "redis_version:7.2"),
        Server("a policy that is not told", "maxmemory_policy:", "maxmemory:0"),
        Server("a policy that nobody knows yet", "maxmemory_policy:other-lru", "maxmemory:100"),
    ])
    func `is accepted`(server: Server) throws {
        #expect(try RedisServerCheck(information: server.information).warnings() == [])
    }

    @Test(arguments: [
        Server("old", "redis_version:6.2.14", says: ["Redis 6.2.14 is too old", "7.0.4", "Valkey 7.2"]),
        Server("a little too old", "redis_version:7.0.3", says: ["Redis 7.0.3 is too old"]),
        Server(
            "a replica",
            "role:slave",
            "master_host:10.0.0.7",
            "master_port:6379",
            says: ["replica of 10.0.0.7:6379", "accepted: the URL of the primary"]
        ),
        Server("a replica of nobody knows whom", "role:slave", says: ["is a replica, which"]),
        Server(
            "one that evicts anything",
            "maxmemory:100",
            "maxmemory_policy:allkeys-lru",
            says: ["maxmemory-policy of Redis is allkeys-lru", "accepted: noeviction"]
        ),
        Server("one that does not tell its limit", "maxmemory_policy:allkeys-random", says: ["allkeys-random"]),
    ])
    func `is refused`(server: Server) throws {
        let error = try #require(throws: QueueError.self) {
            try RedisServerCheck(information: server.information).warnings()
        }
        for words in server.words { #expect(error.description.contains(words), "\(error)") }
    }

    @Test(arguments: [
        Server(
            "evicts what has a lifetime",
            "maxmemory:100",
            "maxmemory_policy:volatile-ttl",
            says: ["maxmemory-policy of Redis is volatile-ttl", "accepted: noeviction"]
        ),
        Server(
            "will evict",
            "maxmemory:0",
            "maxmemory_policy:allkeys-lru",
            says: ["allkeys-lru", "once maxmemory is set"]
        ),
        Server(
            "forgets",
            "aof_enabled:0",
            says: ["appendonly no", "producer recover RUN", "accepted: appendonly yes"]
        ),
    ])
    func `is warned of`(server: Server) throws {
        let warnings = try RedisServerCheck(information: server.information).warnings()
        #expect(warnings.count == 1)
        for words in server.words { #expect(warnings.first?.contains(words) == true, "\(warnings)") }
    }
}
