import Foundation
import Logging
import PostgresClient
import Shared

/// Settles one slot: with a run, or with the reason why there is none.
struct SlotFiring: Sendable {
    let services: Services
    let queue: Queue
    let pool: ConnectionPool
    let planningLimit: Duration

    /// A slot that is due.
    struct Work: Sendable {
        var entry: ScheduleEntry
        var timing: ScheduleTiming
        var due: ScheduleTiming.Due
        /// What became of the slot before, so that what is always the same is said once.
        var lastOutcome: String?
    }

    /// Settles a slot, unless somebody else does.
    ///
    /// - Throws: what will be over soon: an outage, a lock, a procedure of other stages. The slot stays open then, as long as catch-up allows. Whatever
    ///   else stands in the way is the slot's outcome.
    func settle(_ work: Work) async throws {
        switch (work.due, work.entry.knobs) {
        case (.missed(let moment), _):
            let limit = DurationText.format(work.timing.catchUp)
            try await self.settle(
                work,
                moment,
                "missed: it was due longer ago than catch_up (\(limit)) allows",
                .warning
            )
        case (.slot(let moment), .off(let reason)): try await self.settle(work, moment, "off: \(reason)", .info)
        case (.slot(let moment), .on(let knobs)): try await self.fire(work, moment, knobs)
        }
    }

    private func fire(_ work: Work, _ moment: Date, _ knobs: KnobValues) async throws {
        let ledger = self.services.ledger
        let slot = self.slot(work, moment)
        do {
            let (firing, warnings) = try await self.pool.withConnection { connection in
                let (order, warnings) = try await self.order(work, knobs, connection)
                return (try await ledger.fire(slot, order, connection), warnings)
            }
            switch firing {
            case .started(let record):
                self.log(.info, work, moment, Ledger.started, run: record.run)
                try await self.announce([record], warnings)
            case .group(let records, let outcome):
                self.log(outcome.contains("failed") ? .error : .info, work, moment, outcome, run: nil)
                try await self.announce(records, warnings)
            // Who executes it, finds it in the ledger.
            case .procedure(let id): self.log(.info, work, moment, Ledger.started, run: id)
            case .skipped(let run): self.log(.warning, work, moment, Ledger.skipped(run), run: run)
            case .taken: break
            }
        } catch  where Self.isLasting(error) {
            try await self.settle(work, moment, "failed: \(error)", .error)
        }
    }

    /// Plans what a slot is to get; what keeps one schema of a group from being planned stays its own.
    private func order(
        _ work: Work,
        _ knobs: KnobValues,
        _ connection: PostgresConnection
    ) async throws -> (order: Ledger.Order, warnings: [String]) {
        @Sendable func plan(_ entry: CatalogEntry) async throws -> RunStarter.RunPlan {
            try await withTimeLimit(self.planningLimit) {
                try await self.services.runStarter(self.queue).plan(
                    entry,
                    stores: self.services.stores,
                    knobs: knobs,
                    batchRows: self.services.configuration.batches.rows,
                    timeout: work.timing.timeout,
                    connection
                )
            }
        }
        let entry: CatalogEntry
        switch work.entry.work {
        case .procedure(let stages): return (.procedure(stages), [])
        case .target(let target): entry = target
        }
        guard entry.group != nil else {
            let plan = try await plan(entry)
            return (.one(plan), plan.warnings)
        }
        var plans: [RunStarter.RunPlan] = []
        var failures: [String] = []
        for place in try await self.services.places(of: entry, connection) {
            do { plans.append(try await plan(place)) } catch  where Self.isLasting(error) {
                failures.append("\(place.schemaOfGroup ?? ""): \(error)")
            }
        }
        let isEmpty = "finished: \(entry.emptyGroup ?? "")"
        return (.group(plans, failures: failures, isEmpty: isEmpty), plans.flatMap(\.warnings))
    }

    /// Makes runs known to the queue at once; when the queue is away, the scheduler's next look does it.
    private func announce(_ records: [RunRecord], _ warnings: [String]) async throws {
        for warning in warnings {
            self.services.logger.log(
                .warning,
                "a run may not do what is wanted",
                [.target: "\(records.first?.target ?? "")", .error: "\(warning)"]
            )
        }
        do {
            let starter = self.services.runStarter(self.queue)
            try await self.queue.setup()
            try await self.pool.withConnection { connection in
                for record in records { try await starter.restore(record, connection) }
            }
        } catch  where Outage.isOfQueue(error) {}
    }

    /// Whether an error would be the same at the next try.
    private static func isLasting(_ error: any Error) -> Bool {
        switch Fault(error) {
        case .stopped, .serverAway, .queueAway, .storageAway, .conflict, .locked: false
        default: !(error is TimeLimitExceeded || error is Ledger.SlotHeld)
        }
    }

    private func settle(_ work: Work, _ moment: Date, _ outcome: String, _ level: Logger.Level) async throws {
        let (ledger, slot) = (self.services.ledger, self.slot(work, moment))
        let isOurs = try await self.pool.withConnection { try await ledger.settle(slot, outcome: outcome, $0) }
        if isOurs { self.log(work.lastOutcome == outcome ? .debug : level, work, moment, outcome, run: nil) }
    }

    private func slot(_ work: Work, _ moment: Date) -> Ledger.Slot {
        Ledger.Slot(
            schedule: work.entry.schedule,
            target: work.entry.work.name,
            definition: work.timing.definition,
            moment: moment
        )
    }

    private func log(_ level: Logger.Level, _ work: Work, _ moment: Date, _ outcome: String, run: String?) {
        var values: [LogKey: Logger.MetadataValue] = [
            .schedule: "\(work.entry.schedule)", .target: "\(work.entry.work.name)",
            .slot: "\(moment.formatted(.iso8601))", .outcome: "\(outcome)",
        ]
        if let run, !run.isEmpty { values[.run] = "\(run)" }
        self.services.logger.log(level, "slot settled", values)
    }
}
