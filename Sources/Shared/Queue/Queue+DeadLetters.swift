package import FoundationEssentials
import RedisClient

/// A batch that was given up on, as it is kept until it is retried or discarded.
package struct DeadLetter: Sendable, Hashable {
    package var run: String
    package var batch: String
    /// nil when the message held none that Ebb wrote.
    package var range: BatchRange?
    /// Tries, the last one included.
    package var attempts: Int
    package var sqlState: String?
    package var error: String
    package var firstFailedAt: Date?
    package var lastFailedAt: Date?

    /// As `fail.lua` writes it.
    private struct Stored: Decodable {
        var run: String
        var batch: String
        var range: String
        var attempts: String
        var sqlstate: String
        var error: String
        var first: String
        var last: String
    }

    /// - Throws: `QueueError` for a letter that Ebb did not write.
    init(json: String) throws(QueueError) {
        let stored: Stored
        do { stored = try JSONDecoder().decode(Stored.self, from: Data(json.utf8)) } catch {
            throw .malformed("dead letter \(json.prefix(200))", accepted: "what Ebb writes")
        }
        self.run = stored.run
        self.batch = stored.batch
        do { self.range = try BatchRange(encoded: stored.range) } catch { self.range = nil }
        self.attempts = Int(stored.attempts) ?? 0
        self.sqlState = stored.sqlstate.isEmpty ? nil : stored.sqlstate
        self.error = stored.error
        func date(_ text: String) -> Date? { Double(text).map { Date(timeIntervalSince1970: $0 / 1_000) } }
        self.firstFailedAt = date(stored.first)
        self.lastFailedAt = date(stored.last)
    }
}

extension Queue {
    /// The dead letters, oldest first.
    ///
    /// - `run`: only those of this run.
    /// - Throws: `QueueError` for a letter that Ebb did not write; `RedisError`.
    package func deadLetters(of run: String? = nil) async throws -> [DeadLetter] {
        var letters: [DeadLetter] = []
        let members = (try await self.redis.send("ZRANGE", self.keys.dead, "0", "-1").array ?? []).compactMap(\.string)
            .filter { run == nil || $0.hasPrefix("\(run ?? "") ") }
        for start in stride(from: 0, to: members.count, by: Self.settlements) {
            let names = members[start..<min(start + Self.settlements, members.count)]
            let reply = try await self.redis.send(RedisCommand(["HMGET", self.keys.deadLetters] + names))
            for text in (reply.array ?? []).compactMap(\.string) { letters.append(try DeadLetter(json: text)) }
        }
        return letters
    }

    /// Takes dead letters of one run back into the queue, as if never tried; a run that was over is running again.
    ///
    /// - `plan`: set when a run that was over is to be planned anew, because it ended before all was planned or done: the
    ///   generation to plan. Otherwise only what is revived is worked on, and then verified.
    /// - Returns: how many letters were still there; nil when the run is not known to Redis or ends early just now.
    package func revive(_ batches: [String], of run: String, planning plan: Int?, generation: Int) async throws -> Int?
    {
        var revived = 0
        var rest = batches[...]
        repeat {
            let reply = try await self.redis.evaluate(
                QueueScripts.revive,
                keys: [self.keys.prefix],
                arguments: [
                    run, plan == nil ? "drain" : "plan", String(plan ?? generation),
                    // Any text but the empty one, with which planning begins.
                    plan == nil ? "revived" : "",
                ] + rest.prefix(Self.settlements)
            )
            guard let count = reply.int, count >= 0 else { return nil }
            revived += count
            rest = rest.dropFirst(Self.settlements)
        } while !rest.isEmpty
        return revived
    }

    /// Throws dead letters away; returns how many were still there.
    @discardableResult
    package func discard(_ letters: [DeadLetter]) async throws -> Int {
        var discarded = 0
        for start in stride(from: 0, to: letters.count, by: Self.settlements) {
            let chunk = letters[start..<min(start + Self.settlements, letters.count)]
            discarded +=
                try await self.redis.evaluate(
                    QueueScripts.discard,
                    keys: [self.keys.prefix],
                    arguments: chunk.flatMap { [$0.run, $0.batch] }
                ).int ?? 0
        }
        return discarded
    }

    /// What one script handles at most.
    static let settlements = 100
}
