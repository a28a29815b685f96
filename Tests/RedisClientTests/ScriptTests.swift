import RedisClient
import Testing

/// `SCRIPT FLUSH` is felt by every test on the server, in this suite and elsewhere; that is what the client must cope with.
@Suite
struct ScriptTests {
    /// A script no other test has loaded.
    private func script(_ body: String) -> RedisScript {
        RedisScript(name: "test", source: "\(body) -- \(UInt64.random(in: 0 ... .max))")
    }

    private var echo: RedisScript { self.script("return {KEYS[1], ARGV[1]}") }

    @Test
    func `a script gets its keys and arguments`() async throws {
        try await withRedis { client, prefix async throws in
            let echo = self.echo
            for number in 0..<3 {
                let reply = try await client.evaluate(echo, keys: [prefix + "k"], arguments: ["\(number) x"])
                #expect(reply == .array([.string(prefix + "k"), .string("\(number) x")]))
            }
        }
    }

    @Test
    func `a script is loaded again after the server forgot it`() async throws {
        try await withRedis { client, prefix async throws in
            let echo = self.echo
            for _ in 0..<2 {
                let reply = try await client.evaluate(echo, keys: [prefix + "k"], arguments: ["x"])
                #expect(reply == .array([.string(prefix + "k"), .string("x")]))
                _ = try await client.send("SCRIPT", "FLUSH")
            }
        }
    }

    @Test
    func `only forgotten scripts of a pipeline are repeated`() async throws {
        try await withRedis { client, prefix async throws in
            let count = self.script("return redis.call('INCR', KEYS[1])")
            let echo = self.echo
            _ = try await client.evaluate(count, keys: [prefix + "scripts"], arguments: [])
            let results = try await client.pipeline([
                .command(["INCR", prefix + "commands"]),
                .command(["SCRIPT", "FLUSH"]),
                .script(count, keys: [prefix + "scripts"], arguments: []),
                .command(["INCR", prefix + "commands"]),
                .script(echo, keys: [prefix], arguments: ["last"]),
            ])
            #expect(
                results == [
                    .success(.integer(1)),
                    .success(.status("OK")),
                    .success(.integer(2)),
                    .success(.integer(2)),
                    .success(.array([.string(prefix), .string("last")])),
                ]
            )
            #expect(try await client.send("GET", prefix + "commands").int == 2)
            #expect(try await client.send("GET", prefix + "scripts").int == 2)
        }
    }

    @Test
    func `a script that does not compile fails alone`() async throws {
        try await withRedis { client, prefix async throws in
            let results = try await client.pipeline([
                .command(["ECHO", "before"]),
                .script(RedisScript(name: "broken", source: "return ("), keys: [], arguments: []),
                .script(self.echo, keys: [prefix], arguments: ["after"]),
            ])
            #expect(results.first == .success(.string("before")))
            #expect(results.last == .success(.array([.string(prefix), .string("after")])))
            let error = try #require(throws: RedisError.self) { try results[1].get() }
            #expect(error.code == .server)
            #expect(error.message.contains("(broken)"))
        }
    }

    @Test
    func `an error a script returns keeps its prefix`() async throws {
        try await withRedis { client, _ async throws in
            let full = self.script("return redis.error_reply('QFULL 7 waiting')")
            let error = try await redisError { try await client.evaluate(full, keys: [], arguments: []) }
            #expect(error == RedisError(.server, prefix: "QFULL", "7 waiting"))
        }
    }
}
