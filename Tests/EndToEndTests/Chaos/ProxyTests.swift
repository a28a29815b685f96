import RedisClient
import Testing

/// On the Redis that all tests share, without a word to it that others could notice.
@Suite struct `The proxy` {
    private static let value = String(repeating: "x", count: 100_000)

    private func withProxy(_ body: (Proxy, RedisClient) async throws -> Void) async throws {
        let address = try Servers.redisURL().dropFirst("unix://".count)
        let proxy = try Proxy(to: .unix(path: String(address)))
        defer { proxy.stop() }
        let redis = RedisClient(
            configuration: try RedisConfiguration(
                url: "redis://127.0.0.1:\(proxy.port)",
                commandTimeout: .milliseconds(500),
                maxBackoff: .milliseconds(10)
            )
        )
        try await Self.expectEcho(redis)
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

    /// How a PING fails; nil when it is answered.
    private static func failure(_ redis: RedisClient) async throws -> RedisError.Code? {
        do {
            let reply = try await redis.send("PING")
            #expect(reply.string == "PONG")
            return nil
        } catch let error as RedisError {
            return error.code
        }
    }

    @Test(.timeLimit(.minutes(5)))
    func `cuts what is connected, and forwards what connects again`() async throws {
        try await self.withProxy { proxy, redis in
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
        try await self.withProxy { proxy, redis in
            proxy.inflict(.blackHole(direction, for: .seconds(60)))
            // The order takes its way through the proxy's thread; before it has arrived, replies still come.
            try await until("nothing comes back") {
                try await Self.failure(redis) == .timedOut
            }
            #expect(try await redis.send("PING").string == "PONG", "a new connection is not affected")
            proxy.heal()
            try await Self.expectEcho(redis)
        }
    }

    @Test(.timeLimit(.minutes(5)))
    func `delays and refuses for a time`() async throws {
        try await self.withProxy { proxy, redis in
            proxy.inflict(.delay(.milliseconds(100), for: .seconds(60)))
            try await until("a round trip takes twice the delay") {
                let start = ContinuousClock.now
                try await Self.expectEcho(redis)
                return start.duration(to: .now) >= .milliseconds(200)
            }
            proxy.heal()
            for _ in 1...2 { proxy.inflict(.refuse(for: .milliseconds(300))) }
            try await until("nobody listens") {
                try await Self.failure(redis) == .connectionFailed
            }
            try await until("somebody listens again") {
                try await Self.failure(redis) == nil
            }
        }
    }
}
