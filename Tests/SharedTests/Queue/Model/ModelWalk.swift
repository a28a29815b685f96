import RedisClient

@testable import Shared

/// A walk of random moves over all units of the queue, in step with the model.
///
/// Moves are sent a few at a time and chosen by what was known before the first of them, so that many of them come too late,
/// as those of a process that was stopped for a while do.
struct ModelWalk {
    let redis: RedisClient
    var model: QueueModel
    var random: SplitMix
    /// How many moves are sent at once, at most, and after how many all of Redis is compared.
    var together = 32
    var comparing = 1_000

    /// Numbers runs and batches.
    var lastRun = 0
    var lastBatch = 0
    /// Since when the clock of the server has gone on, and the text of each first failure.
    var began = 0
    var firsts: [Int: String] = [:]

    private var history: [(move: ModelMove, reply: RESPValue)] = []
    private(set) var done = 0
    /// What the units have answered, and how often.
    private(set) var outcomes: [String: Int] = [:]
    /// The latest reply of a unit.
    var latest: RESPValue? { self.history.last?.reply }

    static let consumers = ["a", "b", "c", "d"]

    init(redis: RedisClient, prefix: String, seed: UInt64) {
        self.redis = redis
        self.model = QueueModel(prefix: prefix)
        self.random = SplitMix(state: seed)
    }

    /// Walks; all that was queued is driven to its end now and then, and at the end.
    ///
    /// - Throws: `Disagreement` with the latest moves.
    mutating func walk(_ moves: Int) async throws {
        self.began = try await self.redis.send("TIME").milliseconds
        do {
            try await self.perform([self.setup()])
            while self.done < moves {
                let before = self.done
                var chosen: [ModelMove] = []
                for _ in 0..<self.number(1...self.together) { chosen.append(self.any()) }
                try await self.perform(chosen)
                if before / self.comparing != self.done / self.comparing { try await self.compare() }
                if before / 10_000 != self.done / 10_000 { try await self.finishAll() }
            }
            try await self.finishAll()
        } catch {
            let latest = self.history.suffix(25).map { "\($0.move.summary) -> \($0.reply.short)" }
            throw Disagreement("\(error)\nafter \(self.done) moves, the latest:\n\(latest.joined(separator: "\n"))")
        }
    }

    /// Sends moves in one write, and moves the model on by each reply in their order.
    mutating func perform(_ moves: [ModelMove]) async throws {
        let results = try await self.redis.pipeline(moves.flatMap(\.requests))
        let replies = results.map { result in
            switch result {
            case .success(let value): value
            case .failure(let error): RESPValue.error(error)
            }
        }
        var next = 0
        for move in moves {
            let own = Array(replies[next..<next + move.requests.count])
            next += own.count
            self.done += 1
            if self.history.count > 80 { self.history.removeFirst(40) }
            self.history.append((move, own[move.unit]))
            let expected = try move.expect(&self.model, own)
            self.outcomes[move.outcome(own[move.unit]), default: 0] += 1
            guard own[move.unit] == expected else { throw Disagreement("should have been \(expected.short)") }
        }
    }
}
