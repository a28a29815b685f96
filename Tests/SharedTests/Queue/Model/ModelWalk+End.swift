import RedisClient

@testable import Shared

/// Everything that was queued is driven to its end, after which nothing may be left.
extension ModelWalk {
    mutating func finishAll() async throws {
        for _ in 0..<400 where !self.isAtRest { try await self.round() }
        guard self.isAtRest else { throw Disagreement("the queue does not come to rest") }
        try await self.compare()
        for stream in 0..<3 {
            let reply = try await self.redis.send("XINFO", "GROUPS", self.model.stream(stream))
            let fields = reply.array?.first?.array ?? []
            guard let lag = fields.firstIndex(of: .string("lag")), fields[lag + 1] == .integer(0) else {
                throw Disagreement("at rest, the group of \(self.model.stream(stream)) is \(reply.short)")
            }
        }
    }

    private var isAtRest: Bool {
        self.model.active.isEmpty && self.model.delayed.isEmpty && self.model.parked.isEmpty
            && self.model.starts.isEmpty
            && self.model.streams.allSatisfy { $0.waiting.isEmpty && $0.pending.isEmpty }
    }

    private mutating func dropAllDelayed(_ step: HeldStep) async throws {
        var cursor = "0"
        repeat {
            try await self.perform([self.dropDelayed(step, from: cursor)])
            cursor = self.latest?.string ?? "0"
        } while cursor != "0"
        if self.model.delayed.values.contains(where: { $0.waiting.batch.run == step.run }) {
            throw Disagreement("delayed batches of \(step.run) are left")
        }
    }

    /// Nobody is blind, plans more or fails any more.
    private mutating func round() async throws {
        let runs = self.model.active.keys.sorted()
        try await self.perform(
            runs.map { self.pause($0, "resume") } + self.model.delayed.keys.sorted().map(self.makeDue)
                + [self.promote(limit: 100), self.claim("heir", 100, [0, 1, 2])]
                + (0..<3).map { self.reclaim("heir", $0, isLong: false, cursor: "0-0", 100) }
        )
        for stream in 0..<3 {
            let held = self.model.streams[stream].pending.filter { $0.consumer == "heir" }.prefix(100)
            if !held.isEmpty {
                try await self.perform([self.ack(held.map { HeldLease($0, in: stream) }, by: "heir")])
            }
        }
        for name in runs {
            // Its holder, if there is one, has vanished.
            let key = self.model.prefix + "run:" + name
            let free = ModelMove(["HSET", key, "step_until", "0"]) { $0.runs[name]?.isTaken = false }
            if self.model.runs[name] == nil { continue }
            try await self.perform([free, self.takeStep("heir", ahead: (4_096, 4_096), only: name)])
            guard let step = self.model.steps.last, let run = self.model.runs[name], step.run == name,
                step.token == run[.token]
            else { continue }
            if step.step == "reconcile" { try await self.dropAllDelayed(step) }
            guard let now = self.model.runs[name] else { continue }
            try await self.perform([self.moveOn(step, now), self.step(step, "release", isLong: false)])
        }
    }
}
