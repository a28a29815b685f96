import RedisClient
import Testing

@Suite
struct ConnectionTests {
    @Test
    func `a client reconnects after its connection was killed`() async throws {
        try await withRedis { client, prefix async throws in
            let id = try #require(try await client.send("CLIENT", "ID").int)
            let other = RedisClient(configuration: try TestRedis.configuration())
            #expect(try await other.send("CLIENT", "KILL", "ID", "\(id)") == .integer(1))
            await other.close()

            let error = try await redisError { try await client.send("SET", prefix + "k", "lost") }
            #expect(error.code == .connectionLost)
            #expect(error.isConnectionProblem)
            #expect(try await client.send("SET", prefix + "k", "kept") == .status("OK"))
            #expect(try await client.send("CLIENT", "ID").int != id)
        }
    }

    @Test
    func `a connection that failed stays closed`() async throws {
        let connection = try await RedisConnection.connect(try TestRedis.configuration())
        #expect(await connection.isUsable)
        let id = try #require(try await connection.pipeline([.command(["CLIENT", "ID"])]).first?.get().int)
        let other = RedisClient(configuration: try TestRedis.configuration())
        _ = try await other.send("CLIENT", "KILL", "ID", "\(id)")
        await other.close()
        for _ in 0..<2 {
            let error = try await redisError { try await connection.pipeline([.command(["PING"])]) }
            #expect(error.code == .connectionLost)
        }
        #expect(await !connection.isUsable)
    }

    @Test
    func `a command without an answer times out and the next one works`() async throws {
        try await withRedis(commandTimeout: .milliseconds(100)) { client, prefix async throws in
            let error = try await redisError { try await client.send("BLPOP", prefix + "empty", "0") }
            #expect(error.code == .timedOut)
            #expect(error.isConnectionProblem)
            #expect(try await patiently { try await client.send("PING") }.reply == .status("PONG"))
        }
    }

    @Test(arguments: [
        ("unix:///nonexistent/redis.sock", "No such file or directory"),
        ("redis://127.0.0.1:1", "Connection refused"),
    ])
    func `an unreachable server is named`(url: String, reason: String) async throws {
        let client = RedisClient(configuration: try RedisConfiguration(url: url))
        let error = try await redisError { try await client.send("PING") }
        #expect(error.code == .connectionFailed)
        #expect(error.description == "Cannot connect to Redis at \(url): \(reason)")
    }

    @Test
    func `calls that wait out the backoff together share its attempt`() async throws {
        let client = RedisClient(configuration: try RedisConfiguration(url: "unix:///nonexistent/redis.sock"))
        _ = try await redisError { try await client.send("PING") }
        let failures = await withTaskGroup(of: Bool.self) { group in
            for _ in 0..<100 {
                group.addTask {
                    do {
                        _ = try await client.send("PING")
                        return false
                    } catch let error as RedisError { return error.code == .connectionFailed } catch { return false }
                }
            }
            return await group.reduce(into: 0) { count, failed in count += failed ? 1 : 0 }
        }
        #expect(failures == 100)
    }

    @Test
    func `waiting to reconnect can be cancelled`() async throws {
        let configuration = try RedisConfiguration(url: "unix:///nonexistent/redis.sock", maxBackoff: .seconds(600))
        let client = RedisClient(configuration: configuration)
        // Each failure doubles the backoff; the seventh leaves seconds in which no attempt is made.
        for _ in 0..<7 { _ = try await redisError { try await client.send("PING") } }
        var error: (any Error)?
        for _ in 0..<5 {
            error = await self.errorWhenCancelled(client)
            // It came after these seconds, has made an attempt, and leaves twice as many.
            guard (error as? RedisError)?.code == .connectionFailed else { break }
        }
        #expect(error is CancellationError)
    }

    /// What a call that is cancelled at once throws.
    private func errorWhenCancelled(_ client: RedisClient) async -> (any Error)? {
        let call = Task { try await client.send("PING") }
        call.cancel()
        do {
            _ = try await call.value
            return nil
        } catch { return error }
    }

    @Test
    func `the URL's database is selected`() async throws {
        let url = try TestRedis.url()
        let other = RedisClient(
            configuration: try TestRedis.configuration(url + (url.hasPrefix("unix") ? "?db=3" : "/3"))
        )
        let information = try #require(try await other.send("CLIENT", "INFO").string)
        #expect(information.contains(" db=3 "))
        await other.close()
    }

    @Test
    func `a database the server does not have is refused`() async throws {
        let url = try TestRedis.url() + (try TestRedis.url().hasPrefix("unix") ? "?db=99999" : "/99999")
        let client = RedisClient(configuration: try TestRedis.configuration(url))
        let error = try await redisError { try await client.send("PING") }
        #expect(error.code == .connectionFailed)
        #expect(error.message.contains("did not accept database 99999"))
    }

    @Test
    func `user and password are percent-decoded and used`() async throws {
        try await withUser { url, name in
            let client = RedisClient(configuration: try TestRedis.configuration(url("pa:ss%2Fw%40rd%25")))
            #expect(try await client.send("ACL", "WHOAMI") == .string(name))
            await client.close()
        }
    }

    @Test
    func `a wrong password is a clear sentence without it`() async throws {
        try await withUser { url, _ in
            let client = RedisClient(configuration: try TestRedis.configuration(url("hunter2")))
            let error = try await redisError { try await client.send("PING") }
            #expect(error.code == .connectionFailed)
            #expect(error.prefix == "WRONGPASS")
            #expect(error.description.contains("did not accept the user or password"))
            #expect(!"\(error)".contains("hunter2"))
        }
    }

    /// Runs `body` with a new user, whose password is `pa:ss/w@rd%`, and a function that makes a URL for a password.
    private func withUser(_ body: (_ url: (String) -> String, _ name: String) async throws -> Void) async throws {
        let server = try TestRedis.url()
        let separator = try #require(server.firstRange(of: "://"))
        let name = "ebb-test-\(UInt64.random(in: 0 ... .max))"
        try await withRedis { client, _ async throws in
            _ = try await client.send("ACL", "SETUSER", name, "on", ">pa:ss/w@rd%", "+@all")
            let result: Result<Void, any Error>
            do {
                try await body(
                    { "\(server[..<separator.upperBound])\(name):\($0)@\(server[separator.upperBound...])" },
                    name
                )
                result = .success(())
            } catch {
                result = .failure(error)
            }
            _ = try await client.send("ACL", "DELUSER", name)
            try result.get()
        }
    }
}
