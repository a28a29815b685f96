import RedisClient

@testable import Shared

/// What operators and time do.
extension ModelWalk {
    private mutating func run() -> String {
        // Those that are over are revived, end and pause least where all are asked alike.
        if self.chance(50), let run = self.model.runs.keys.sorted().randomElement(using: &self.random) { return run }
        return "r\(self.number(max(0, self.lastRun - 6)...self.lastRun + 1))"
    }

    mutating func pauseOrResume() -> ModelMove {
        let run = self.run()
        return self.pause(run, self.chance(30) ? "pause" : "resume")
    }

    func pause(_ run: String, _ verb: String) -> ModelMove {
        ModelMove(QueueScripts.pause, keys: [self.model.prefix], [run, verb, "why"]) { model, _ in
            model.pause(run, verb, "why")
        }
    }

    mutating func end() -> ModelMove {
        let run = self.run()
        let state = self.chance(50) ? "failed" : "cancelled"
        return ModelMove(QueueScripts.endRun, keys: [self.model.prefix], [run, state, "so"]) { model, _ in
            model.end(run, as: state, why: "so")
        }
    }

    mutating func dropLapsed() -> ModelMove {
        let ending = Set(self.model.runs.filter(\.value.isEnding).keys)
        let held = (0..<3).flatMap { stream in
            self.model.streams[stream].pending.filter { ending.contains($0.batch.run) }.map { (stream, $0) }
        }
        let (stream, run): (Int, String)
        if let (place, lease) = held.randomElement(using: &self.random) {
            if !lease.isOld, self.chance(50) { return self.makeOld(lease, HeldLease(lease, in: place)) }
            (stream, run) = (place, lease.batch.run)
        } else {
            (stream, run) = (self.number(0...2), self.run())
        }
        let pending = self.model.streams[stream].pending
        let after = self.chance(20) ? pending.randomElement(using: &self.random)?.id.text ?? "-" : "-"
        return ModelMove(
            QueueScripts.dropLapsed,
            keys: [self.model.prefix, self.model.stream(stream)],
            [run, Self.long, after]
        ) { model, _ in model.dropLapsed(of: run, in: stream, after: after) }
    }

    mutating func blind() -> ModelMove {
        let run = self.run()
        let consumer = self.consumer()
        return ModelMove(QueueScripts.blind, keys: [self.model.prefix], [run, consumer, Self.long, "other"]) {
            model,
            _ in
            model.blind(run, consumer, Self.long, "other")
        }
    }

    mutating func revive() -> ModelMove {
        let letters = self.model.letters.keys.sorted()
        let over = self.model.runs.filter(\.value.isOver).keys.sorted()
        let dying = letters.randomElement(using: &self.random).map { String($0.prefix { $0 != " " }) } ?? self.run()
        let run = self.chance(70) ? over.randomElement(using: &self.random) ?? dying : dying
        let all = self.chance(30) ? letters : letters.filter { $0.hasPrefix("\(run) ") }
        let batches = all.prefix(self.number(0...20)).map { String($0.split(separator: " ")[1]) }
        let step = self.chance(50) ? "plan" : "drain"
        return ModelMove(QueueScripts.revive, keys: [self.model.prefix], [run, step, "2", "revived"] + batches) {
            model,
            _ in
            model.revive(run, step: step, generation: "2", cursor: "revived", batches)
        }
    }

    mutating func discard() -> ModelMove {
        var members = self.model.letters.keys.sorted().filter { _ in self.chance(20) }
        if self.chance(20) { members.append("r0 1.0") }
        let arguments = members.flatMap { $0.split(separator: " ").map(String.init) }
        return ModelMove(QueueScripts.discard, keys: [self.model.prefix], arguments) { model, _ in
            model.discard(members)
        }
    }

    mutating func reap() -> ModelMove {
        let all = self.chance(20)
        let allLetters = self.chance(10)
        return ModelMove(
            QueueScripts.reap,
            keys: [self.model.prefix],
            [all ? "-1" : Self.long, allLetters ? "-1" : Self.long]
        ) { model, reply in model.reap(all: all, allLetters: allLetters, answer: reply) }
    }

    mutating func leave() -> ModelMove {
        let consumer = self.chance(90) ? self.consumer() : "nobody"
        return ModelMove(QueueScripts.leave, keys: [self.model.prefix], [consumer]) { model, _ in model.leave(consumer)
        }
    }
}
