import RedisClient

/// What is given back, split and put back.
extension QueueModel {
    /// How a batch is given back: the arguments of `fail`.
    struct Return {
        var kind: String
        var pause = 0
        var error = ""
        var sqlState = ""
        /// Most dead letters.
        var most = 1
        var range = ""
    }

    mutating func firstFailure(of batch: inout Batch) {
        guard batch.first == 0 else { return }
        self.firsts += 1
        batch.first = self.firsts
    }

    /// - `listed`: the dead letters afterwards, as the server holds them, with their scores.
    mutating func fail(
        _ lease: HeldLease,
        by consumer: String,
        _ how: Return,
        listed: [(name: String, score: Int)]
    ) throws(Disagreement) -> RESPValue {
        guard let position = self.owned(lease, by: consumer) else { return .string("LOST") }
        var batch = self.streams[lease.stream].pending.remove(at: position).batch
        guard self.counts(batch) else {
            self.forgetStarts(batch)
            return .string("LOST")
        }
        switch how.kind {
        case "cancel":
            self.move(batch.run, .leased, .cancelled)
            self.forgetStarts(batch)
            return .string("CANCELLED")
        case "release" where how.pause == 0:
            self.streams[lease.stream].waiting.append(.batch(batch))
            self.move(batch.run, .leased, .queued)
            return .string("RELEASED")
        case "dead":
            self.firstFailure(of: &batch)
            try self.bury(batch, lease.stream, how, listed: listed)
            return .string("DEAD")
        default:
            if how.kind == "retry" {
                self.firstFailure(of: &batch)
                batch.attempts += 1
            }
            self.delay(batch, lease.stream, pause: how.pause)
            self.move(batch.run, .leased, .delayed)
            return .string(how.kind == "retry" ? "RETRY" : "RELEASED")
        }
    }

    private mutating func bury(
        _ batch: Batch,
        _ stream: Int,
        _ how: Return,
        listed: [(name: String, score: Int)]
    ) throws(Disagreement) {
        self.forgetStarts(batch)
        self.move(batch.run, .leased, .dead)
        if !batch.isChild { self.move(batch.run, nil, .failedFirst) }
        self.judge(batch.run, how.error)
        var buried = batch
        buried.attempts += 1
        if !how.range.isEmpty { buried.range = how.range }
        let score = listed.first { $0.name == batch.member }?.score
        let oldest = self.letters.min { ($0.value.score, $0.key) < ($1.value.score, $1.key) }
        self.letters[batch.member] = Letter(
            waiting: Waiting(stream: stream, batch: buried),
            sqlState: how.sqlState,
            error: how.error,
            score: score ?? oldest?.value.score ?? 0
        )
        if self.letters.count > how.most {
            // Died in the same millisecond, the new one may be what goes.
            let gone = self.letters.min { ($0.value.score, $0.key) < ($1.value.score, $1.key) }
            if let gone { self.letters[gone.key] = nil }
            self.note("letter displaced")
        }
        guard Set(listed.map(\.name)) == Set(self.letters.keys) else {
            throw Disagreement("the dead letters are \(listed), should be \(self.letters.keys.sorted())")
        }
    }

    /// Stops a run that mostly fails: three signs, each out of at least 50.
    private mutating func judge(_ name: String, _ error: String) {
        guard let run = self.runs[name] else { return }
        let first = run[.done] - run[.doneChildren] + run[.failedFirst]
        let ended = run[.done] + run[.dead]
        let why: String
        var sign = ""
        defer { if !run.isEnding, self.runs[name]?.isEnding == true { self.note("judged by \(sign)") } }
        if first >= 50, run[.failedFirst] * 2 > first {
            sign = "first tries"
            why = "\(run[.failedFirst]) of the first \(first) batches failed"
        } else if ended >= 50, run[.dead] * 2 > ended {
            sign = "deaths"
            why = "\(run[.dead]) of \(ended) batches were given up on"
        } else if run[.rowSplits] >= 50, run[.rowSplits] > run[.done] * 8 {
            sign = "splits"
            why = "errors of rows have split batches \(run[.rowSplits]) times and \(run[.done]) succeeded"
        } else {
            return
        }
        self.end(name, as: "failed", why: "stopped, since \(why); the last error: \(error)")
    }

    mutating func split(
        _ lease: HeldLease,
        by consumer: String,
        kind: String,
        microseconds: Int,
        error: String,
        ranges: [String]
    ) -> RESPValue {
        guard let position = self.owned(lease, by: consumer) else { return .string("LOST") }
        var batch = self.streams[lease.stream].pending.remove(at: position).batch
        self.forgetStarts(batch)
        guard self.counts(batch) else { return .string("LOST") }
        self.firstFailure(of: &batch)
        for (half, range) in ranges.enumerated() {
            var part = batch
            part.name += ".\(half)"
            part.units = 0
            part.range = range
            self.streams[lease.stream].waiting.append(.batch(part))
        }
        self.move(batch.run, .leased, nil)
        self.move(batch.run, nil, .queued, 2)
        self.move(batch.run, nil, .total)
        self.move(batch.run, nil, .split)
        if kind == "time", batch.units > 0 {
            self.move(batch.run, nil, .units, batch.units)
            self.move(batch.run, nil, .microseconds, microseconds)
        } else if kind == "row" {
            self.move(batch.run, nil, .rowSplits)
            if !batch.isChild { self.move(batch.run, nil, .failedFirst) }
            self.judge(batch.run, error)
        }
        return .string("SPLIT")
    }

    /// - `listed`: the delayed batches just before, as the server holds them, by the time at which they are due.
    /// - `before`, `after`: times between which it ran.
    /// - `answer`: the reply, believed where it depends on the time between.
    mutating func promote(
        _ limit: Int,
        listed: [(name: String, score: Int)],
        before: Int,
        after: Int,
        answer: RESPValue
    ) throws(Disagreement) -> RESPValue {
        guard Set(listed.map(\.name)) == Set(self.delayed.keys) else {
            throw Disagreement("delayed are \(listed), should be \(self.delayed.keys.sorted())")
        }
        for (name, score) in listed {
            guard let delayed = self.delayed[name] else { continue }
            let mayBe = delayed.isDue ? score == 1 : score > 1 && score <= after + delayed.pause
            guard mayBe, delayed.isDue || delayed.pause <= 1_000 || score > before + 1_000 else {
                throw Disagreement("\(name) is due at \(score), after a pause of \(delayed.pause) before \(after)")
            }
        }
        let certain = min(limit, listed.count { $0.score <= before })
        let possible = min(limit, listed.count { $0.score <= after })
        let moved = min(max(answer.array?.first?.int ?? 0, certain), possible)
        for (name, _) in listed.prefix(moved) {
            guard let waiting = self.delayed.removeValue(forKey: name)?.waiting else { continue }
            guard self.counts(waiting.batch) else {
                self.forgetStarts(waiting.batch)
                self.note("not promoted, counted before")
                continue
            }
            self.streams[waiting.stream].waiting.append(.batch(waiting.batch))
            self.move(waiting.batch.run, .delayed, .queued)
        }
        guard moved < listed.count else { return .array([.integer(moved), .integer(-1)]) }
        let next = listed[moved].score
        let wait = min(max(answer.array?.last?.int ?? 0, max(0, next - after)), max(0, next - before))
        return .array([.integer(moved), .integer(wait)])
    }
}
