import RedisClient

/// By when each session is over if nobody uses it, so that most sweeps look at no others.
///
/// A sweep that looks at all sessions writes the index; a session that it did not see was used after the sweep's begin, so it
/// cannot be over before the shortest lifetime has passed since then. As long, sweeps look only at those whose time has come.
/// What they find there is compared as ever: a session that was used meanwhile stays, and gets its new time.
///
/// The products' clocks write the time of use, so a session may be found late by what they differ from Redis's. An operator who
/// shortens the lifetime changes the layout's document, and with it the index.
struct SessionIndex: Sendable {
    /// What a sweep looks at.
    struct Scope: Sendable, Equatable {
        /// Whether only those that may have been over at its begin.
        var isPartial: Bool
        /// The sweep's begin, in ms.
        var start: Int
    }

    /// The sorted set.
    let key: String
    private let completeKey: String
    private let redis: RedisClient
    private let shortest: Duration
    private let longest: Duration

    /// - `document`: what the scripts know of the layout.
    init(_ layout: SessionLayout, document: String, _ queue: Queue) {
        let hash = String(SessionStore.digest(document).prefix(16))
        self.key = queue.keys.sessionIndex(hash)
        self.completeKey = queue.keys.sessionIndexComplete(hash)
        self.redis = queue.redis
        let lifetimes = [layout.lifetime] + (layout.service.map { [$0.lifetime] } ?? [])
        self.shortest = lifetimes.min() ?? layout.lifetime
        self.longest = lifetimes.max() ?? layout.lifetime
    }

    /// Whether sessions of a layout are over a known time after their last use, and no product keeps an index of its own.
    static func serves(_ layout: SessionLayout) -> Bool {
        if case .sortedSet = layout.time { return false }
        return layout.lifetime > .zero
    }

    /// How long the index outlives a sweep that wrote to it, in ms: nobody else removes that of a layout that is no more.
    var timeToLive: Int { Int(self.longest * 2 / .milliseconds(1)) }

    /// What a sweep that begins now has to look at.
    ///
    /// All sessions when Redis has evicted the index, or when it is empty.
    func scope() async throws -> Scope {
        let replies = try await self.redis.pipeline([
            .command(["TIME"]), .command(["EXISTS", self.completeKey, self.key]),
        ])
        guard replies.count == 2, let time = try replies[0].get().array?.compactMap(\.string).compactMap({ Int($0) }),
            time.count == 2
        else { throw RedisError(.unexpectedReply, "TIME returned no seconds and microseconds") }
        return Scope(isPartial: try replies[1].get().int == 2, start: time[0] * 1_000 + time[1] / 1_000)
    }

    /// Notes that a sweep has looked at all sessions.
    func complete(since start: Int) async throws {
        let end = start + Int(min(self.shortest, Self.longestTrust) / .milliseconds(1))
        do {
            _ = try await self.redis.send("SET", self.completeKey, "1", "PXAT", String(end))
        } catch let error as RedisError where error.prefix == "OOM" {
            // The next sweep looks at all again.
        }
    }

    /// Sessions that were copied here from elsewhere were not used since, and are found after this time at the latest.
    private static let longestTrust = Duration.seconds(86_400)
}
