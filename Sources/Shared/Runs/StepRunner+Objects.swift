import Logging
import PostgresClient

/// The steps of a run whose rows are objects.
extension StepRunner {
    /// As `perform`: plan, verify, reconcile; there is no table to vacuum.
    func performObjects(_ lease: StepLease, _ record: RunRecord, _ connection: PostgresConnection) async throws {
        guard record.isOnItsServer else { throw RunContext.Obstacle.otherServer(run: record.run) }
        guard let target = self.catalog.objects(of: record.target), target.definitionHash == record.definitionHash
        else {
            throw RunContext.Obstacle.otherDefinition(run: record.run, target: record.target)
        }
        let cut = ObjectCut(target, digits: record.prefixDigits ?? 0)
        let marks = Ledger.Marks(target: record.target, location: record.table)
        var next = Next.step(lease.step)
        while case .step(let current) = next {
            self.logger.log(.debug, "step", [.run: "\(lease.run)", .step: "\(current.rawValue)"])
            switch current {
            case .plan:
                // Its looks are not written down, so that what an earlier run has marked may have been referenced since.
                if target.quarantine == nil { try await self.ledger.dropMarks(marks, connection) }
                next = try await self.plan(lease, record, cut, connection)
            case .verify: next = try await self.verify(lease, cut, connection)
            case .vacuum, .reconcile: return try await self.reconcile(lease, connection)
            }
        }
        try await self.leave(lease, next)
    }

    /// Batches appended at once: one script handles at most 100.
    private static let chunk = 64

    /// Appends batches until all are there or enough are ahead.
    ///
    /// The cursor is the number of those that were appended.
    private func plan(
        _ lease: StepLease,
        _ record: RunRecord,
        _ cut: ObjectCut,
        _ connection: PostgresConnection
    ) async throws -> Next {
        let fields = try await self.queue.fields(of: lease.run)
        let generation = fields["generation"].flatMap { Int($0) } ?? 1
        var cursor = fields["cursor"] ?? ""
        // Who is still at a batch of an older plan must not count what a batch of this one counts.
        try await self.ledger.disown(lease.run, before: generation, connection)
        while true {
            let from = Int(cursor) ?? 0
            let to = min(from + Self.chunk, cut.count)
            let batches = (from..<to).map { position in
                // Their time says nothing about the size of others: what they hold was decided at the run's creation.
                (
                    id: "\(generation).\(position + 1)",
                    batch: PlannedBatch(range: .objects(cut[position]), units: 1)
                )
            }
            var changes = ["cursor": String(to)]
            if to == cut.count {
                changes["step"] = "drain"
                changes["state"] = RunState.running.rawValue
            }
            let open = try await self.queue.append(
                batches,
                of: lease,
                priority: record.priority,
                from: cursor,
                fields: changes
            )
            guard let open else { throw LeaseLost() }
            if to == cut.count || open >= Queue.ahead.most { return .rest(for: .zero) }
            cursor = String(to)
        }
    }

    /// A plan that lost batches is made anew so many times.
    private static let replans = 3

    /// Makes sure that every batch of the plan has ended.
    ///
    /// The storage is not listed a second time. Listings are strongly consistent, the prefixes of a plan hold every key there
    /// can be, and each was listed after the cutoff was fixed; an object that was eligible then and survived is in a dead
    /// letter, or was referenced. So what the ledger says of the batches is what is to be known.
    private func verify(_ lease: StepLease, _ cut: ObjectCut, _ connection: PostgresConnection) async throws -> Next {
        let fields = try await self.queue.fields(of: lease.run)
        let generation = fields["generation"].flatMap { Int($0) } ?? 1
        let pass = fields["pass"].flatMap { Int($0) } ?? 0
        let ended = try await self.ledger.ended(lease.run, generation: generation, connection)
        // Each batch that was split has left two others.
        let missing = cut.count + 2 * ended.split - ended.all
        var changes = ["step": StepLease.Step.reconcile.rawValue, "excused": String(ended.dead)]
        if missing > 0, pass < Self.replans {
            self.logger.log(.warning, "batches were lost", [.run: "\(lease.run)", .batches: "\(missing)"])
            changes = [
                "step": StepLease.Step.plan.rawValue, "state": RunState.planning.rawValue, "cursor": "",
                "generation": String(generation + 1), "pass": String(pass + 1),
            ]
        } else if missing > 0 {
            changes["stuck"] =
                "\(missing) batches were lost on the way, as when somebody deletes entries of the streams"
        }
        guard try await self.queue.advance(lease, changes) else { throw LeaseLost() }
        return .step(StepLease.Step(rawValue: changes["step"] ?? "") ?? .reconcile)
    }

    // MARK: The end

    /// Counts what calls did whose answer nobody has seen; nothing for a run that is over.
    ///
    /// A run that is to end anyway ends also where the storage cannot be asked: its count is short then, and the log says so.
    ///
    /// - Returns: when to go on with it; nil when all is counted.
    func settleLists(
        of record: RunRecord,
        isEnding: Bool,
        _ connection: PostgresConnection
    ) async throws -> Duration? {
        let run = record.run
        guard record.finishedAt == nil, try await self.ledger.hasUnconfirmedLists(run, connection) else { return nil }
        do {
            let context = try await ObjectContext.load(
                run,
                catalog: self.catalog,
                stores: self.stores,
                ledger: self.ledger,
                connection
            )
            let settlement = ListSettlement(
                context: context,
                ledger: self.ledger,
                limits: self.configuration.batches.timeLimits,
                logger: self.logger
            )
            return try await settlement.settle(connection)
        } catch  where Self.isLasting(error) {
            if isEnding {
                self.logger.log(
                    .error,
                    "calls were not settled; the run may have deleted more objects than it says",
                    [.run: "\(run)", .error: "\(error)"]
                )
                return nil
            }
            // An answer of no use, too, would come again and again.
            if var error = error as? StorageError {
                error.kind = .refused
                throw error
            }
            throw error
        }
    }

    private static func isLasting(_ error: any Error) -> Bool {
        error is StorageError ? Fault(error) != .storageAway : [.run, .otherDefinition].contains(Fault(error))
    }
}
