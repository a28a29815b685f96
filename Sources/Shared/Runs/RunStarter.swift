import FoundationEssentials
package import PostgresClient
import RedisClient

/// Starts a run: the ledger first, then the queue.
package struct RunStarter: Sendable {
    let ledger: Ledger
    let queue: Queue
    let configuration: EbbConfiguration
    /// Where whoever does the run's steps finds what was read for it; nil for nobody here.
    let contexts: RunContexts?
    /// Told what an operator should look into, one sentence each, of a run that begins all the same.
    let warn: @Sendable (String) -> Void

    package init(
        ledger: Ledger,
        queue: Queue,
        configuration: EbbConfiguration,
        contexts: RunContexts? = nil,
        warn: @escaping @Sendable (String) -> Void = { _ in }
    ) {
        self.ledger = ledger
        self.queue = queue
        self.configuration = configuration
        self.contexts = contexts
        self.warn = warn
    }

    /// Creates a run of a target, or finds the one that is not over yet.
    ///
    /// If the process dies between ledger and queue, the next start finds the run in the ledger and makes it known to the
    /// queue. The same mends a queue that lost the run: it is planned anew, under a new generation, so that what is already
    /// settled stays settled.
    ///
    /// - `timeout`: after which a new run ends; one that is found keeps its own.
    /// - Throws: `LeftoverRun`; `RunRefusal` when the unfinished run has other knobs or another definition; `PlanningError`,
    ///   `LedgerError`, `PostgresError`, `RedisError`.
    package func start(
        _ target: Target,
        knobs: KnobValues,
        priority: Priority = .default,
        batchRows: Int? = nil,
        timeout: Duration? = nil,
        _ connection: PostgresConnection
    ) async throws -> (run: RunRecord, isNew: Bool) {
        let terms = try await RunTerms.now(knobs: knobs, connection)
        let plan = try await Plan.make(
            target,
            terms: terms,
            duration: self.configuration.batches.duration,
            fixedRows: batchRows,
            connection
        )
        try await self.checkReferences(plan, terms, connection)
        // A target that cannot be planned leaves nothing behind, not even the ledger.
        try await self.ledger.setup(connection)
        try await self.queue.setup()
        let drains = try await self.drain(plan, terms, priority: priority, timeout: timeout, knobs, connection)
        var new = Self.newRun(plan, knobs, priority: priority, batchRows: batchRows, timeout: timeout)
        new.after = drains
        let warnings = try await RunWarnings.read(plan.resolved, connection)
        let (record, isNew) = try await self.begin(new, connection)
        if isNew {
            await self.contexts?.keep(
                RunContext(record: record, resolved: plan.resolved, namespace: self.ledger.namespace)
            )
            for warning in warnings { self.warn(warning) }
        }
        return (record, isNew)
    }

    /// Writes a run into the ledger, unless its target has one, and makes it known to the queue.
    func begin(_ new: Ledger.NewRun, _ connection: PostgresConnection) async throws -> (run: RunRecord, isNew: Bool) {
        let (record, isNew) = try await self.ledger.create(new, connection)
        // One that only has to end does so whatever it was made with.
        if !isNew && record.isTimedOut {
            try await self.restore(record, connection)
            throw LeftoverRun(record: record)
        }
        guard record.knobs == new.knobs else {
            throw RunRefusal(
                "target \(new.target) has an unfinished run \(record.run) with other knobs "
                    + "(\(record.knobs.words)), asked for \(new.knobs.words); let it end or cancel it first"
            )
        }
        guard record.definitionHash == new.definitionHash else {
            throw RunContext.Obstacle.otherDefinition(run: record.run, target: new.target)
        }
        do {
            if isNew {
                try await self.queue.create(record, generation: 1)
            } else {
                try await self.restore(record, connection)
                let control = RunControl(ledger: self.ledger, queue: self.queue, configuration: self.configuration)
                try await control.reopenIfHalf(record, connection)
            }
        } catch let error as RedisError where error.isFull {
            throw RunRefusal(
                "Redis is full, so run \(record.run) of \(new.target) waits in the ledger: let workers drain the queue or raise "
                    + "maxmemory, then enqueue again"
            )
        }
        return (record, isNew)
    }

    /// Refuses a run, before anything is written, that foreign keys without an index would make too long, and so its drains.
    ///
    /// One that is under way is not judged again.
    private func checkReferences(_ plan: Plan, _ terms: RunTerms, _ connection: PostgresConnection) async throws {
        guard let most = self.configuration.foreignKeys.most else { return }
        let target = plan.resolved.target
        let schema = plan.resolved.facts.schema
        try await self.refusing(target.name, schema: schema, connection) {
            try plan.checkReferences(most: most)
            for child in try await plan.drains(terms, connection) {
                let duration = self.configuration.batches.duration
                try await Plan.make(child, terms: terms, duration: duration, fixedRows: nil, connection)
                    .checkReferences(most: most)
            }
        }
    }

    /// Judges a run that is to begin: a refusal of one that is under way does not count.
    func refusing(
        _ target: String,
        schema: String,
        _ connection: PostgresConnection,
        _ judge: () async throws -> Void
    ) async throws {
        do { try await judge() } catch let error as PlanningError {
            guard try await self.ledger.hasUnfinished(target: target, schema: schema, connection) else { throw error }
        }
    }

    /// Starts the runs that drain the children of a target's table, and returns them; none while no row of it is expired, or
    /// while the target has an unfinished run, which has started them.
    private func drain(
        _ plan: Plan,
        _ terms: RunTerms,
        priority: Priority,
        timeout: Duration?,
        _ knobs: KnobValues,
        _ connection: PostgresConnection
    ) async throws -> [String] {
        let target = plan.resolved.target
        guard !target.drainFirst.isEmpty,
            try await self.ledger.unfinished(target: target.name, schema: plan.resolved.facts.schema, connection)
                == nil
        else { return [] }
        var runs: [String] = []
        for child in try await plan.drains(terms, connection) {
            let (record, _) = try await self.start(
                child,
                knobs: knobs,
                priority: priority,
                timeout: timeout,
                connection
            )
            runs.append(record.run)
        }
        return runs
    }

    /// A run that could be created, and what would have to be over before it.
    package struct RunPlan: Sendable {
        package var run: Ledger.NewRun
        /// Runs that drain the children of its target's table.
        package var drains: [Ledger.NewRun] = []
        /// What an operator should look into, one sentence each.
        package var warnings: [String] = []
    }

    /// Decides how a run would be cut, from the table's facts; writes nothing, and needs no queue.
    ///
    /// - `timeout`: after which it ends.
    /// - Throws: `PlanningError`, `PostgresError`.
    package func plan(
        _ target: Target,
        knobs: KnobValues,
        batchRows: Int? = nil,
        timeout: Duration? = nil,
        _ connection: PostgresConnection
    ) async throws -> RunPlan {
        let terms = try await RunTerms.now(knobs: knobs, connection)
        func plan(_ target: Target, _ batchRows: Int?) async throws -> Plan {
            try await Plan.make(
                target,
                terms: terms,
                duration: self.configuration.batches.duration,
                fixedRows: batchRows,
                connection
            )
        }
        let parent = try await plan(target, batchRows)
        try await self.checkReferences(parent, terms, connection)
        var planned = RunPlan(run: Self.newRun(parent, knobs, batchRows: batchRows, timeout: timeout))
        planned.warnings = try await RunWarnings.read(parent.resolved, connection)
        for child in try await parent.drains(terms, connection) {
            planned.drains.append(Self.newRun(try await plan(child, nil), knobs, timeout: timeout))
        }
        return planned
    }

    private static func newRun(
        _ plan: Plan,
        _ knobs: KnobValues,
        priority: Priority = .default,
        batchRows: Int? = nil,
        timeout: Duration?
    ) -> Ledger.NewRun {
        let target = plan.resolved.target
        return Ledger.NewRun(
            run: Self.newRunID(),
            target: target.name,
            schema: plan.resolved.facts.schema,
            table: plan.resolved.facts.table,
            definitionHash: target.definitionHash,
            priority: priority,
            knobs: knobs,
            batchRows: batchRows,
            strategy: plan.choice.strategy,
            estimated: plan.estimatedRows,
            timeout: timeout
        )
    }

    /// Makes an unfinished run known to a queue that has lost it, if it has: it is planned anew, under a new generation.
    package func restore(_ record: RunRecord, _ connection: PostgresConnection) async throws {
        // Runs that it has to wait for: one that Redis does not know counts as over.
        for other in record.after {
            guard let other = try await self.ledger.run(other, connection), other.finishedAt == nil,
                try await self.queue.fields(of: other.run).isEmpty
            else { continue }
            try await self.restore(other, connection)
        }
        let generation = try await self.ledger.generation(of: record.run, connection) + 1
        let settled = try await self.ledger.settled(record.run, connection)
        try await self.queue.create(record, generation: generation, settled: settled)
    }

    /// Sorts by time, so that listings of keys read in order; the rest keeps producers apart.
    static func newRunID() -> String {
        let alphabet = Array("0123456789abcdefghjkmnpqrstvwxyz")
        var milliseconds = Int(Date.now.timeIntervalSince1970 * 1_000)
        var time: [Character] = []
        for _ in 0..<9 {
            time.append(alphabet[milliseconds % 32])
            milliseconds /= 32
        }
        return String(time.reversed()) + String((0..<7).map { _ in alphabet[Int.random(in: 0..<32)] })
    }
}

/// A run of the target, or of one that is drained first, whose time was over while nobody was there to end it: it has to end
/// before another can begin.
package struct LeftoverRun: Error, Sendable, CustomStringConvertible {
    /// Known to the queue, which ends it at its next step.
    package var record: RunRecord

    package var description: String {
        "run \(self.record.run) of \(self.record.target) is out of time and has to end before another begins; "
            + "a batch of it is still under way, so try again"
    }
}

/// Why something is not done to a run, in one sentence.
package struct RunRefusal: Error, Sendable, CustomStringConvertible, Equatable {
    package var description: String

    package init(_ description: String) { self.description = description }
}

extension RunTerms {
    /// The terms that a run created now would have, by the database's clock; for planning only.
    package static func now(knobs: KnobValues, _ connection: PostgresConnection) async throws -> RunTerms {
        let row = try await connection.query(
            """
            SELECT to_char(now() AT TIME ZONE 'UTC', '\(RunRecord.format)'),
                   to_char(now() AT TIME ZONE 'UTC' - $1::bigint * interval '1 microsecond', '\(RunRecord.format)')
            """,
            [knobs.maxAgeMicroseconds.map { String($0) }]
        ).rows.first
        return RunTerms(run: "", createdAt: row?[0] ?? "", cutoff: row?[1], keep: knobs.keep)
    }
}

extension KnobValues {
    /// For people: `max age 24h, keep 1`.
    package var words: String {
        let parts = [
            self.maxAge.map { "max age \(DurationText.format($0))" }, self.keep.map { "keep \($0)" },
        ].compactMap { $0 }
        return parts.isEmpty ? "no knobs" : parts.joined(separator: ", ")
    }
}
