package import Logging
import RedisClient

/// What has happened in an installation: a capped stream in Redis, the newest events of which can be read and followed.
///
/// Events of runs are appended by the very scripts that change a run's state, so each is told exactly once; all others by
/// whoever makes them happen. Nothing fails for want of an event: the scripts that append one are not refused while Redis
/// is full, the stream being capped, and an event that cannot be appended is lost.
package struct EventLog: Sendable {
    private let queue: Queue

    package init(_ queue: Queue) { self.queue = queue }

    /// Appends an event.
    ///
    /// Repeating it appends another one.
    ///
    /// - Returns: its id.
    /// - Throws: `RedisError`.
    @discardableResult
    package func append(_ event: EbbEvent) async throws -> String {
        let reply = try await self.queue.redis.evaluate(
            QueueScripts.event,
            keys: [self.queue.keys.prefix],
            arguments: event.fields.map(\.value)
        )
        guard let id = reply.string else { throw RedisError(.unexpectedReply, "the event log gave an event no id") }
        return id
    }

    /// Appends an event if that can be done now; what it tells of goes on in any case.
    ///
    /// - Returns: false when Redis is away, so that the same can be told later.
    @discardableResult
    package func tell(_ event: EbbEvent, _ logger: Logger) async -> Bool {
        do {
            try await self.append(event)
            return true
        } catch {
            logger.log(.warning, "an event is lost", [.event: "\(event.topic)", .error: "\(error)"])
            return Fault(error) != .queueAway
        }
    }

    /// The newest events, oldest of them first.
    package func latest(_ count: Int) async throws -> [EbbEvent] {
        let reply = try await self.queue.redis.send(
            "XREVRANGE",
            self.queue.keys.events,
            "+",
            "-",
            "COUNT",
            String(count)
        )
        return (reply.array ?? []).reversed().compactMap(Self.event)
    }

    /// The events after one, oldest first; when there are none, waits for some.
    ///
    /// Holds its connection to Redis meanwhile.
    ///
    /// - `id`: empty for all that there are.
    /// - `patience`: shorter than the connection's time-out.
    /// - Returns: none when none came.
    package func events(after id: String, patience: Duration) async throws -> [EbbEvent] {
        let reply = try await self.queue.redis.send(
            "XREAD",
            "COUNT",
            "100",
            "BLOCK",
            patience.milliseconds,
            "STREAMS",
            self.queue.keys.events,
            id.isEmpty ? "0" : id
        )
        return Self.events(reply.array?.first)
    }

    /// The events in what XREAD says of one stream.
    static func events(_ stream: RESPValue?) -> [EbbEvent] {
        (stream?.array?.last?.array ?? []).compactMap(Self.event)
    }

    private static func event(_ entry: RESPValue) -> EbbEvent? {
        guard let parts = entry.array, parts.count == 2, let id = parts[0].string, let flat = parts[1].array else {
            return nil
        }
        var fields: [String: String] = [:]
        for position in stride(from: 0, to: flat.count - 1, by: 2) {
            if let name = flat[position].string, let value = flat[position + 1].string { fields[name] = value }
        }
        return EbbEvent(id: id, fields: fields)
    }
}

extension Queue {
    /// What has happened to the runs of this queue, and around them.
    package var events: EventLog { EventLog(self) }
}
