import RedisClient

extension Queue {
    /// What a worker that has nothing to do is woken by.
    package enum Bell: Sendable, Equatable {
        /// A batch was added.
        case batch
        /// Something happened, such as a run's creation.
        case event(EbbEvent)
    }

    /// Waits until somebody adds a batch or tells an event, at most for `limit`.
    ///
    /// Holds up everything else on this queue's connection, so it is for one of its own, and cannot be cancelled. What is
    /// added between a poll and this call, or between two calls, goes unnoticed until the next poll.
    ///
    /// - `hearsEvents`: whether an event ends the wait, too.
    /// - Returns: nil when nothing happened.
    package func waitForWork(atMost limit: Duration, hearsEvents: Bool = true) async throws -> Bell? {
        // 0 would be for ever.
        let arguments = ["XREAD", "COUNT", "1", "BLOCK", max(limit, .milliseconds(1)).milliseconds, "STREAMS"]
        let streams = self.streams + (hearsEvents ? [self.keys.events] : [])
        let reply = try await self.redis.send(RedisCommand(arguments + streams + streams.map { _ in "$" }))
        guard let heard = reply.array, !heard.isEmpty else { return nil }
        if heard.contains(where: { $0.array?.first?.string != self.keys.events }) { return .batch }
        return EventLog.events(heard.first).first.map { .event($0) }
    }
}
