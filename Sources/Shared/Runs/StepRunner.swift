package import Logging
package import PostgresClient

/// Does a run's own work: plan, verify, vacuum, reconcile.
///
/// Whoever holds the lease of a step runs it: a worker, a waiting `enqueue`, `serve`.
package struct StepRunner: Sendable {
    let ledger: Ledger
    let queue: Queue
    let catalog: Catalog
    let configuration: EbbConfiguration
    let logger: Logger

    package init(ledger: Ledger, queue: Queue, catalog: Catalog, configuration: EbbConfiguration, logger: Logger) {
        self.ledger = ledger
        self.queue = queue
        self.catalog = catalog
        self.configuration = configuration
        self.logger = logger
    }

    /// How long a step waits after it could not be done here.
    private static let retryDelay = Duration.seconds(1)

    /// Runs a leased step and, while the lease lasts, the steps after it; keeps the lease alive meanwhile.
    ///
    /// A step that fails is given back and tried again, here or elsewhere; nothing of it is half done. Its error shows in
    /// the run's status until a later try succeeds. An error that only an operator can mend pauses the run.
    ///
    /// - `owner`: who holds the lease.
    /// - Throws: what the step met; `LeaseLost` when somebody else has it now, or the run was paused or is to end.
    package func run(_ lease: StepLease, owner: String, _ connection: PostgresConnection) async throws {
        let duration = self.configuration.leases.duration
        do {
            try await withHeartbeat(lease: duration) {
                try await self.queue.beat(lease, lease: duration)
            } _: {
                try await self.perform(lease, connection)
            }
        } catch {
            do { try await self.giveBack(lease, owner: owner, after: error) } catch let second {
                // Redis is away; the step is free again when its lease is up.
                self.logger.log(.debug, "step not given back", [.run: "\(lease.run)", .error: "\(second)"])
            }
            throw error
        }
    }

    private func giveBack(_ lease: StepLease, owner: String, after error: any Error) async throws {
        switch Fault(error) {
        case .stopped: try await self.queue.release(lease)
        // A query of a step that errs, or takes its half hour, would do so again and again.
        case .run, .row, .timeout, .malformed:
            try await self.queue.pause(lease.run, error: "\(error)")
            try await self.queue.release(lease)
        case .otherDefinition:
            let duration = self.configuration.leases.duration
            try await self.queue.decline(lease.run, consumer: owner, within: duration, error: "\(error)")
            try await self.queue.release(lease)
        default:
            if !(error is LeaseLost) { _ = try await self.queue.advance(lease, ["error": "\(error)"]) }
            try await self.queue.release(lease, after: Self.retryDelay)
        }
    }

    private func perform(_ lease: StepLease, _ connection: PostgresConnection) async throws {
        if lease.step == .reconcile { return try await self.reconcile(lease, connection) }
        let record = try await self.ledger.run(lease.run, connection)
        // The ledger knows better than a queue that was restored from an older copy.
        if record?.finishedAt != nil { return try await self.reconcile(lease, connection) }
        if let record, record.strategy == .prefix {
            return try await self.performObjects(lease, record, connection)
        }
        let context = try await RunContext.load(
            lease.run,
            catalog: self.catalog,
            ledger: self.ledger,
            connection
        )
        var next = Next.step(lease.step)
        while case .step(let current) = next {
            self.logger.log(.debug, "step", [.run: "\(lease.run)", .step: "\(current.rawValue)"])
            switch current {
            case .plan: next = try await self.plan(lease, context, connection)
            case .verify: next = try await self.verify(lease, context, connection)
            case .vacuum: next = try await self.vacuum(lease, context, connection)
            case .reconcile: return try await self.reconcile(lease, connection)
            }
        }
        // An error of an earlier try is over, too.
        try await self.leave(lease, next)
    }

    /// Gives a step back that has gone as far as it can go now.
    func leave(_ lease: StepLease, _ next: Next) async throws {
        _ = try await self.queue.advance(lease, ["error": ""])
        if case .rest(let pause) = next { try await self.queue.release(lease, after: pause) }
    }

    /// What comes after a step.
    enum Next: Sendable {
        case step(StepLease.Step)
        /// Nothing for now; the run's next step may not be taken before the pause is over.
        case rest(for: Duration)
    }

    // MARK: After the last batch

    /// Looks for leftovers, and makes batches of them.
    private func verify(
        _ lease: StepLease,
        _ context: RunContext,
        _ connection: PostgresConnection
    ) async throws -> Next {
        let fields = try await self.queue.fields(of: lease.run)
        let generation = fields["generation"].flatMap { Int($0) } ?? 1
        let pass = fields["pass"].flatMap { Int($0) } ?? 0
        let keepsNewest = context.record.terms.keepsNewest
        let pivots = keepsNewest ? try await self.ledger.pivotSet(lease.run, generation: generation, connection) : nil
        let verification = Verification(
            statements: context.statements(generation: generation),
            pivots: pivots,
            scope: try Self.scope(fields, pass: pass),
            givenUp: try await self.givenUp(lease.run)
        )
        let units = try await self.firstSize(context, connection).units
        let findings = try await verification.run(
            context.record.strategy,
            unitsPerBatch: context.record.strategy == .block ? units : 128,
            connection
        )
        if keepsNewest && (findings.needsPivots || pivots == nil) {
            let query = PivotQuery(
                context.resolved,
                terms: context.record.terms,
                namespace: self.ledger.namespace,
                refining: generation
            )
            _ = try await self.ledger.findPivots(query, generation: generation + 1, connection)
            guard try await self.queue.advance(lease, ["generation": String(generation + 1)]) else {
                throw LeaseLost()
            }
            return .step(.verify)
        }
        guard !findings.leftovers.isEmpty else {
            let next: StepLease.Step =
                self.configuration.vacuum && context.resolved.facts.isPlainHeap ? .vacuum : .reconcile
            guard try await self.queue.advance(lease, ["step": next.rawValue]) else { throw LeaseLost() }
            return .step(next)
        }
        // A pass that took no row away and found what the one before found has achieved nothing.
        let found = "\(fields["rows"] ?? "0") \(findings.leftovers.count) from \(findings.leftovers[0])"
        let isIdle = fields["found"] == found
        let idlePasses = isIdle ? (fields["idle_passes"].flatMap { Int($0) } ?? 0) + 1 : 0
        if idlePasses >= self.configuration.batches.attempts && pass > Self.blockPasses {
            let error =
                "rows are left that cannot be deleted, the first of them \(findings.leftovers[0]); "
                + "a lock, a trigger, a foreign key or a policy holds them"
            let next = StepLease.Step.reconcile
            guard try await self.queue.advance(lease, ["step": next.rawValue, "stuck": error]) else {
                throw LeaseLost()
            }
            return .step(next)
        }
        if keepsNewest {
            try await self.ledger.copyPivots(lease.run, from: generation, to: generation + 1, connection)
        }
        self.logger.log(
            .info,
            "leftovers found",
            [.run: "\(lease.run)", .batches: "\(findings.leftovers.count)", .pass: "\(pass + 1)"]
        )
        let batches = findings.leftovers.enumerated().map { position, range in
            (id: "\(generation + 1).\(position + 1)", batch: PlannedBatch(range: range, units: 0))
        }
        let open = try await self.queue.append(
            batches,
            of: lease,
            priority: context.record.priority,
            from: fields["cursor"] ?? "",
            fields: [
                "generation": String(generation + 1), "cursor": "leftovers \(generation + 1)", "step": "drain",
                "owed": findings.isTruncated || findings.keys.isEmpty ? "" : BatchRange.keys(findings.keys).encoded,
                "state": RunState.running.rawValue, "found": found,
                "idle_passes": String(idlePasses),
                "pass": String(findings.isTruncated && !isIdle ? pass : pass + 1),
            ]
        )
        guard open != nil else { throw LeaseLost() }
        // Whoever holds the rows may let go of them: as patient as a batch.
        return .rest(for: isIdle ? self.configuration.batches.pause(after: idlePasses - 1) : .zero)
    }

    /// The ranges of a run's dead letters, all single rows in one.
    private func givenUp(_ run: String) async throws -> [BatchRange] {
        var keys: [[String]] = []
        var others: [BatchRange] = []
        for letter in try await self.queue.deadLetters(of: run) {
            switch letter.range {
            case .keys(let more)?: keys += more
            case let range?: others.append(range)
            case nil: break
            }
        }
        return keys.isEmpty ? others : others + [.keys(keys)]
    }

    /// Blocks first, then keys, then only the keys that were left.
    private static func scope(_ fields: [String: String], pass: Int) throws -> Verification.Scope {
        if let text = fields["owed"], !text.isEmpty, case .keys(let keys) = try BatchRange(encoded: text) {
            return .owed(keys)
        }
        return pass < Self.blockPasses ? .blocks : .keys
    }

    /// Leftovers are cut into blocks this many times; what still remains goes row by row, with attempts of its own.
    private static let blockPasses = 3
    /// After which a vacuum's connection is taken for dead.
    private static let longestVacuum = Duration.seconds(7 * 86_400)

    /// Vacuums what the run has emptied, unless somebody has the table locked: waiting for that has no limit.
    ///
    /// A database that refuses does not make the run fail: every row is gone.
    private func vacuum(
        _ lease: StepLease,
        _ context: RunContext,
        _ connection: PostgresConnection
    ) async throws -> Next {
        let rows = try await self.queue.fields(of: lease.run)["rows"].flatMap { Int($0) } ?? 0
        if rows > 0 {
            do {
                let result = try await connection.query(
                    "VACUUM (ANALYZE, TRUNCATE off, SKIP_LOCKED) \(context.resolved.facts.name)",
                    deadline: Self.longestVacuum
                )
                for notice in result.notices {
                    self.logger.log(.warning, "vacuum", [.run: "\(lease.run)", .error: "\(notice)"])
                }
            } catch let error as PostgresError where !error.isConnectionProblem {
                self.logger.log(.warning, "vacuum was refused", [.run: "\(lease.run)", .error: "\(error)"])
            }
        }
        guard try await self.queue.advance(lease, ["step": StepLease.Step.reconcile.rawValue]) else {
            throw LeaseLost()
        }
        return .step(.reconcile)
    }

    /// Ends the run with the ledger's figures: in the ledger first, then in the queue.
    func reconcile(_ lease: StepLease, _ connection: PostgresConnection) async throws {
        let fields = try await self.queue.fields(of: lease.run)
        let letters = try await self.queue.deadLetters(of: lease.run).count
        let late = try await self.ledger.lateReferences(lease.run, connection)
        let (state, error) = Self.end(fields, deadLetters: letters, late: late)
        if fields["ending"] != nil { try await self.queue.dropDelayed(lease) }
        guard let sum = try await self.ledger.finish(lease.run, state: state, error: error, connection),
            let record = try await self.ledger.run(lease.run, connection)
        else { throw RunContext.Obstacle.unknownRun(lease.run) }
        let retention = self.configuration.ledger.retention
        let isOver = try await self.queue.finish(
            lease,
            state: record.state ?? state,
            sum: sum,
            error: record.error,
            retention: retention
        )
        guard isOver else { throw LeaseLost() }
        self.logger.log(
            .info,
            "run over",
            [.run: "\(lease.run)", .state: "\(state.rawValue)", .rows: "\(sum.rows)"]
        )
        try await self.ledger.prune(retention: retention, connection)
    }

    /// How a run ends, by what the queue knows of it.
    ///
    /// - `late`: objects that were deleted while a reference to them appeared.
    private static func end(
        _ fields: [String: String],
        deadLetters: Int,
        late: Int
    ) -> (state: RunState, error: String?) {
        if let ending = fields["ending"].flatMap(RunState.init(rawValue:)) {
            return (ending, fields["ending_error"].flatMap { $0.isEmpty ? nil : $0 })
        }
        let errors = [
            deadLetters > 0 ? "\(deadLetters) batches were given up on; producer dead list shows them" : nil,
            fields["stuck"],
            late > 0
                ? "\(late) objects were deleted while references to them appeared; the workers' logs name them" : nil,
        ].compactMap { $0 }
        return errors.isEmpty ? (.finished, nil) : (.failed, errors.joined(separator: "; "))
    }

    /// The size of batches before anything was measured, as the run's creation chose it.
    func firstSize(_ context: RunContext, _ connection: PostgresConnection) async throws -> BatchSizing {
        let estimate = try await Estimate.read(context.resolved, terms: context.record.terms, connection)
        return BatchSizing(
            first: context.record.strategy,
            estimate: estimate,
            duration: self.configuration.batches.duration,
            fixedRows: context.record.batchRows
        )
    }
}
