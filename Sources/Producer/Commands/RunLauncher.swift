import Logging
import PostgresClient
import Shared

/// Starts runs and waits for them.
struct RunLauncher: Sendable {
    let session: Session
    /// Whether progress is shown; not with `--json`.
    let isQuiet: Bool

    /// How often a waiting command looks.
    private static let pause = Duration.milliseconds(200)

    /// The name under which this process leases steps.
    private let owner = "producer-\(String(UInt64.random(in: .min ... .max), radix: 36))"

    /// Starts a run, or finds the unfinished one, and plans as far as it can be planned now.
    ///
    /// One whose time is over, since nobody was there to end it, ends first: it would at its next step anyway, and must not take
    /// the command that found it with it.
    ///
    /// - `timeout`: of a new run; one that is found keeps its own.
    /// - Throws: `LeftoverRun` when that one does not end within three leases, or the time; what `RunStarter.start` throws.
    func start(
        _ entry: CatalogEntry,
        knobs: KnobValues,
        priority: Priority,
        batchRows: Int?,
        timeout: Duration?
    ) async throws -> (run: RunRecord, isNew: Bool) {
        let began = ContinuousClock.now
        let patience = self.session.services.configuration.leases.duration * 3
        let deadline = began + min(patience, timeout ?? patience)
        var left = timeout
        while true {
            do {
                let (record, isNew) = try await self.begin(
                    entry,
                    knobs: knobs,
                    priority: priority,
                    batchRows: batchRows,
                    timeout: left
                )
                if !isNew && !self.isQuiet { print(try await self.found(record)) }
                try await self.plan(record.run)
                return (record, isNew)
            } catch let leftover as LeftoverRun {
                let isOver = try await self.end(leftover.record, until: deadline)
                left = timeout.map { $0 - began.duration(to: .now) }
                guard isOver, left ?? patience > .zero else { throw leftover }
            }
        }
    }

    /// What to say of an unfinished run that was found.
    private func found(_ record: RunRecord) async throws -> String {
        let status = try await self.session.status(of: record.run)
        guard status.state == .paused else { return "run \(record.run) of \(record.title) is not over yet; it goes on" }
        let reason = status.error.map { ": \($0); mend that, then" } ?? "; it goes on with"
        return "run \(record.run) of \(record.title) is paused\(reason) producer resume \(record.run)"
    }

    /// Sees a run whose time is over to its end, after those that it waits for, whose time is over, too.
    ///
    /// - Returns: whether it is over.
    private func end(_ record: RunRecord, until deadline: ContinuousClock.Instant) async throws -> Bool {
        for other in record.after {
            let other = try await self.session.services.ledger.run(other, self.session.connection)
            guard let other, other.isTimedOut else { continue }
            _ = try await self.waitForEnd(of: other.run, within: ContinuousClock.now.duration(to: deadline))
        }
        let end = try await self.waitForEnd(of: record.run, within: ContinuousClock.now.duration(to: deadline))
        return end?.state.isOver ?? true
    }

    private func begin(
        _ entry: CatalogEntry,
        knobs: KnobValues,
        priority: Priority,
        batchRows: Int?,
        timeout: Duration?
    ) async throws -> (run: RunRecord, isNew: Bool) {
        let starter = self.session.services.runStarter(self.session.queue, self.session.contexts) {
            [logger = self.session.services.logger] warning in
            logger.log(.warning, "a run may not do what is wanted", [.target: "\(entry.name)", .error: "\(warning)"])
        }
        switch entry {
        case .table(let target):
            return try await starter.start(
                target,
                knobs: knobs,
                priority: priority,
                batchRows: batchRows ?? self.session.services.configuration.batches.rows,
                timeout: timeout,
                self.session.connection
            )
        case .objects(let target):
            return try await starter.start(
                target,
                store: try self.session.services.store(of: target),
                knobs: knobs,
                priority: priority,
                timeout: timeout,
                self.session.connection
            )
        }
    }

    /// What became of starting a target: a run for each of its schemas, or just one.
    struct Starts: Sendable {
        var started: [(run: RunRecord, isNew: Bool)] = []
        /// Schemas in which no run could be started, with the reason.
        var failures: [(schema: String, error: any Error)] = []

        var runs: [RunRecord] { self.started.map(\.run) }
        var isEmpty: Bool { self.started.isEmpty && self.failures.isEmpty }
    }

    /// Starts a target wherever it is; the failure of one schema of a group stays its own.
    ///
    /// - Returns: nothing at all for a group that has no schema.
    /// - Throws: for a target of one place, what `start` throws; for a group, what keeps all of it from being started.
    func startAll(
        _ entry: CatalogEntry,
        knobs: KnobValues,
        priority: Priority = .default,
        batchRows: Int? = nil,
        timeout: Duration? = nil
    ) async throws -> Starts {
        var starts = Starts()
        for place in try await self.session.services.places(of: entry, self.session.connection) {
            do {
                starts.started.append(
                    try await self.start(
                        place,
                        knobs: knobs,
                        priority: priority,
                        batchRows: batchRows,
                        timeout: timeout
                    )
                )
            } catch {
                guard let schema = place.schemaOfGroup, Self.isOwn(error) else { throw error }
                starts.failures.append((schema, error))
            }
        }
        return starts
    }

    /// Whether an error says something of one schema, and nothing of the others.
    private static func isOwn(_ error: any Error) -> Bool {
        switch Fault(error) {
        case .stopped, .serverAway, .queueAway: false
        default: true
        }
    }

    /// Plans a run as far as it can be planned now; what comes later is for whoever is there then.
    func plan(_ run: String) async throws {
        guard let step = try await self.takeStep(of: run) else { return }
        if let error = try await self.perform(step, self.session.connection) {
            self.tell(.warning, "step failed", run, error)
        }
    }

    /// Waits until a run that is ending is over, doing its last step if nobody else does; at most for `limit`.
    ///
    /// What vanished workers held ends with it.
    ///
    /// - Returns: how it stands then; nil when Redis does not know it.
    func waitForEnd(of run: String, within limit: Duration) async throws -> RunStatus? {
        let deadline = ContinuousClock.now + limit
        while true {
            let fields = try await self.session.queue.fields(of: run)
            if fields.isEmpty { return nil }
            let status = try RunStatus(fields: fields)
            if status.state.isOver || .now >= deadline { return status }
            let lease = self.session.services.configuration.leases.duration
            try await self.session.queue.dropLapsed(of: run, lease: lease)
            guard let step = try await self.takeStep(of: run) else {
                try await Task.sleep(for: Self.pause)
                continue
            }
            do {
                if let error = try await self.perform(step, self.session.connection) { throw error }
            } catch  where Fault(error) == .locked {
                // A batch that nobody waits for any more is still in its transaction; its own limits end that.
            }
        }
    }

    /// Waits until a run is over, or paused by an error, doing its steps whenever one is free.
    ///
    /// A run that waits for others, of which an error has paused one, counts as paused by it. Outages are waited through like
    /// everything else.
    ///
    /// - `deadline`: when to stop waiting for it, whatever becomes of the run.
    /// - `whilePaused`: whether to wait also for whoever has paused it to let it go on.
    func wait(
        for run: String,
        until deadline: ContinuousClock.Instant? = nil,
        whilePaused: Bool = true
    ) async throws -> RunStatus {
        let lease = self.session.services.configuration.leases.duration
        let configuration = try self.session.services.postgresConfiguration(as: "ebb producer")
        let pool = ConnectionPool(configuration)
        var view = ProgressView()
        var notices = WaitNotices(logger: self.session.services.logger, patience: lease)
        var failures = 0
        while true {
            do {
                let status = try await self.session.status(of: run)
                if !self.isQuiet { view.show(status) }
                if status.state.isOver || status.isPausedByError { return status }
                if let held = try await self.heldUp(status) { return held }
                if status.state == .paused && !whilePaused { return status }
                try await notices.look(at: status, self.session.queue)
                if let deadline, deadline <= .now { return status }
                if try await self.session.queue.isEnding(run) {
                    // Nobody may be left to take over what vanished workers held.
                    try await self.session.queue.dropLapsed(of: run, lease: lease)
                }
                if let step = try await self.takeStep(of: run) {
                    let failure = try await pool.withConnection(checked: true) { try await self.perform(step, $0) }
                    if let failure {
                        failures += 1
                        if failures >= self.session.services.configuration.batches.attempts { throw failure }
                        self.tell(.warning, "step failed", run, failure)
                    } else {
                        failures = 0
                    }
                    continue
                }
            } catch  where [.serverAway, .queueAway, .storageAway, .conflict, .locked].contains(Fault(error)) {
                self.tell(.notice, "waiting", run, error)
            }
            try await Task.sleep(for: Self.pause)
        }
    }

    /// The status of a run that cannot begin since an error has paused one that has to be over before; nil for any other.
    private func heldUp(_ status: RunStatus) async throws -> RunStatus? {
        guard status.state == .planning else { return nil }
        let first = try await self.session.queue.fields(of: status.run)["after"] ?? ""
        for run in first.split(separator: " ") {
            let fields = try await self.session.queue.fields(of: String(run))
            // One that Redis does not know counts as over, here as in the queue.
            guard !fields.isEmpty else { continue }
            let other = try RunStatus(fields: fields)
            guard other.isPausedByError, let error = other.error else { continue }
            var held = status
            held.state = .paused
            held.toResume = other.run
            held.error =
                "run \(other.run) of \(other.target), which has to be over before, is paused by an error: \(error)"
            return held
        }
        return nil
    }

    /// A command that only waits would wait for ever where nobody works.
    func warnWithoutWorkers() async throws {
        let lease = self.session.services.configuration.leases.duration
        if self.isQuiet { return }
        if try await self.session.queue.workersAlive(within: lease) == 0 {
            print("no worker is alive yet; start worker, or use producer cleanup, which brings its own")
        }
    }

    /// When to stop waiting for a run: one that was there already is only waited for as long as the command may take; a new
    /// one ends by itself by then, and soon after if a worker vanishes with a batch of it.
    func deadline(_ deadline: ContinuousClock.Instant?, isNew: Bool) -> ContinuousClock.Instant? {
        isNew ? deadline.map { $0 + self.session.services.configuration.leases.duration * 3 } : deadline
    }

    private func takeStep(of run: String) async throws -> StepLease? {
        try await self.session.queue.takeStep(
            owner: self.owner,
            lease: self.session.services.configuration.leases.duration,
            run: run
        )
    }

    /// Does a step that this command holds.
    ///
    /// - Returns: an error that the run survives: the step is free again, for whoever tries it next.
    /// - Throws: what says that nothing can be done just now.
    private func perform(_ step: StepLease, _ connection: PostgresConnection) async throws -> (any Error)? {
        do {
            let runner = self.session.services.stepRunner(self.session.queue, self.session.contexts)
            try await runner.run(step, owner: self.owner, connection)
        } catch is LeaseLost {
            // Another process does it, or the run was paused or is to end.
        } catch  where [.run, .row, .timeout, .malformed, .gone].contains(Fault(error)) {
            // The run is paused or failed now, and its status says why.
        } catch  where Fault(error) == .other {
            return error
        }
        return nil
    }

    private func tell(_ level: Logger.Level, _ what: Logger.Message, _ run: String, _ error: any Error) {
        self.session.services.logger.log(level, what, [.run: "\(run)", .error: "\(error)"])
    }
}
