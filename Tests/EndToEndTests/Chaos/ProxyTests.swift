import RedisClient
import Testing

/// On the Redis that all tests share, without a word to it that others could notice.
@Suite struct `The proxy` {
    private static let value = String(repeating: "x", count: 100_000)

    /// - `commandTimeout`: long, since proxy and server may get no time for a while.
    private func withProxy(
        commandTimeout: Duration = .seconds(60),
        _ body: (Proxy, RedisClient) async throws -> Void
    ) async throws {
        let address = try Servers.redisURL().dropFirst("unix://".count)
        let proxy = try Proxy(to: .unix(path: String(address)))
        defer { proxy.stop() }
        let redis = RedisClient(
            configuration: try RedisConfiguration(
                url: "redis://127.0.0.1:\(proxy.port)",
                commandTimeout: commandTimeout,
                maxBackoff: .milliseconds(10)
            )
        )
        try await until("the server answers") {
            try await Self.failure(redis) == nil
        }
        try await body(proxy, redis)
        await redis.close()
    }

    private static func expectEcho(_ redis: RedisClient) async throws {
        #expect(try await redis.send("ECHO", Self.value).string == Self.value)
    }

    private func expectLoss(_ redis: RedisClient, _ code: RedisError.Code) async {
        let error = await #expect(throws: RedisError.self) { try await redis.send("ECHO", Self.value) }
        #expect(error?.code == code)
    }

    /// How an ECHO fails; nil when it is answered.
    private static func failure(_ redis: RedisClient, _ value: String = "x") async throws -> RedisError.Code? {
        do {
            let reply = try await redis.send("ECHO", value)
            #expect(reply.string == value)
            return nil
        } catch let error as RedisError {
            return error.code
        }
    }

    @Test(.timeLimit(.minutes(5)))
    func `cuts what is connected, and forwards what connects again`() async throws {
        try await self.withProxy { proxy, redis in
            try await Self.expectEcho(redis)
            proxy.inflict(.cut)
            try await until("the connection is lost") {
                try await Self.failure(redis) != nil
            }
            try await Self.expectEcho(redis)
        }
    }

    @Test(.timeLimit(.minutes(5)), arguments: Proxy.Direction.allCases)
    func `cuts in the middle of a command or of its reply`(direction: Proxy.Direction) async throws {
        try await self.withProxy { proxy, redis in
            proxy.inflict(.cutAfter(bytes: 50_000, direction))
            await self.expectLoss(redis, .connectionLost)
            try await Self.expectEcho(redis)
        }
    }

    @Test(.timeLimit(.minutes(5)), arguments: Proxy.Direction.allCases)
    func `swallows one direction of what is connected, until it is healed`(direction: Proxy.Direction) async throws {
        try await self.withProxy(commandTimeout: .milliseconds(500)) { proxy, redis in
            proxy.inflict(.blackHole(direction, for: .seconds(600)))
            // The order takes its way through the proxy's thread; before it has arrived, replies still come.
            try await until("nothing comes back") {
                try await Self.failure(redis) == .timedOut
            }
            try await until("a new connection is not affected") {
                try await Self.failure(redis) == nil
            }
            proxy.heal()
            try await until("all is forwarded") {
                try await Self.failure(redis, Self.value) == nil
            }
        }
    }

    @Test(.timeLimit(.minutes(5)))
    func `delays and refuses for a time`() async throws {
        try await self.withProxy { proxy, redis in
            proxy.inflict(.delay(.milliseconds(100), for: .seconds(600)))
            try await until("a round trip takes twice the delay") {
                let start = ContinuousClock.now
                try await Self.expectEcho(redis)
                return start.duration(to: .now) >= .milliseconds(200)
            }
            proxy.heal()
            for _ in 1...2 { proxy.inflict(.refuse(for: .seconds(600))) }
            try await until("nobody listens") {
                try await Self.failure(redis) == .connectionFailed
            }
            proxy.heal()
            try await until("somebody listens") {
                try await Self.failure(redis) == nil
            }
            proxy.inflict(.refuse(for: .milliseconds(300)))
            // It resets the connection, which shows however late the look is.
            try await until("the connection is lost") {
                try await Self.failure(redis) != nil
            }
            try await until("somebody listens again") {
                try await Self.failure(redis) == nil
            }
        }
    }
}
