import RedisClient

/// Walks over the sessions of a layout, a page at a time, and lets a script deal with each page.
///
/// The cursor of `SCAN` goes over the whole keyspace and finds every key that is there all the while. The next `SCAN` travels with
/// the script for the page before, so that Redis is never waited for twice.
struct SessionPages {
    private let layout: SessionLayout
    private let queue: Queue
    /// Token, lease and layout, for the scripts.
    private let arguments: [String]
    /// Ebb's own sorted set of keys by when they may be over, if there is one.
    private let index: (key: String, scope: SessionIndex.Scope)?
    /// How many keys of the index are still to be looked at; nil before they were counted.
    ///
    /// A clock that is put back could otherwise make some of them due again and again.
    private var due: Int?

    /// Found and not looked at yet, from `first`.
    private var keys: [String] = []
    private var first = 0
    /// Where `SCAN` goes on; nil at the end.
    private var cursor: String? = "0"
    private var size = Self.sizes.upperBound

    /// Whether everything has been looked at.
    private(set) var isComplete = false

    /// Keys per page.
    ///
    /// Redis answers nobody else meanwhile; 250 sessions of 1 KB are 2 ms.
    private static let sizes = 25...250
    /// A round trip that takes longer makes pages smaller: the machine is slow, or the sessions are large.
    private static let slow = Duration.milliseconds(6)
    private static let swift = Duration.milliseconds(3)

    init(
        layout: SessionLayout,
        queue: Queue,
        arguments: [String],
        index: (key: String, scope: SessionIndex.Scope)? = nil
    ) {
        self.layout = layout
        self.queue = queue
        self.arguments = arguments
        self.index = index
        if index?.scope.isPartial == true { self.cursor = nil }
    }

    /// Deals with the next page; nil at the end.
    ///
    /// - Throws: `RedisError`, `LeaseLost`.
    mutating func next() async throws -> SweepPage? {
        if self.isComplete { return nil }
        if case .sortedSet(let key) = self.layout.time { return try await self.nextOfSet(key) }
        while true {
            let count = min(self.size, self.keys.count - self.first)
            let page = Array(self.keys[self.first..<(self.first + count)])
            var requests: [RedisRequest] = []
            if !page.isEmpty { requests.append(self.script(SessionScripts.page, page)) }
            let scans = self.keys.count - self.first - count < self.size
            if scans, let cursor { requests.append(.command(self.scan(cursor))) }
            guard !requests.isEmpty else {
                // A sweep of all looks at those, too, which others have deleted: their keys would stay in the index.
                if let index { return try await self.nextDue(index.key, before: index.scope.start) }
                self.isComplete = true
                return nil
            }
            let start = ContinuousClock.now
            let replies = try await self.queue.redis.pipeline(requests)
            self.adapt(start.duration(to: .now))
            if requests.count > (page.isEmpty ? 0 : 1), let reply = replies.last { try self.add(reply.get()) }
            guard !page.isEmpty, let reply = replies.first else { continue }
            let result = try SweepPage(reply.get())
            self.first += result.looked
            return result
        }
    }

    /// The first of the index, which the script takes out or moves behind what is due.
    private mutating func nextDue(_ index: String, before: Int) async throws -> SweepPage? {
        let redis = self.queue.redis
        let end = "(\(before)"
        let left: Int
        if let due { left = due } else { left = try await redis.send("ZCOUNT", index, "-inf", end).int ?? 0 }
        self.due = left
        let start = ContinuousClock.now
        let limit = String(min(self.size, left))
        let found = try await redis.send("ZRANGEBYSCORE", index, "-inf", end, "LIMIT", "0", limit)
        guard let page = found.array?.compactMap(\.string), !page.isEmpty else {
            self.isComplete = true
            return nil
        }
        // Not in one go with the search for the page after: a script that Redis has forgotten runs late.
        guard let reply = try await redis.pipeline([self.script(SessionScripts.page, page)]).first else { return nil }
        self.adapt(start.duration(to: .now))
        let result = try SweepPage(reply.get())
        self.due = left - result.looked
        return result
    }

    /// The first sessions of the product's own sorted set, as long as they are over.
    private mutating func nextOfSet(_ key: String) async throws -> SweepPage? {
        let start = ContinuousClock.now
        let request = self.script(SessionScripts.index, [key], String(self.size))
        guard let reply = try await self.queue.redis.pipeline([request]).first else { return nil }
        let result = try SweepPage(reply.get())
        self.isComplete = result.looked < self.size
        self.adapt(start.duration(to: .now))
        return result
    }

    private func script(_ script: RedisScript, _ keys: [String], _ more: String...) -> RedisRequest {
        let own = [self.queue.keys.sweeper, self.queue.keys.sessionEvents]
        return .script(script, keys: own + keys, arguments: self.arguments + more)
    }

    private func scan(_ cursor: String) -> RedisCommand {
        ["SCAN", cursor, "MATCH", self.layout.pattern, "COUNT", String(self.size)]
    }

    private mutating func add(_ reply: RESPValue) throws {
        guard let parts = reply.array, parts.count == 2, let cursor = parts[0].string, let found = parts[1].array else {
            throw RedisError(.unexpectedReply, "SCAN returned no cursor and keys")
        }
        self.cursor = cursor == "0" ? nil : cursor
        self.keys.removeFirst(self.first)
        self.first = 0
        self.keys += found.compactMap(\.string)
    }

    private mutating func adapt(_ time: Duration) {
        if time > Self.slow {
            self.size = max(Self.sizes.lowerBound, self.size / 2)
        } else if time < Self.swift {
            self.size = min(Self.sizes.upperBound, self.size + self.size / 8 + 1)
        }
    }
}
