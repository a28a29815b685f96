import RedisClient

@testable import Shared

/// What planners and holders of steps do.
extension ModelWalk {
    mutating func create() -> ModelMove {
        // Sometimes one that is known.
        if self.lastRun == 0 || self.chance(80) { self.lastRun += 1 }
        let run = "r\(self.lastRun)"
        let created = 1_000 + self.lastRun
        var fields = ["run", run, "generation", "1", "priority", QueueModel.names[self.lastRun % 3]]
        if self.chance(20) { fields += ["deadline_ms", self.chance(10) ? "1" : "9999999999999"] }
        if self.chance(20) { fields += ["total", "4", "done", "4", "rows", "40", "done_children", "1"] }
        return ModelMove(QueueScripts.createRun, keys: [self.model.prefix], [run, String(created)] + fields) {
            model,
            _ in
            model.create(run, created, fields)
        }
    }

    /// A step of those that somebody was given.
    mutating func heldStep() -> HeldStep? {
        let steps = self.model.steps
        guard !steps.isEmpty else { return nil }
        var step = steps[self.number((self.chance(80) ? steps.count / 2 : 0)...(steps.count - 1))]
        if self.chance(3) { step.token += 1 }
        return step
    }

    mutating func append() -> ModelMove {
        guard let step = self.heldStep(), let run = self.model.runs[step.run] else { return self.takeStep() }
        guard run.open < 60, step.step == "plan" || self.chance(5) else { return self.moveOn(step, run) }
        let cursor = self.chance(95) ? run.fields["cursor"] ?? "" : "stale"
        var batches: [String] = []
        let count = self.chance(5) ? 100 : self.number(0...12)
        for _ in 0..<count {
            self.lastBatch += 1
            batches += ["1.\(self.lastBatch)", String(self.number(0...3)), "[\"block\",\"0\",\"2\"]"]
        }
        let fields = ["cursor", "to \(self.lastBatch)", "generation", "1"]
        let stream = QueueModel.names.firstIndex(of: run.fields["priority"] ?? "") ?? 0
        return ModelMove(
            QueueScripts.append,
            keys: [self.model.prefix, self.model.stream(stream)],
            [step.run, String(step.token), cursor, String(fields.count / 2)] + fields + batches
        ) { model, _ in model.append(step, cursor: cursor, to: stream, fields: fields, batches: batches) }
    }

    mutating func takeStep() -> ModelMove {
        let only = self.chance(30) && self.lastRun > 0 ? "r\(self.number(max(1, self.lastRun - 6)...self.lastRun))" : ""
        return self.takeStep(self.consumer(), ahead: [(60, 10), (60, 60), (4_096, 64)][self.number(0...2)], only: only)
    }

    func takeStep(_ owner: String, ahead: (most: Int, unmeasured: Int), only: String = "") -> ModelMove {
        ModelMove(
            QueueScripts.takeStep,
            keys: [self.model.prefix],
            [owner, Self.long, String(ahead.most), String(ahead.unmeasured), only, "0"]
        ) { model, _ in model.takeStep(owner, ahead: ahead, only: only) }
    }

    mutating func onStep() -> ModelMove {
        guard let step = self.heldStep() else { return self.takeStep() }
        switch self.number(0...9) {
        case 0...2: return self.step(step, "beat", isLong: self.chance(80))
        case 3...6: return self.step(step, "release", isLong: self.chance(10))
        case 7: return self.step(step, "advance", isLong: false, ["pass", "1", "found", "much", "error", "late"])
        case 8: return self.dropDelayed(step)
        default:
            guard let run = self.model.runs[step.run] else { return self.takeStep() }
            // The ledger may know that the run is over when the queue was restored from an older copy.
            return self.chance(30) ? self.finish(step, run) : self.moveOn(step, run)
        }
    }

    func step(_ step: HeldStep, _ verb: String, isLong: Bool, _ fields: [String] = []) -> ModelMove {
        ModelMove(
            QueueScripts.step,
            keys: [self.model.prefix],
            [step.run, String(step.token), verb, isLong ? Self.long : "0"] + fields
        ) { model, _ in model.step(step, verb, isLong: isLong, fields) }
    }

    /// What the holder of a step does when it has done it.
    func moveOn(_ step: HeldStep, _ run: Run) -> ModelMove {
        switch step.step {
        case "plan": self.step(step, "advance", isLong: false, ["step", "drain", "state", "running"])
        case "verify" where run[.pass] == 0:
            self.step(step, "advance", isLong: false, ["step", "plan", "state", "running", "pass", "1"])
        case "verify": self.step(step, "advance", isLong: false, ["step", "vacuum"])
        case "vacuum": self.step(step, "advance", isLong: false, ["step", "reconcile"])
        default: self.finish(step, run)
        }
    }

    func dropDelayed(_ step: HeldStep, from cursor: String = "0") -> ModelMove {
        let script = RedisRequest.script(
            QueueScripts.dropDelayed,
            keys: [self.model.prefix],
            arguments: [step.run, cursor, String(step.token)]
        )
        let list: RedisCommand = ["ZRANGE", self.model.prefix + "delayed", "0", "-1"]
        return ModelMove([script, .command(list)], unit: 0) { model, replies in
            let left = Set((replies[1].array ?? []).compactMap(\.string))
            return try model.dropDelayed(step, left: left, answer: replies[0])
        }
    }

    func finish(_ step: HeldStep, _ run: Run) -> ModelMove {
        // The ledger may know of one that the queue has not heard of.
        let done = run[.done] + (run.open > 0 ? 1 : 0)
        let figures = QueueModel.Figures(
            state: run.fields["ending"] ?? (run[.dead] > 0 ? "failed" : "finished"),
            rows: done * HeldLease.rows,
            cascaded: done * HeldLease.cascaded,
            bytes: done * HeldLease.bytes,
            done: done,
            error: run[.dead] > 0 ? "dead" : "",
            oldest: self.model.runs.keys.compactMap { self.model.known[$0] }.min() ?? 0
        )
        return ModelMove(
            QueueScripts.finish,
            keys: [self.model.prefix],
            [
                step.run, String(step.token), figures.state, String(figures.rows), String(figures.cascaded),
                String(figures.done), "then", figures.error, "3600", String(figures.oldest), String(figures.bytes),
            ]
        ) { model, _ in model.finish(step, figures) }
    }
}
