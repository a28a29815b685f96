import RedisClient
import Testing

/// What a client makes of a server that fails in the middle of things.
@Suite struct OutageTests {
    @Test(arguments: [
        "READONLY You can't write against a read only replica.", "MOVED 3999 127.0.0.1:6381",
        "LOADING Redis is loading the dataset in memory",
        "MASTERDOWN Link with MASTER is down and replica-serve-stale-data is set to 'no'.",
        "CLUSTERDOWN The cluster is down", "NOREPLICAS Not enough good replicas to write.",
        "UNBLOCKED force unblock from blocking operation, instance state changed (master -> replica?)",
        "MISCONF Redis is configured to save RDB snapshots", "BUSY Redis is busy running a script.",
        "ERR max number of clients reached",
    ])
    func `a server that cannot be used now is left, and the next call connects anew`(reply: String) async throws {
        let server = try FakeServer([[.bytes("-\(reply)\r\n"), .bytes("+stayed\r\n")], [.bytes("+OK\r\n")]])
        let client = try server.client()
        let error = try await redisError { try await client.send("SET", "k", "v") }
        #expect(error.code == .server)
        #expect(error.description == "Redis answered with an error: \(reply)")
        #expect(error.isServerAway)
        #expect(!error.isConnectionProblem)
        #expect(try await client.send("SET", "k", "v") == .status("OK"))
        #expect(server.accepted == 2)
        await client.close()
    }

    @Test(arguments: [
        "OOM command not allowed when used memory > 'maxmemory'.", "NOGROUP No such key", "WRONGTYPE Operation against",
        "NOPERM this user has no permissions", "BUSYGROUP Consumer Group name already exists", "ERR unknown command",
    ])
    func `an error of the command leaves the connection as it is`(reply: String) async throws {
        let server = try FakeServer([[.bytes("-\(reply)\r\n"), .bytes("+stayed\r\n")]])
        let client = try server.client()
        let error = try await redisError { try await client.send("SET", "k", "v") }
        #expect(!error.isServerAway)
        #expect(try await client.send("SET", "k", "v") == .status("stayed"))
        #expect(server.accepted == 1)
        await client.close()
    }

    @Test func `a pipeline returns all its results before the server is left`() async throws {
        let server = try FakeServer([[.bytes("$1\r\nv\r\n-READONLY no\r\n")], [.bytes("+OK\r\n")]])
        let client = try server.client()
        let results = try await client.pipeline([.command(["GET", "k"]), .command(["SET", "k", "v"])])
        #expect(results == [.success(.string("v")), .failure(RedisError(.server, prefix: "READONLY", "no"))])
        #expect(try await client.send("SET", "k", "v") == .status("OK"))
        #expect(server.accepted == 2)
        await client.close()
    }

    @Test func `a script that cannot be loaded because the server loads its data says so`() async throws {
        let server = try FakeServer([[.bytes("-LOADING in memory\r\n")], [.bytes("+OK\r\n")]])
        let client = try server.client()
        let script = RedisScript(name: "one", source: "return 1")
        let error = try await redisError { try await client.evaluate(script, keys: [], arguments: []) }
        #expect(error.prefix == "LOADING")
        #expect(error.isServerAway)
        #expect(try await client.send("SET", "k", "v") == .status("OK"))
        await client.close()
    }

    /// A reply that is cut off at each of its parts, and one that never begins.
    @Test(arguments: ["", "$", "$10\r\n", "$10\r\nhalf", "*2\r\n+OK\r\n", "+OK"])
    func `a connection that ends within a reply is lost, and the next call connects anew`(part: String) async throws {
        let server = try FakeServer([part.isEmpty ? [.reset] : [.bytes(part)], [.bytes("+OK\r\n")]])
        let client = try server.client()
        let error = try await redisError { try await client.send("GET", "k") }
        #expect(error.code == .connectionLost)
        #expect(error.isServerAway)
        #expect(try await client.send("SET", "k", "v") == .status("OK"))
        #expect(server.accepted == 2)
        await client.close()
    }

    @Test func `a pipeline that is cut off has no results`() async throws {
        let server = try FakeServer([[.bytes("+one\r\n")], [.bytes("+OK\r\n")]])
        let client = try server.client()
        let error = try await redisError {
            try await client.pipeline([.command(["ECHO", "one"]), .command(["ECHO", "two"])])
        }
        #expect(error.code == .connectionLost)
        #expect(try await client.send("SET", "k", "v") == .status("OK"))
        await client.close()
    }

    @Test(arguments: [FakeServer.Answer.silence, .bytes("$10\r\nhalf")])
    func `a half-open connection is given up when no byte has come for the timeout`(
        answer: FakeServer.Answer
    ) async throws {
        let good = Array(repeating: [FakeServer.Answer.bytes("+OK\r\n")], count: 1_000)
        let server = try FakeServer([[answer, .silence, .silence]] + good)
        let client = try server.client(commandTimeout: .milliseconds(100))
        let error = try await redisError { try await client.send("GET", "k") }
        #expect(error.code == .timedOut)
        #expect(error.isServerAway)
        let (reply, calls) = try await patiently { try await client.send("SET", "k", "v") }
        #expect(reply == .status("OK"))
        #expect(server.accepted == 1 + calls)
        await client.close()
    }

    @Test func `a peer that takes no bytes is given up, too`() async throws {
        let server = try FakeServer([])
        let client = try server.client(commandTimeout: .milliseconds(100))
        let large = String(repeating: "x", count: 32 << 20)
        let error = try await redisError { try await client.send("SET", "k", large) }
        #expect(error.code == .timedOut)
        #expect(error.isServerAway)
        #expect(server.accepted == 0)
        await client.close()
    }

    @Test func `what fails in the greeting has sent nothing of the caller's`() async throws {
        let good = Array(repeating: [FakeServer.Answer.bytes("+OK\r\n"), .bytes("+PONG\r\n")], count: 1_000)
        let server = try FakeServer([[.reset], [.silence, .silence]] + good)
        let client = try server.client(commandTimeout: .milliseconds(100), credentials: ":hunter2@")
        for _ in 1...2 {
            let error = try await redisError { try await client.send("ECHO", "x") }
            #expect(error.code == .connectionFailed)
            #expect(!error.description.contains("hunter2"))
        }
        #expect(try await patiently { try await client.send("ECHO", "x") }.reply == .status("PONG"))
        await client.close()
    }

    /// As behind a proxy that has no server, and while a server loads its data.
    @Test(arguments: [FakeServer.Answer.reset, .bytes("-LOADING in memory\r\n")])
    func `calls that wait together share one attempt that fails after connecting`(
        answer: FakeServer.Answer
    ) async throws {
        let server = try FakeServer(Array(repeating: [answer], count: 1_000))
        // Attempts of their own would take a hundred calls most of an hour.
        let client = try server.client(maxBackoff: .seconds(60))
        _ = try await redisError { try await client.send("SET", "k", "v") }
        let errors = await withTaskGroup(of: RedisError?.self) { group in
            for _ in 0..<100 {
                group.addTask {
                    do {
                        _ = try await client.send("SET", "k", "v")
                        return nil
                    } catch { return error as? RedisError }
                }
            }
            return await group.reduce(into: []) { errors, error in errors += error.map { [$0] } ?? [] }
        }
        #expect(errors.count == 100)
        #expect(errors.filter { !$0.isServerAway }.isEmpty)
        #expect(server.accepted < 10)
        await client.close()
    }
}
