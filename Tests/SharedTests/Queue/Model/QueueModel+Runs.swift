import RedisClient

/// Runs and their steps.
extension QueueModel {
    mutating func create(_ run: String, _ created: Int, _ fields: [String]) -> RESPValue {
        guard self.runs[run] == nil else { return .integer(0) }
        self.lives += 1
        var new = Run(
            fields: ["state": "planning", "step": "plan", "cursor": ""],
            counts: Dictionary(uniqueKeysWithValues: Run.Counter.allCases.map { ($0, 0) }),
            life: self.lives
        )
        new.set(fields)
        self.runs[run] = new
        self.active[run] = created
        self.known[run] = created
        return .integer(1)
    }

    /// - `batches`: id, units, range, ….
    mutating func append(
        _ step: HeldStep,
        cursor: String,
        to stream: Int,
        fields: [String],
        batches: [String]
    ) -> RESPValue {
        guard var run = self.runs[step.run], run[.token] == step.token, run.fields["cursor"] == cursor,
            run.state != "paused", !run.isEnding
        else { return .integer(-1) }
        for position in stride(from: 0, to: batches.count - 2, by: 3) {
            let batch = Batch(
                run: step.run,
                name: batches[position],
                units: Int(batches[position + 1]) ?? 0,
                range: batches[position + 2],
                life: run.life
            )
            self.streams[stream].waiting.append(.batch(batch))
        }
        run.set(fields)
        run[.queued] += batches.count / 3
        run[.total] += batches.count / 3
        self.runs[step.run] = run
        return .integer(run.open)
    }

    /// - `ahead`: most open batches to plan ahead, and most before any was measured.
    mutating func takeStep(_ owner: String, ahead: (most: Int, unmeasured: Int), only: String) -> RESPValue {
        let order = self.active.sorted { ($0.value, $0.key) < ($1.value, $1.key) }.map(\.key)
        for name in only.isEmpty ? Array(order.prefix(100)) : [only] {
            guard let before = self.runs[name] else {
                self.active[name] = nil
                continue
            }
            if before.isOver { continue }
            if before.isLate {
                self.note("timed out")
                self.end(name, as: "failed", why: "timed out")
            }
            let isBlind = self.blind[name]?.contains(owner) == true
            if !before.isEnding, !before.isLate, before.state != "paused" {
                if isBlind { self.pauseIfBlind(name) } else { self.unpark(name) }
            }
            guard var run = self.runs[name], let step = self.ready(run, isBlind, ahead), !run.isTaken else { continue }
            if step == "verify" { run.fields["state"] = "verifying" }
            run.fields["step"] = step
            run.fields["step_owner"] = owner
            run[.token] += 1
            run.isTaken = true
            self.runs[name] = run
            if self.steps.count > 32 { self.steps.removeFirst(16) }
            self.steps.append(HeldStep(run: name, step: step, token: run[.token]))
            return .array([.string(name), .string(step), .integer(run[.token])])
        }
        return .array([])
    }

    /// The step that can be done now, if nobody holds it.
    private func ready(_ run: Run, _ isBlind: Bool, _ ahead: (most: Int, unmeasured: Int)) -> String? {
        if run.isEnding { return run[.leased] == 0 ? "reconcile" : nil }
        if run.state == "paused" || isBlind { return nil }
        let step = run.fields["step"] ?? ""
        switch step {
        case "plan":
            let isUnmeasured = run[.units] == 0 && run.open >= ahead.unmeasured && self.workers.values.contains(true)
            return run.open < ahead.most && !isUnmeasured ? step : nil
        case "drain": return run.open == 0 ? "verify" : nil
        default: return step
        }
    }

    /// At most 100 of what was parked go back into their streams.
    private mutating func unpark(_ run: String) {
        guard let parked = self.parked[run] else { return }
        self.note("unparked")
        for waiting in parked.prefix(100) {
            self.streams[waiting.stream].waiting.append(.batch(waiting.batch))
            self.move(run, .parked, .queued)
        }
        self.parked[run] = parked.count > 100 ? Array(parked.dropFirst(100)) : nil
    }

    mutating func step(_ step: HeldStep, _ verb: String, isLong: Bool, _ fields: [String]) -> RESPValue {
        guard var run = self.runs[step.run], run[.token] == step.token, !run.isOver else { return .integer(0) }
        if verb != "release", run.fields["step"] != "reconcile", run.state == "paused" || run.isEnding {
            return .integer(0)
        }
        if verb == "advance" { run.set(fields) } else { run.isTaken = isLong }
        self.runs[step.run] = run
        return .integer(1)
    }

    /// The ledger's figures for a run that ends.
    struct Figures {
        var state: String
        var rows: Int
        var cascaded: Int
        var bytes: Int
        var done: Int
        var error: String
        /// Runs created before are forgotten.
        var oldest: Int
    }

    mutating func finish(_ step: HeldStep, _ figures: Figures) -> RESPValue {
        guard var run = self.runs[step.run], run[.token] == step.token else { return .integer(0) }
        if run.open > 0 { self.note("finished with open batches") }
        if figures.state == "finished" { run[.dead] = 0 }
        let cancelled = max(0, run[.total] - run[.dead] - figures.done)
        for name in [
            "cursor", "step_owner", "found", "owed", "idle_passes", "stuck", "excused", "ending", "ending_error",
            "resume", "blind_ms", "blind_error", "deadline_ms",
        ] {
            run.fields[name] = nil
        }
        run.fields.merge([
            "state": figures.state, "step": "", "error": figures.error, "finished_at": "then",
        ]) { $1 }
        run.counts = run.counts.filter { [.token, .dead, .split, .redelivered].contains($0.key) }
        for counter: Run.Counter in [.queued, .leased, .delayed, .parked] { run[counter] = 0 }
        run[.rows] = figures.rows
        run[.cascaded] = figures.cascaded
        run[.bytes] = figures.bytes
        run[.done] = figures.done
        run[.cancelled] = cancelled
        run[.total] = figures.done + run[.dead] + cancelled
        run.isTaken = false
        self.runs[step.run] = run
        self.active[step.run] = nil
        self.parked[step.run] = nil
        self.blind[step.run] = nil
        self.starts[step.run] = nil
        self.known = self.known.filter { $0.value >= figures.oldest }
        return .integer(1)
    }
}

extension Run {
    /// Whether its time is over, which only matters until it starts to end.
    fileprivate var isLate: Bool { !self.isEnding && (self.fields["deadline_ms"].flatMap { Int($0) } ?? .max) <= 1 }
}

/// A step as its holder remembers it, however long ago.
struct HeldStep {
    var run: String
    var step: String
    var token: Int
}
