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
    let objectExecutor: ObjectExecutor
    let policy: FailurePolicy
    let lease: Duration
    /// How many dead letters are kept.
    let mostDead: Int
    let logger: Logger

    var ledger: Ledger { self.executor.ledger }

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
            return self.verdict(withoutDatabase: error, lease)
        }
    }

    private func execute(_ lease: Lease) async throws -> Verdict {
        // A first delivery starts for the first time; only what came back may have crashed somebody.
        if lease.isRedelivered {
            guard let starts = try await self.queue.start(lease, consumer: self.consumer) else { return .lost(lease) }
            if starts + lease.message.attempts >= self.policy.limits.attempts {
                let error = BatchError("it was started \(starts) times and never ended")
                return try await self.pool.withConnection { try await self.giveUp(lease, error, range: nil, $0) }
            }
        }
        return try await self.pool.withConnection { connection in
            if case .objects(let range)? = lease.message.range {
                return try await self.execute(range, lease, connection)
            }
            var mode = BatchExecutor.Mode.waiting
            var tries = 0
            var lock: (any Error)?
            while true {
                do {
                    let context = try await self.contexts.context(lease.message.run, connection)
                    let outcome = try await self.executor.run(lease.message, context, mode, connection)
                    return try await self.verdict(on: outcome, lease, context, connection)
                } catch {
                    // Skipping locked rows takes a privilege that deleting them does not.
                    let isDenied = mode == .skippingLocked && SQLState.insufficientPrivilege ~= error
                    let cause = isDenied ? lock ?? error : error
                    let isSingle = lease.message.range?.isSingleRow ?? false
                    switch self.policy.decide(Fault(cause), tries: tries, mode: mode, isSingle: isSingle) {
                    case .again: tries += 1
                    case .withoutLocked: (mode, lock) = (.skippingLocked, error)
                    case let decision: return try await self.verdict(on: decision, cause, lease, connection)
                    }
                    self.logger.log(.debug, "batch is tried again at once", self.values(lease, error))
                }
            }
        }
    }

    private func verdict(
        on outcome: BatchExecutor.Outcome,
        _ lease: Lease,
        _ context: RunContext,
        _ connection: PostgresConnection
    ) async throws -> Verdict {
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
        case .finished(let record, let microseconds):
            return .done(
                Settlement(
                    lease: lease,
                    rows: record.rows,
                    cascaded: record.cascaded,
                    bytes: record.bytes,
                    isMeasured: true,
                    microseconds: microseconds
                )
            )
        case .endedBefore(let record): return try await self.verdict(on: record, lease, connection)
        case .runOver: return .back(lease, .cancelled)
        case .predecessorAlive, .tableLocked: return .back(lease, .release(after: FailurePolicy.pause))
        }
    }

    /// On a batch that had ended by the ledger before.
    func verdict(
        on record: Ledger.BatchRecord,
        _ lease: Lease,
        _ connection: PostgresConnection
    ) async throws -> Verdict {
        switch record.outcome {
        case .dead:
            let error = BatchError("it was given up on before; the ledger says so")
            return .back(lease, .dead(error, range: nil, most: self.mostDead))
        case .split:
            if let halves = try await self.halves(of: lease, connection) {
                return .back(lease, .split(halves, because: .other))
            }
            // What little is left in it is for verification to find.
            fallthrough
        case .done:
            return .done(
                Settlement(
                    lease: lease,
                    rows: record.rows,
                    cascaded: record.cascaded,
                    bytes: record.bytes,
                    isMeasured: false,
                    microseconds: 0
                )
            )
        }
    }
}
