import Logging
import PostgresClient
import Shared

/// Takes a leased batch from its start to a verdict.
struct Slot: Sendable {
    let consumer: String
    let queue: Queue
    let pool: ConnectionPool
    let contexts: RunContexts
    let executor: BatchExecutor
    let policy: FailurePolicy
    let lease: Duration
    let logger: Logger

    /// Runs one batch; its lease is kept alive meanwhile, and losing it cancels the statement.
    func run(_ lease: Lease) async -> Verdict {
        do {
            return try await withHeartbeat(lease: self.lease) {
                try await self.queue.beat([lease], consumer: self.consumer).first ?? false
            } _: {
                try await self.execute(lease)
            }
        } catch is LeaseLost {
            self.logger.log(.warning, "lease lost", self.values(lease))
            return .lost(lease)
        } catch {
            return await self.verdict(on: error, lease)
        }
    }

    private func execute(_ lease: Lease) async throws -> Verdict {
        // A first delivery starts for the first time; only what came back may have crashed somebody.
        if lease.isRedelivered {
            guard let starts = try await self.queue.start(lease, consumer: self.consumer) else { return .lost(lease) }
            if starts >= self.policy.limits.attempts {
                return try await self.giveUp(
                    lease,
                    sqlState: nil,
                    error: "it was started \(starts + 1) times and never ended"
                )
            }
        }
        return try await self.pool.withConnection { connection in
            let context = try await self.contexts.context(lease.message.run, connection)
            let outcome = try await self.executor.run(lease.message, context, connection)
            return self.verdict(on: outcome, lease)
        }
    }

    private func verdict(on outcome: BatchExecutor.Outcome, _ lease: Lease) -> Verdict {
        switch outcome {
        case .deleted(let rows, let cascaded, let microseconds):
            return .done(
                Settlement(
                    lease: lease,
                    rows: rows,
                    cascaded: cascaded,
                    isMeasured: true,
                    microseconds: microseconds
                )
            )
        case .settledBefore("dead", _, _):
            return .failed(lease, .dead(sqlState: nil, error: "it was given up on before; the ledger says so"))
        case .settledBefore(_, let rows, let cascaded):
            return .done(
                Settlement(lease: lease, rows: rows, cascaded: cascaded, isMeasured: false, microseconds: 0)
            )
        case .predecessorAlive: return self.failure(self.policy.predecessorAlive, lease, sqlState: nil, error: "")
        }
    }

    private func verdict(on error: any Error, _ lease: Lease) async -> Verdict {
        let sqlState = (error as? PostgresError)?.sqlState?.rawValue
        let decision = self.policy.decide(error, attempts: lease.message.attempts)
        if !(error is CancellationError) {
            var values = self.values(lease)
            values[.error] = "\(error)"
            self.logger.log(.warning, "batch failed", values)
        }
        guard decision == .giveUp else {
            return self.failure(decision, lease, sqlState: sqlState, error: "\(error)")
        }
        do {
            return try await self.giveUp(lease, sqlState: sqlState, error: "\(error)")
        } catch {
            // The ledger comes first; while it cannot be written, the batch stays in the queue.
            return .failed(lease, .release(after: self.policy.limits.backoff))
        }
    }

    private func failure(
        _ decision: FailurePolicy.Decision,
        _ lease: Lease,
        sqlState: String?,
        error: String
    ) -> Verdict {
        switch decision {
        case .release(let delay): .failed(lease, .release(after: delay))
        case .retry(let delay): .failed(lease, .retry(after: delay, sqlState: sqlState, error: error))
        case .giveUp: .failed(lease, .dead(sqlState: sqlState, error: error))
        }
    }

    private func giveUp(_ lease: Lease, sqlState: String?, error: String) async throws -> Verdict {
        let outcome = try await self.pool.withConnection { try await self.executor.giveUp(lease.message, $0) }
        if case .settledBefore("dead", _, _) = outcome {
            return .failed(lease, .dead(sqlState: sqlState, error: error))
        }
        return self.verdict(on: outcome, lease)
    }

    private func values(_ lease: Lease) -> [LogKey: Logger.MetadataValue] {
        [
            .run: "\(lease.message.run)", .batch: "\(lease.message.batch)",
            .attempts: "\(lease.message.attempts)",
        ]
    }
}
