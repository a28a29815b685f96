import RedisClient
import Testing

@Suite
struct RedisClientTests {
    @Test
    func `replies have the types the server gave them`() async throws {
        try await withRedis { client, prefix async throws in
            #expect(try await client.send("SET", prefix + "a", "1") == .status("OK"))
            #expect(try await client.send("GET", prefix + "a") == .string("1"))
            #expect(try await client.send("GET", prefix + "a").int == 1)
            #expect(try await client.send("INCRBY", prefix + "a", "-3") == .integer(-2))
            #expect(try await client.send("GET", prefix + "missing") == .null)
            #expect(try await client.send("LRANGE", prefix + "missing", "0", "-1") == .array([]))
        }
    }

    @Test
    func `arrays may be nested and hold nothing or errors`() async throws {
        try await withRedis { client, prefix async throws in
            _ = try await client.send("XADD", prefix + "s", "1-1", "field", "value")
            let entries = try await client.send("XREAD", "STREAMS", prefix + "s", "0")
            let fields = RESPValue.array([.string("field"), .string("value")])
            let entry = RESPValue.array([.string("1-1"), fields])
            #expect(entries == .array([.array([.string(prefix + "s"), .array([entry])])]))

            let script = RedisScript(
                name: "mixed",
                source: "return {1, false, {'x', redis.error_reply('QFULL it is')}}"
            )
            let inner = RESPValue.array([.string("x"), .error(RedisError(.server, prefix: "QFULL", "it is"))])
            #expect(try await client.evaluate(script, keys: [], arguments: []) == .array([.integer(1), .null, inner]))
        }
    }

    @Test(arguments: ["", " ", "two words", "line\nline\r\n", "\"quoted\" %s %b", "nul\0nul", "Ünï→🦀"])
    func `any text comes back as it was sent`(_ text: String) async throws {
        try await withRedis { client, prefix async throws in
            _ = try await client.send("SET", prefix + text, text)
            #expect(try await client.send("GET", prefix + text) == .string(text))
            #expect(try await client.send("STRLEN", prefix + text) == .integer(text.utf8.count))
        }
    }

    @Test
    func `a large value comes back whole`() async throws {
        try await withRedis { client, prefix async throws in
            let text = String(repeating: "0123456789", count: 300_000)
            _ = try await client.send("SET", prefix + "large", text)
            #expect(try await client.send("GET", prefix + "large").string == text)
        }
    }

    @Test
    func `a server error has its prefix and leaves the connection usable`() async throws {
        try await withRedis { client, prefix async throws in
            let before = try await client.send("CLIENT", "ID")
            _ = try await client.send("SET", prefix + "text", "x")
            let error = try await redisError { try await client.send("LPUSH", prefix + "text", "y") }
            #expect(error.code == .server)
            #expect(error.prefix == "WRONGTYPE")
            #expect(!error.isConnectionProblem)
            #expect(error.description.hasPrefix("Redis answered with an error: WRONGTYPE Operation against"))
            #expect(try await client.send("CLIENT", "ID") == before)
        }
    }

    @Test
    func `a pipeline of 10,000 answers in order and each request fails for itself`() async throws {
        try await withRedis { client, prefix async throws in
            var requests = (0..<10_000).map { RedisRequest.command(["ECHO", "\(prefix)\($0)"]) }
            requests[5_000] = .command(["NOSUCHCOMMAND"])
            let results = try await client.pipeline(requests)
            #expect(results.count == 10_000)
            let wrong = results.indices.filter { results[$0] != .success(.string("\(prefix)\($0)")) }
            #expect(wrong == [5_000])
            #expect(throws: RedisError.self) { try results[5_000].get() }
        }
    }

    @Test
    func `an empty pipeline needs no server`() async throws {
        let client = RedisClient(configuration: try RedisConfiguration(url: "unix:///nonexistent/redis.sock"))
        #expect(try await client.pipeline([]).isEmpty)
    }

    @Test
    func `calls from many tasks keep their own replies`() async throws {
        try await withRedis { client, prefix async throws in
            try await withThrowingTaskGroup(of: Bool.self) { group in
                for number in 0..<200 {
                    group.addTask {
                        let text = "\(prefix)\(number)"
                        let results = try await client.pipeline([
                            .command(["ECHO", text]), .command(["ECHO", "\(number)"]),
                        ])
                        return results == [.success(.string(text)), .success(.string("\(number)"))]
                    }
                }
                for try await matched in group { #expect(matched) }
            }
        }
    }

    @Test
    func `a closed client says so`() async throws {
        let client = RedisClient(configuration: try TestRedis.configuration())
        _ = try await client.send("PING")
        await client.close()
        await client.close()
        #expect(try await redisError { try await client.send("PING") }.code == .connectionLost)
    }
}
