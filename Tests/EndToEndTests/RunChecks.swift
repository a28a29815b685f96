import PostgresClient
import RedisClient
import Testing

/// What tests do with a run, and expect of it.
extension Sandbox {
    /// Leases so short that what was lost is free again soon, and the limits of a batch that go with them.
    static let shortLeases: [String: String?] = [
        "EBB_LEASES_DURATION": "1500ms",
        "EBB_BATCHES_STATEMENT_TIMEOUT": "700ms",
        "EBB_BATCHES_IDLE_TIMEOUT": "500ms",
        "EBB_BATCHES_LOCK_TIMEOUT": "300ms",
        "EBB_BATCHES_BACKOFF": "50ms",
    ]

    /// Enqueues a target and returns its run.
    func enqueue(
        _ target: String = "Events",
        batchRows: Int,
        _ arguments: [String] = [],
        environment: [String: String?] = [:]
    ) async throws -> String {
        let enqueue = ["enqueue", target, "--batch-rows", "\(batchRows)", "--json"] + arguments
        let outcome = try await self.run(.producer, enqueue, environment: environment)
        #expect(outcome.status == .exited(0), "\(outcome.errors)")
        return try #require(try outcome.json([StatusDocument].self).first?.run, "\(outcome.errors)")
    }

    /// Runs `body` in the middle of a run that a producer starts and waits for, and returns when the producer has ended.
    ///
    /// - Returns: the run, what `body` returned, and how the producer ended.
    func duringRun<Value: Sendable>(
        batchRows: Int,
        environment: [String: String?] = [:],
        sourceLocation: SourceLocation = #_sourceLocation,
        _ body: @escaping @Sendable (_ run: String) async throws -> Value
    ) async throws -> (run: String, value: Value, waited: Outcome) {
        let known = try await self.runs()
        let enqueue = ["enqueue", "Events", "--batch-rows", "\(batchRows)", "--wait", "--json"]
        let (ended, outcome) = try await self.during(.producer, enqueue, environment: environment) { _ in
            var run: String?
            try await until("the run is known", sourceLocation: sourceLocation) {
                run = try await self.runs().first { !known.contains($0) }
                return run != nil
            }
            let found = try #require(run)
            // Once it is planned, its producer has nothing left to do but to wait, and steps that it may leave to workers.
            try await self.untilInTheMiddle(of: found, sourceLocation: sourceLocation)
            return (run: found, value: try await body(found))
        }
        return (ended.run, ended.value, outcome)
    }

    /// What `producer status` says of a run.
    func status(of run: String) async throws -> StatusDocument {
        try await self.producer("status", run, "--json").json(StatusDocument.self)
    }

    /// Several numbers of a run's hash at one moment.
    func fields(_ names: String..., of run: String) async throws -> [Int] {
        let reply = try await self.redis.send(RedisCommand(["HMGET", self.key("run:\(run)")] + names))
        return (reply.array ?? []).map { $0.int ?? 0 }
    }

    /// The error that a run shows; empty when it has none.
    func error(of run: String) async throws -> String {
        try await self.redis.send("HGET", self.key("run:\(run)"), "error").string ?? ""
    }

    func untilState(_ state: String, of run: String, sourceLocation: SourceLocation = #_sourceLocation) async throws {
        try await until("run \(run) is \(state)", sourceLocation: sourceLocation) {
            try await self.state(of: run) == state
        }
    }

    /// Waits until more than `count` batches of an unfinished run are done, and shows the run when it gets no further.
    func untilDone(moreThan count: Int, of run: String, sourceLocation: SourceLocation = #_sourceLocation) async throws
    {
        var seen: [String] = []
        do {
            try await until("more is done", sourceLocation: sourceLocation) {
                seen = try await self.redis.send("HGETALL", self.key("run:\(run)")).array?.compactMap(\.string) ?? []
                return try await self.field("done", of: run) > count
            }
        } catch {
            Issue.record(
                "only \(count) batches are done: \(seen.joined(separator: " "))",
                sourceLocation: sourceLocation
            )
            throw error
        }
    }

    /// Waits until a run is in its middle: some batches are done, many are not.
    func untilInTheMiddle(
        of run: String,
        done: Int = 10,
        sourceLocation: SourceLocation = #_sourceLocation
    ) async throws {
        try await until("all batches are planned, some are done", sourceLocation: sourceLocation) {
            guard try await self.state(of: run) != "planning" else { return false }
            return try await self.field("done", of: run) >= done
        }
        #expect(try await self.state(of: run) == "running", "the test comes too late", sourceLocation: sourceLocation)
    }

    /// Waits until the queue holds nothing; workers are needed for what a run that ended early has left there.
    func untilQueueIsAtRest(sourceLocation: SourceLocation = #_sourceLocation) async throws {
        try await until("the streams are empty", sourceLocation: sourceLocation) {
            for stream in ["stream:high", "stream:default", "stream:low"] {
                if try await self.redis.send("XLEN", self.key(stream)).int != 0 { return false }
            }
            return true
        }
        try await self.expectQueueAtRest(sourceLocation: sourceLocation)
    }

    /// Expects that a run is over, and that status, ledger and table agree.
    ///
    /// - `before`: the rows of the table when it was started.
    /// - Returns: its status.
    @discardableResult
    func expectEnd(
        _ state: String = "finished",
        of run: String,
        deletedFrom before: Int,
        table: String = "events",
        sourceLocation: SourceLocation = #_sourceLocation
    ) async throws -> StatusDocument {
        let status = try await self.status(of: run)
        let left = try await self.number("SELECT count(*) FROM \(self.schema).\(table)")
        #expect(status.state == state, sourceLocation: sourceLocation)
        #expect(status.rows.deleted == before - left, sourceLocation: sourceLocation)
        #expect(try await self.ledgerSum(of: run) == before - left, sourceLocation: sourceLocation)
        let batches = status.batches
        let open = [batches.queued, batches.leased, batches.delayed, batches.parked]
        #expect(open == [0, 0, 0, 0], "queued, leased, delayed, parked", sourceLocation: sourceLocation)
        #expect(
            batches.total == batches.done + batches.dead + batches.cancelled,
            "\(batches)",
            sourceLocation: sourceLocation
        )
        if state == "finished" { #expect(status.error == nil, sourceLocation: sourceLocation) }
        return status
    }

    /// Expects that a command is refused in one sentence.
    ///
    /// - `fragment`: what the sentence must contain.
    func expectRefusal(
        _ arguments: [String],
        _ fragment: String,
        sourceLocation: SourceLocation = #_sourceLocation
    ) async throws {
        let outcome = try await self.run(.producer, arguments)
        #expect(outcome.status == .exited(2), "\(arguments)", sourceLocation: sourceLocation)
        #expect(outcome.output == "", "\(arguments)", sourceLocation: sourceLocation)
        #expect(outcome.complaints.count == 1, "\(outcome.errors)", sourceLocation: sourceLocation)
        #expect(outcome.errors.contains(fragment), "\(outcome.errors)", sourceLocation: sourceLocation)
    }

    /// Runs `body` while nobody can delete from a table of the sandbox; its rows can be read, and a run planned.
    func holding<Value>(_ table: String, _ body: () async throws -> Value) async throws -> Value {
        let holder = try await Servers.connect()
        _ = try await holder.query("BEGIN")
        _ = try await holder.query("LOCK TABLE \(table) IN SHARE MODE")
        let value = try await body()
        _ = try await holder.query("ROLLBACK")
        await holder.close()
        return value
    }

    /// Whether somebody waits for a lock on a table.
    func isWaitedFor(_ table: String) async throws -> Bool {
        try await self.number("SELECT count(*) FROM pg_locks WHERE NOT granted AND relation = '\(table)'::regclass") > 0
    }
}
