import FoundationEssentials
import RedisClient

/// All that Redis holds of the namespace, against the model.
extension ModelWalk {
    /// - Throws: `Disagreement` naming what differs first.
    mutating func compare() async throws {
        let keys = try await self.redis.send("KEYS", self.model.prefix + "*").array ?? []
        // The event log only tells; no script reads it.
        let log = [self.model.prefix + "events", self.model.prefix + "events:most"]
        try Self.same("keys", Set(keys.compactMap(\.string)).subtracting(log), self.model.keys)
        try await self.compareRuns()
        for stream in 0..<3 { try await self.compareStream(stream) }
        try await self.compareDelayed()
        try await self.compareLetters()
        try self.checkInvariants()
    }

    static func same<Value: Equatable>(_ what: String, _ actual: Value, _ expected: Value) throws(Disagreement) {
        if actual != expected { throw Disagreement("\(what): Redis has \(actual), should have \(expected)") }
    }

    private func read(_ command: String...) async throws -> RESPValue {
        try await self.redis.send(RedisCommand([command[0], self.model.prefix + command[1]] + command.dropFirst(2)))
    }

    private func compareRuns() async throws {
        let now = try await self.redis.send("TIME").milliseconds
        for (name, run) in self.model.runs {
            var fields = try await self.read("HGETALL", "run:" + name).pairs
            let until = fields.removeValue(forKey: "step_until").flatMap { Int($0) } ?? .max
            try Self.same("lease of the step of \(name)", until > now, run.isTaken)
            let started = fields.removeValue(forKey: "started_ms")
            try Self.same("start of \(name)", started.map { (Int($0) ?? 0) >= self.began }, run.hasStarted ? true : nil)
            fields["since"] = nil
            let counts = run.counts.map { ($0.key.rawValue, String($0.value)) }
            let expected = run.fields.merging(counts) { $1 }
            let differing = Set(fields.keys).union(expected.keys).filter { fields[$0] != expected[$0] }
            try Self.same(
                "run \(name)",
                fields.filter { differing.contains($0.key) },
                expected.filter { differing.contains($0.key) }
            )
            try Self.same("TTL of \(name)", try await self.read("TTL", "run:" + name).int ?? 0 > 0, run.isOver)
        }
        try Self.same(
            "active",
            try await self.read("ZRANGE", "active", "0", "-1", "WITHSCORES").byName,
            self.model.active
        )
        try Self.same("runs", try await self.read("ZRANGE", "runs", "0", "-1", "WITHSCORES").byName, self.model.known)
        let workers = try await self.read("ZRANGE", "workers", "0", "-1", "WITHSCORES").byName
        try Self.same("workers", workers.mapValues { $0 >= self.began }, self.model.workers)
        for (run, consumers) in self.model.blind {
            let actual = try await self.read("SMEMBERS", "blind:" + run).array ?? []
            try Self.same("blind for \(run)", Set(actual.compactMap(\.string)), consumers)
        }
        for (run, starts) in self.model.starts {
            let actual = try await self.read("HGETALL", "starts:" + run).pairs
            try Self.same("starts of \(run)", actual, starts.mapValues { String($0) })
        }
    }

    private mutating func compareStream(_ stream: Int) async throws {
        let key = "stream:" + QueueModel.names[stream]
        let state = self.model.streams[stream]
        let entries = try await self.read("XRANGE", key, "-", "+").array ?? []
        let expected = state.pending.map { QueueModel.Content.batch($0.batch) } + state.waiting
        try Self.same("length of \(key)", entries.count, expected.count)
        for (entry, content) in zip(entries, expected) {
            let fields = entry.array?[1].array?.compactMap(\.string) ?? []
            switch content {
            case .garbage(let garbage): try Self.same("entry of \(key)", fields, garbage)
            case .batch(let batch):
                let first = fields.count > 9 ? fields[9] : "none"
                let rest = [
                    "r", batch.run, "b", batch.name, "a", "\(batch.attempts)", "u", "\(batch.units)", "f", first,
                ]
                try Self.same("entry of \(key)", fields, rest + ["v", batch.range])
                try self.compareFirst(first, batch)
            }
        }
        try Self.same(
            "ids of leases of \(key)",
            entries.prefix(state.pending.count).map { $0.array?[0].string },
            state.pending.map(\.id.text)
        )
        let pending = try await self.read("XPENDING", key, "workers", "-", "+", "10000").array ?? []
        try Self.same(
            "leases of \(key)",
            pending.map { "\($0.array?[0].string ?? "") \($0.array?[1].string ?? "") \($0.array?[3].int ?? 0)" },
            state.pending.map { "\($0.id.text) \($0.consumer) \($0.count)" }
        )
        let reply = try await self.redis.send("XINFO", "CONSUMERS", self.model.prefix + key, "workers").array ?? []
        let consumers = Set(reply.compactMap { $0.array?[1].string })
        guard consumers.isSuperset(of: state.consumers), state.consumers.union(state.asked).isSuperset(of: consumers)
        else { throw Disagreement("consumers of \(key): \(consumers), should be \(state.consumers)") }
    }

    /// A first failure keeps its time, whatever becomes of the batch.
    private mutating func compareFirst(_ text: String, _ batch: QueueModel.Batch) throws(Disagreement) {
        let known = batch.first == 0 ? "" : self.firsts[batch.first]
        if known == nil, (Int(text) ?? 0) >= self.began { self.firsts[batch.first] = text }
        try Self.same("first failure of \(batch.member)", text, known ?? self.firsts[batch.first] ?? "a time")
    }

    private mutating func compareDelayed() async throws {
        let scores = try await self.read("ZRANGE", "delayed", "0", "-1", "WITHSCORES").byName
        try Self.same("delayed", scores.mapValues { $0 == 1 }, self.model.delayed.mapValues(\.isDue))
        let entries = try await self.read("HGETALL", "delayed:entries").pairs
        try Self.same("delayed entries", Set(entries.keys), Set(self.model.delayed.keys))
        for (member, delayed) in self.model.delayed {
            // Behind the id that it had as an entry.
            let text = String((entries[member] ?? "").drop { $0 != " " }.dropFirst())
            try self.compareWaiting(text, delayed.waiting, name: "")
        }
        for (run, parked) in self.model.parked {
            let texts = (try await self.read("LRANGE", "parked:" + run, "0", "-1").array ?? []).map { $0.string ?? "" }
            try Self.same("parked of \(run)", texts.count, parked.count)
            for (text, waiting) in zip(texts, parked) {
                try self.compareWaiting(text, waiting, name: waiting.batch.name + " ")
            }
        }
    }

    /// A batch as text: `stream attempts units first range`, with its name after the stream where it is parked.
    private mutating func compareWaiting(_ text: String, _ waiting: QueueModel.Waiting, name: String) throws {
        let batch = waiting.batch
        let lead = "\(self.model.stream(waiting.stream)) \(name)\(batch.attempts) \(batch.units) "
        let first = String(text.dropFirst(lead.count).prefix { $0 != " " })
        try Self.same("waiting", text, "\(lead)\(first) \(batch.range)")
        try self.compareFirst(first, batch)
    }

    private mutating func compareLetters() async throws {
        let scores = try await self.read("ZRANGE", "dead", "0", "-1", "WITHSCORES").byName
        try Self.same("dead letters", scores, self.model.letters.mapValues(\.score))
        let texts = try await self.read("HGETALL", "dead:letters").pairs
        try Self.same("texts of dead letters", Set(texts.keys), Set(self.model.letters.keys))
        for (member, letter) in self.model.letters {
            var fields = try JSONDecoder().decode([String: String].self, from: Data((texts[member] ?? "").utf8))
            let batch = letter.waiting.batch
            try self.compareFirst(fields.removeValue(forKey: "first") ?? "none", batch)
            let last = fields.removeValue(forKey: "last").flatMap { Int($0) } ?? 0
            try Self.same("time of the letter \(member)", last, letter.score == 1 ? last : letter.score)
            try Self.same(
                "letter \(member)",
                fields,
                [
                    "run": batch.run, "batch": batch.name, "stream": self.model.stream(letter.waiting.stream),
                    "range": batch.range, "units": String(batch.units), "attempts": String(batch.attempts),
                    "sqlstate": letter.sqlState, "error": letter.error,
                ]
            )
        }
    }
}

extension RESPValue {
    fileprivate var byName: [String: Int] { Dictionary(self.scores.map { ($0.name, $0.score) }) { $1 } }
}
