import RedisClient

@testable import Shared

/// What workers give back, and what brings it on again.
extension ModelWalk {
    /// Some runs mostly fail, so that they are stopped for each of the three signs.
    private enum Luck { case dying, splitting, mixed }

    private func luck(of run: String) -> Luck {
        switch (Int(run.dropFirst()) ?? 0) % 5 {
        case 0: .dying
        case 1: .splitting
        default: .mixed
        }
    }

    func isUnlucky(_ run: String) -> Bool { self.luck(of: run) != .mixed }

    mutating func giveBack() -> ModelMove {
        guard let (lease, consumer) = self.lease() else { return self.claim() }
        switch self.luck(of: lease.run) {
        case .dying where self.chance(80): return self.fail(lease, consumer, kind: "dead")
        case .splitting where self.chance(80): return self.split(lease, consumer, kind: "row")
        default: break
        }
        switch self.number(0...9) {
        case 0...2: return self.fail(lease, consumer, kind: "release")
        case 3...5: return self.fail(lease, consumer, kind: "retry")
        case 6: return self.fail(lease, consumer, kind: self.chance(20) ? "cancel" : "dead")
        default: return self.split(lease, consumer, kind: ["time", "row", "other"][self.number(0...2)])
        }
    }

    private mutating func fail(_ lease: HeldLease, _ consumer: String, kind: String) -> ModelMove {
        let how = QueueModel.Return(
            kind: kind,
            pause: [0, 0, 1, 3_600_000][self.number(0...3)],
            error: "it \"cannot\"\nbe",
            sqlState: self.chance(50) ? "23503" : "",
            most: Self.mostLetters,
            range: self.chance(20) ? "[\"keys\",\"1\",\"x\"]" : ""
        )
        let script = RedisRequest.script(
            QueueScripts.fail,
            keys: [self.model.prefix, self.model.stream(lease.stream)],
            arguments: [
                consumer, lease.id.text, String(lease.token), how.kind, String(how.pause), how.sqlState, how.error,
                String(how.most), how.range,
            ]
        )
        guard kind == "dead" else {
            return ModelMove([script], unit: 0) { model, _ in try model.fail(lease, by: consumer, how, listed: []) }
        }
        let list: RedisCommand = ["ZRANGE", self.model.prefix + "dead", "0", "-1", "WITHSCORES"]
        return ModelMove([script, .command(list)], unit: 0) { model, replies in
            try model.fail(lease, by: consumer, how, listed: replies[1].scores)
        }
    }

    private mutating func split(_ lease: HeldLease, _ consumer: String, kind: String) -> ModelMove {
        // Halves of halves end somewhere.
        if lease.batch.utf8.count > 16 { return self.fail(lease, consumer, kind: "dead") }
        let ranges = ["[\"block\",\"0\",\"1\"]", "[\"block\",\"1\",\"2\"]"]
        return ModelMove(
            QueueScripts.split,
            keys: [self.model.prefix, self.model.stream(lease.stream)],
            [consumer, lease.id.text, String(lease.token), kind, "13", "no"] + ranges
        ) { model, _ in
            model.split(lease, by: consumer, kind: kind, microseconds: 13, error: "no", ranges: ranges)
        }
    }

    mutating func promote() -> ModelMove { self.promote(limit: self.chance(30) ? self.number(1...5) : 100) }

    func promote(limit: Int) -> ModelMove {
        let list: RedisCommand = ["ZRANGE", self.model.prefix + "delayed", "0", "-1", "WITHSCORES"]
        let script = RedisRequest.script(
            QueueScripts.promote,
            keys: [self.model.prefix],
            arguments: [String(limit)]
        )
        return ModelMove([.command(list), .command(["TIME"]), script, .command(["TIME"])], unit: 2) { model, replies in
            try model.promote(
                limit,
                listed: replies[0].scores,
                before: replies[1].milliseconds,
                after: replies[3].milliseconds,
                answer: replies[2]
            )
        }
    }

    /// Time passes for a delayed batch.
    mutating func makeDue() -> ModelMove {
        guard let member = self.model.delayed.keys.sorted().randomElement(using: &self.random) else {
            return self.promote()
        }
        return self.makeDue(member)
    }

    func makeDue(_ member: String) -> ModelMove {
        ModelMove(["ZADD", self.model.prefix + "delayed", "XX", "1", member]) { model in
            model.delayed[member]?.isDue = true
        }
    }
}
