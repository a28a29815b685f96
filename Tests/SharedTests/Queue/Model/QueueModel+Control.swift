import RedisClient

/// Runs that are paused, resumed, ended or revived, and what is forgotten.
extension QueueModel {
    mutating func pause(_ name: String, _ verb: String, _ error: String) -> RESPValue {
        guard var run = self.runs[name] else { return .string("") }
        if run.isOver { return .string(run.state) }
        if run.isEnding { return .string("ending") }
        if verb == "pause", run.state != "paused" {
            run.fields.merge(["resume": run.state, "state": "paused", "error": error]) { $1 }
        } else if verb == "resume", run.state == "paused" {
            run.fields["state"] = run.fields.removeValue(forKey: "resume")
            run.fields["error"] = ""
            run.fields["blind_ms"] = nil
            run.fields["blind_error"] = nil
            run.isTaken = false
            self.blind[name] = nil
        }
        self.runs[name] = run
        return .string(run.state)
    }

    @discardableResult
    mutating func end(_ name: String, as state: String, why: String) -> RESPValue {
        guard let run = self.runs[name], !run.isOver, !run.isEnding else { return .integer(0) }
        self.runs[name]?.fields.merge(["ending": state, "error": why, "ending_error": why]) { $1 }
        return .integer(1)
    }

    /// - `left`: the delayed batches afterwards, as the server holds them.
    /// - `answer`: the reply, believed: how far one call gets is the server's affair.
    mutating func dropDelayed(_ step: HeldStep, left: Set<String>, answer: RESPValue) throws(Disagreement) -> RESPValue
    {
        let gone = self.delayed.filter { !left.contains($0.key) }
        let holds = self.runs[step.run].map { $0[.token] == step.token && !$0.isOver } ?? false
        guard gone.isEmpty || holds, gone.values.allSatisfy({ $0.waiting.batch.run == step.run }),
            left.count + gone.count == self.delayed.count
        else { throw Disagreement("delayed batches were dropped: \(gone.keys.sorted())") }
        for (member, delayed) in gone {
            self.delayed[member] = nil
            self.note("dropped: delayed")
            self.forgetStarts(delayed.waiting.batch)
            if self.counts(delayed.waiting.batch) { self.move(step.run, .delayed, .cancelled) }
        }
        return holds && answer.string != nil ? answer : .string("0")
    }

    /// - `after`: the id to begin after, `-` at first.
    mutating func dropLapsed(of run: String, in stream: Int, after: String) -> RESPValue {
        let start = after == "-" ? EntryID("0-0") : EntryID(after)
        let lapsed = self.streams[stream].pending.filter { $0.isOld && $0.id > start }.prefix(100)
        guard self.runs[run]?.isEnding == true else { return .string("") }
        for pending in lapsed where pending.batch.run == run {
            self.streams[stream].pending.removeAll { $0.id == pending.id }
            self.forgetStarts(pending.batch)
            if self.counts(pending.batch) {
                self.note("cancelled, its lease having lapsed")
                self.move(run, .leased, .cancelled)
            }
        }
        return .string(lapsed.count == 100 ? lapsed.last?.id.text ?? "" : "")
    }

    mutating func blind(_ name: String, _ consumer: String, _ age: String, _ error: String) -> RESPValue {
        guard let run = self.runs[name], !run.isOver, !run.isEnding, run.state != "paused" else { return .integer(0) }
        self.blind[name, default: []].insert(consumer)
        self.runs[name]?.fields.merge(["blind_ms": age, "blind_error": error]) { $1 }
        return .integer(self.pauseIfBlind(name) ? 1 : 0)
    }

    /// Pauses a run that no live worker can work on.
    @discardableResult
    mutating func pauseIfBlind(_ name: String) -> Bool {
        guard let run = self.runs[name] else { return false }
        let blind = self.blind[name] ?? []
        guard self.workers.allSatisfy({ !$0.value || blind.contains($0.key) }) else { return false }
        let error = run.fields["blind_error"] ?? ""
        self.runs[name]?.fields.merge(["resume": run.state, "state": "paused", "error": error]) { $1 }
        self.note("paused, all being blind")
        return true
    }

    mutating func revive(
        _ name: String,
        step: String,
        generation: String,
        cursor: String,
        _ batches: [String]
    ) -> RESPValue {
        guard var run = self.runs[name], !run.isEnding else { return .integer(-1) }
        if run.isOver {
            self.lives += 1
            run.life = self.lives
            self.note("lives again")
            run.set([
                "state", step == "plan" ? "planning" : "running", "step", step, "generation", generation, "cursor",
                cursor, "finished_at", "", "error", "", "pass", "0", "units", "0", "microseconds", "0",
                "done_children", "0", "failed_first", "0", "row_splits", "0",
            ])
            run.isTaken = false
            run[.token] += 1
            self.active[name] = self.known[name]
        } else if run.fields["step"] != "plan" {
            run.set(["step", "drain", "pass", "0", "owed", ""])
            run.isTaken = false
            if run.state == "verifying" { run.fields["state"] = "running" }
            if run.fields["resume"] == "verifying" { run.fields["resume"] = "running" }
            run[.token] += 1
        }
        self.runs[name] = run
        var revived = 0
        for batch in batches {
            guard let letter = self.letters.removeValue(forKey: "\(name) \(batch)") else { continue }
            var waiting = letter.waiting
            waiting.batch.attempts = 0
            waiting.batch.life = run.life
            self.streams[waiting.stream].waiting.append(.batch(waiting.batch))
            if run[.dead] > revived {
                self.move(name, .dead, .queued)
            } else {
                self.note("revived, not known as dead")
                self.move(name, nil, .queued)
                self.move(name, nil, .total)
            }
            revived += 1
        }
        return .integer(revived)
    }

    mutating func discard(_ members: [String]) -> RESPValue {
        .integer(members.count { self.letters.removeValue(forKey: $0) != nil })
    }

    /// - `all`: whether everything is too old, or only what a test has made old.
    /// - `answer`: the reply, believed where it depends on whom the server remembers.
    mutating func reap(all: Bool, allLetters: Bool, answer: RESPValue) -> RESPValue {
        var certain = 0
        var possible = 0
        for stream in self.streams.indices where all {
            let holders = Set(self.streams[stream].pending.map(\.consumer))
            certain += self.streams[stream].consumers.subtracting(holders).count
            possible += self.streams[stream].consumers.union(self.streams[stream].asked).subtracting(holders).count
            self.streams[stream].consumers.formIntersection(holders)
            self.streams[stream].asked.formIntersection(holders)
        }
        self.workers = all ? [:] : self.workers.filter(\.value)
        self.letters = self.letters.filter { !allLetters && $0.value.score > 1 }
        return .integer(min(max(answer.int ?? 0, certain), possible))
    }

    mutating func leave(_ consumer: String) -> RESPValue {
        self.workers[consumer] = nil
        var left = 0
        for stream in self.streams.indices
        where !self.streams[stream].pending.contains(where: { $0.consumer == consumer }) {
            self.streams[stream].consumers.remove(consumer)
            self.streams[stream].asked.remove(consumer)
            left += 1
        }
        return .integer(left)
    }

    /// What setup does to streams whose group was lost.
    mutating func lose(groupsOf lost: [Int]) -> RESPValue {
        for stream in lost {
            let leases = self.streams[stream].pending.map { Content.batch($0.batch) }
            self.streams[stream] = StreamState(waiting: leases + self.streams[stream].waiting)
            for name in self.active.keys {
                guard var run = self.runs[name], self.stream(stream).hasSuffix(":\(run.fields["priority"] ?? "")")
                else {
                    continue
                }
                let there = self.streams[stream].waiting.count {
                    guard case .batch(let batch) = $0 else { return false }
                    return batch.run == name && batch.life == run.life
                }
                run[.total] += there - run[.queued] - run[.leased]
                run[.queued] = there
                run[.leased] = 0
                self.runs[name] = run
            }
        }
        return .integer(lost.count)
    }
}
