import RedisClient

extension Queue {
    /// What a worker that has nothing to do is woken by.
    package enum Bell: Sendable, Hashable {
        /// A batch was added.
        case batch
        /// A run was created; its batches come once its pivots are found.
        ///
        /// - `rows`: how many it is expected to delete.
        case created(run: String, rows: Int)
    }

    /// Waits until somebody adds a batch or creates a run, at most for `limit`.
    ///
    /// Holds up everything else on this queue's connection, so it is for one of its own, and cannot be cancelled. What is
    /// added between a poll and this call goes unnoticed until the next poll. Other events end the wait, too.
    ///
    /// - Returns: nil when neither happened.
    package func waitForWork(atMost limit: Duration) async throws -> Bell? {
        // 0 would be for ever.
        let arguments = ["XREAD", "COUNT", "1", "BLOCK", max(limit, .milliseconds(1)).milliseconds, "STREAMS"]
        let streams = self.streams + [self.keys.events]
        let reply = try await self.redis.send(RedisCommand(arguments + streams + streams.map { _ in "$" }))
        guard let heard = reply.array else { return nil }
        if heard.contains(where: { $0.array?.first?.string != self.keys.events }) { return .batch }
        guard let event = EventLog.events(heard.first).first, event.topic == "run.created" else { return nil }
        return .created(run: event.subject, rows: event.counts["estimated"] ?? 0)
    }
}
