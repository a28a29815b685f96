package import Logging
package import PostgresClient

/// Does a run's own work: plan, verify, vacuum, reconcile.
///
/// Whoever holds the lease of a step runs it: a worker, a waiting `enqueue`, `serve`.
package struct StepRunner: Sendable {
    let ledger: Ledger
    let queue: Queue
    let catalog: Catalog
    let stores: Stores
    let contexts: RunContexts
    let configuration: EbbConfiguration
    let logger: Logger

    package init(
        ledger: Ledger,
        queue: Queue,
        catalog: Catalog,
        stores: Stores,
        contexts: RunContexts,
        configuration: EbbConfiguration,
        logger: Logger
    ) {
        self.ledger = ledger
        self.queue = queue
        self.catalog = catalog
        self.stores = stores
        self.contexts = contexts
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
                do { try await self.perform(lease, connection) } catch  where SQLState.isMissing(error) {
                    // One of many schemas was dropped meanwhile; what is there now is read anew, once.
                    await self.contexts.forget(lease.run)
                    try await self.perform(lease, connection)
                }
            }
        } catch {
            await self.contexts.forget(lease.run)
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
        case .gone:
            try await self.queue.end(lease.run, as: .failed, error: "\(error)")
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
        guard let record = try await self.ledger.run(lease.run, connection) else {
            throw RunContext.Obstacle.unknownRun(lease.run)
        }
        // The ledger knows better than a queue that was restored from an older copy.
        if record.finishedAt != nil { return try await self.reconcile(lease, connection) }
        if record.strategy == .prefix {
            return try await self.performObjects(lease, record, connection)
        }
        let context = try await self.contexts.context(of: record, connection)
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
}
