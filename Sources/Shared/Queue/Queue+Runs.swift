import RedisClient

/// Runs and their steps in the queue.
extension Queue {
    /// Makes a run known and ready to be planned.
    ///
    /// Idempotent: a run that is known stays as it is.
    ///
    /// - `settled`: what of it has ended already, for a run that Redis has lost.
    package func create(_ run: RunRecord, generation: Int, settled: Ledger.Settled = .init()) async throws {
        let milliseconds = try await self.now()
        var fields: [String] = []
        func set(_ name: String, _ value: String?) { fields += [name, value ?? ""] }
        set("run", run.run)
        set("target", run.target)
        set("schema", run.schema)
        set("strategy", run.strategy.rawValue)
        set("priority", run.priority.rawValue)
        set("estimated", String(run.estimated))
        set("generation", String(generation))
        set("cutoff", run.cutoff)
        set("created_at", run.createdAt)
        if let left = run.millisecondsLeft { set("deadline_ms", String(milliseconds + left)) }
        if !run.after.isEmpty { set("after", run.after.joined(separator: " ")) }
        set("total", String(settled.done))
        set("done", String(settled.done))
        set("done_children", String(settled.doneChildren))
        set("split", String(settled.split))
        set("rows", String(settled.rows))
        set("cascaded", String(settled.cascaded))
        set("bytes", String(settled.bytes))
        _ = try await self.redis.evaluate(
            QueueScripts.createRun,
            keys: [self.keys.prefix],
            arguments: [run.run, String(milliseconds)] + fields
        )
    }

    /// The clock of Redis in ms, which orders runs and forgets old ones.
    private func now() async throws -> Int {
        let time = try await self.redis.send("TIME").array ?? []
        return (time.first?.int ?? 0) * 1_000 + (time.last?.int ?? 0) / 1_000
    }

    /// Takes a step of one run, or of any; nil when there is nothing to do now.
    package func takeStep(
        owner: String,
        lease: Duration,
        run: String? = nil,
        ahead: (most: Int, unmeasured: Int) = Queue.ahead
    ) async throws -> StepLease? {
        let reply = try await self.redis.evaluate(
            QueueScripts.takeStep,
            keys: [self.keys.prefix],
            arguments: [owner, lease.milliseconds, String(ahead.most), String(ahead.unmeasured), run ?? "", "0"]
        )
        return Self.step(reply)
    }

    /// Keeps a step; false when it was lost.
    package func beat(_ step: StepLease, lease: Duration) async throws -> Bool {
        try await self.step(step, "beat", lease.milliseconds)
    }

    /// Lets a step be taken again after `delay`; false when it was lost.
    @discardableResult
    package func release(_ step: StepLease, after delay: Duration = .zero) async throws -> Bool {
        try await self.step(step, "release", delay.milliseconds)
    }

    /// Sets fields of the run while holding its step; false when it was lost.
    package func advance(_ step: StepLease, _ fields: [String: String]) async throws -> Bool {
        try await self.step(step, "advance", "0", fields.flatMap { [$0.key, $0.value] })
    }

    private func step(_ step: StepLease, _ verb: String, _ ms: String, _ fields: [String] = []) async throws -> Bool {
        let reply = try await self.redis.evaluate(
            QueueScripts.step,
            keys: [self.keys.prefix],
            arguments: [step.run, String(step.token), verb, ms] + fields
        )
        return reply.int == 1
    }

    /// Appends at most 100 batches and moves the plan on, both or neither.
    ///
    /// - `cursor`: the cursor that the chunk was planned from.
    /// - `fields`: of the run, to be set with it; must move the cursor.
    /// - Returns: how many batches of the run are open now; nil when the step was lost or the plan had moved on.
    package func append(
        _ batches: [(id: String, batch: PlannedBatch)],
        of step: StepLease,
        priority: Priority,
        from cursor: String,
        fields: [String: String]
    ) async throws -> Int? {
        let arguments =
            [step.run, String(step.token), cursor, String(fields.count)]
            + fields.flatMap { [$0.key, $0.value] }
            + batches.flatMap { [$0.id, String($0.batch.units), $0.batch.range.encoded] }
        let open =
            try await self.redis.evaluate(
                QueueScripts.append,
                keys: [self.keys.prefix, self.keys.stream(priority)],
                arguments: arguments
            ).int ?? -1
        return open < 0 ? nil : open
    }

    /// Ends a run with the ledger's figures; false when the step was lost.
    package func finish(
        _ step: StepLease,
        state: RunState,
        sum: Ledger.Sum,
        error: String?,
        retention: Duration
    ) async throws -> Bool {
        let seconds = retention.components.seconds
        let oldest = try await self.now() - Int(seconds) * 1_000
        let reply = try await self.redis.evaluate(
            QueueScripts.finish,
            keys: [self.keys.prefix],
            arguments: [
                step.run, String(step.token), state.rawValue, String(sum.rows), String(sum.cascaded),
                String(sum.batches), sum.finishedAt, error ?? "", String(max(seconds, 1)), String(oldest),
                String(sum.bytes),
            ]
        )
        return reply.int == 1
    }

    /// All fields of a run; empty when it is not known.
    package func fields(of run: String) async throws -> [String: String] {
        let flat = try await self.redis.send("HGETALL", self.keys.run(run)).array ?? []
        var fields: [String: String] = [:]
        for position in stride(from: 0, to: flat.count - 1, by: 2) {
            if let name = flat[position].string, let value = flat[position + 1].string { fields[name] = value }
        }
        return fields
    }

    /// The ids of the runs that are not over, oldest first.
    package func activeRuns() async throws -> [String] {
        (try await self.redis.send("ZRANGE", self.keys.active, "0", "-1").array ?? []).compactMap(\.string)
    }

    /// The ids of the latest runs, newest first.
    package func recentRuns(_ count: Int) async throws -> [String] {
        (try await self.redis.send("ZREVRANGE", self.keys.runs, "0", String(count - 1)).array ?? []).compactMap(
            \.string
        )
    }

    /// How many workers have given a sign of life within `age`.
    package func workersAlive(within age: Duration) async throws -> Int {
        let since = try await self.now() - Int(age.wholeMicroseconds / 1_000)
        return try await self.redis.send("ZCOUNT", self.keys.workers, String(since), "+inf").int ?? 0
    }

    /// Whether any has; true while Redis is away, since nobody can tell.
    package func mayHaveWorkers(within age: Duration) async throws -> Bool {
        do { return try await self.workersAlive(within: age) > 0 } catch  where Fault(error) == .queueAway {
            return true
        }
    }
}
