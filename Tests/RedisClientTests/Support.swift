import Glibc
import RedisClient
import Testing

/// The server all tests share.
///
/// Each uses keys of its own, so they run in parallel.
enum TestRedis {
    struct NoServer: Error, CustomStringConvertible {
        let description =
            "EBB_TEST_REDIS_URL is not set; it names the Redis the tests use, such as unix:///tmp/redis.sock"
    }

    static func url() throws -> String {
        guard let value = getenv("EBB_TEST_REDIS_URL") else { throw NoServer() }
        return String(cString: value)
    }

    /// How long a busy machine may take, where a test is not about that.
    static let patience = Duration.seconds(120)

    /// - `url`: nil for the server's own.
    static func configuration(
        _ url: String? = nil,
        commandTimeout: Duration = Self.patience
    ) throws -> RedisConfiguration {
        try RedisConfiguration(
            url: url ?? self.url(),
            connectTimeout: self.patience,
            commandTimeout: commandTimeout
        )
    }
}

/// Runs `body` with a client and a key prefix nobody else has, and deletes the keys under it afterwards.
func withRedis<T>(
    commandTimeout: Duration = TestRedis.patience,
    _ body: (RedisClient, _ prefix: String) async throws -> T
) async throws -> T {
    let client = RedisClient(configuration: try TestRedis.configuration(commandTimeout: commandTimeout))
    let prefix = "ebb-redis-client-tests:\(UInt64.random(in: 0 ... .max)):"
    let result: Result<T, any Error>
    do { result = .success(try await body(client, prefix)) } catch { result = .failure(error) }
    let cleaner = RedisClient(configuration: try TestRedis.configuration())
    for key in try await cleaner.send("KEYS", prefix + "*").array ?? [] {
        _ = try await cleaner.send("DEL", try #require(key.string))
    }
    await cleaner.close()
    await client.close()
    return try result.get()
}

/// Repeats a call of a client that has little patience, until the server is not too late for it.
///
/// - Returns: the reply, and how many calls it took.
func patiently(_ call: () async throws -> RESPValue) async throws -> (reply: RESPValue, calls: Int) {
    let deadline = ContinuousClock.now + TestRedis.patience
    var calls = 0
    while true {
        calls += 1
        do { return (try await call(), calls) } catch let error as RedisError
            where [.timedOut, .connectionFailed].contains(error.code) && .now < deadline
        {}
    }
}

/// The error of `body`, which must be a `RedisError`.
func redisError(
    sourceLocation: SourceLocation = #_sourceLocation,
    _ body: () async throws -> some Any
) async throws -> RedisError {
    try #require(
        await #expect(throws: RedisError.self, sourceLocation: sourceLocation) { _ = try await body() },
        sourceLocation: sourceLocation
    )
}
