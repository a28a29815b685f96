import Logging
import PostgresClient
import Shared

/// What becomes of a batch that could not be done.
extension Slot {
    /// While the database can still be asked.
    ///
    /// - Throws: `error` itself when the database is not needed for the verdict; what the database says otherwise.
    func verdict(
        on decision: FailurePolicy.Decision,
        _ error: any Error,
        _ lease: Lease,
        _ connection: PostgresConnection
    ) async throws -> Verdict {
        let reason = BatchError(sqlState: (error as? PostgresError)?.sqlState?.rawValue, "\(error)")
        switch decision {
        case .split:
            let because: Queue.SplitReason =
                switch Fault(error) {
                case .timeout: .time(self.policy.limits.statementTimeout)
                case .locked: .other
                default: .row(reason)
                }
            if let verdict = try await self.split(lease, because, connection) {
                self.logger.log(.info, "batch is split", self.values(lease, error))
                return verdict
            }
            return try await self.attempt(lease, reason, connection)
        case .attempt: return try await self.attempt(lease, reason, connection)
        case .giveUp: return try await self.giveUp(lease, reason, range: nil, connection)
        case .pauseRun:
            let isMissing = SQLState.isMissing(error)
            let before = isMissing ? try await self.contexts.context(lease.message.run, connection) : nil
            await self.contexts.forget(lease.message.run)
            guard let before else { throw error }
            // One of many schemas may have been dropped: then what is there now decides.
            do {
                let now = try await self.contexts.context(lease.message.run, connection)
                if now.resolved.facts.kept.flatMap(\.places).map(\.name)
                    != before.resolved.facts.kept.flatMap(\.places).map(\.name)
                {
                    return .back(lease, .release(after: .zero))
                }
            } catch  where Fault(error) == .gone {
                return try await self.verdict(on: .endRun, error, lease, connection)
            }
            throw error
        case .endRun:
            try await self.queue.end(lease.message.run, as: .failed, error: "\(error)")
            return .back(lease, .cancelled)
        default: throw error
        }
    }

    /// What went wrong with a single row, with the way out where the server's patience was too short for it.
    private func advised(_ error: BatchError) -> BatchError {
        guard error.sqlState == SQLState.queryCanceled.rawValue else { return error }
        let limit = DurationText.format(self.policy.limits.statementTimeout)
        return BatchError(
            sqlState: error.sqlState,
            "if this row, with what goes by cascade, takes longer than batches.statement_timeout (\(limit)), raise "
                + "EBB_BATCHES_STATEMENT_TIMEOUT, and EBB_LEASES_DURATION with it; \(error.message)"
        )
    }

    /// When the database is away, or not needed.
    func verdict(withoutDatabase error: any Error, _ lease: Lease) -> Verdict {
        // Everything that may be tried on the spot has been.
        let decision = self.policy.decide(Fault(error), tries: .max, mode: .skippingLocked)
        if !(error is CancellationError) { self.logger.log(.warning, "batch failed", self.values(lease, error)) }
        return switch decision {
        case .release(let delay): .back(lease, .release(after: delay))
        case .outage: .outage(lease, after: FailurePolicy.pause)
        case .pauseRun: .paused(lease, reason: "\(error)")
        case .decline: .declined(lease, reason: "\(error)")
        // The ledger comes first; while it cannot be written, the batch stays in the queue.
        case .again, .withoutLocked, .split, .attempt, .giveUp, .endRun:
            .back(lease, .release(after: self.policy.backoff(lease.message.attempts)))
        }
    }

    /// One attempt used.
    ///
    /// The last one of a batch of many rows splits it: only single rows are given up on.
    func attempt(_ lease: Lease, _ error: BatchError, _ connection: PostgresConnection) async throws -> Verdict {
        let attempts = lease.message.attempts
        guard self.policy.isLast(attempts) else {
            var values = self.values(lease)
            values[.error] = "\(error)"
            self.logger.log(.warning, "batch failed", values)
            return .back(lease, .retry(after: self.policy.backoff(attempts), error: error))
        }
        if let verdict = try await self.split(lease, .row(error), connection) { return verdict }
        var range: BatchRange?
        if let whole = lease.message.range, !whole.isObjects {
            let splitter = try await self.splitter(lease, connection)
            range = try await Self.unlessRefused { try await splitter.narrowed(whole, connection) }
        }
        var reason = error
        if case .keys(let keys)? = range ?? lease.message.range, keys.count == 1 { reason = self.advised(error) }
        return try await self.giveUp(lease, reason, range: range, connection)
    }

    /// Splits a batch, in the ledger first; nil when it cannot be split.
    private func split(
        _ lease: Lease,
        _ reason: Queue.SplitReason,
        _ connection: PostgresConnection
    ) async throws -> Verdict? {
        let message = lease.message
        guard let halves = try await self.halves(of: lease, connection) else { return nil }
        guard let record = try await self.end(message, as: .split, connection) else { return nil }
        guard record.outcome == .split else { return try await self.verdict(on: record, lease, connection) }
        return .back(lease, .split(halves, because: reason))
    }

    /// The halves of a batch; nil when it cannot be split, or not even be read.
    func halves(of lease: Lease, _ connection: PostgresConnection) async throws -> Queue.Halves? {
        guard let range = lease.message.range else { return nil }
        if case .objects(let objects) = range {
            return objects.halves.map { Queue.Halves(.objects($0), .objects($1)) }
        }
        let splitter = try await self.splitter(lease, connection)
        let halves = try await Self.unlessRefused { try await splitter.halves(of: range, connection) }
        return halves.flatMap(\.self).map { Queue.Halves($0, $1) }
    }

    private func splitter(_ lease: Lease, _ connection: PostgresConnection) async throws -> RangeSplitter {
        let context = try await self.contexts.context(lease.message.run, connection)
        return RangeSplitter(
            context.statements(generation: lease.message.generation),
            limits: self.policy.limits.timeLimits
        )
    }

    /// nil when the database refuses to read, as when that takes too long; an outage is still an error.
    private static func unlessRefused<Value: Sendable>(_ body: () async throws -> Value) async throws -> Value? {
        do { return try await body() } catch let error as PostgresError where Fault(error) != .serverAway { return nil }
    }

    /// Gives a batch up, in the ledger first.
    ///
    /// - `range`: for the dead letter, when it says more than the batch's own.
    func giveUp(
        _ lease: Lease,
        _ error: BatchError,
        range: BatchRange?,
        _ connection: PostgresConnection
    ) async throws -> Verdict {
        let message = lease.message
        let record = try await self.end(message, as: .dead, connection)
        if let record, record.outcome != .dead { return try await self.verdict(on: record, lease, connection) }
        var values = self.values(lease)
        values[.error] = "\(error)"
        self.logger.log(.error, "batch is given up on", values)
        return .back(lease, .dead(error, range: range, most: self.mostDead))
    }

    func end(
        _ message: BatchMessage,
        as outcome: Ledger.BatchOutcome,
        _ connection: PostgresConnection
    ) async throws -> Ledger.BatchRecord? {
        let limits = self.policy.limits.timeLimits
        return try await self.ledger.end(message.run, message.batch, as: outcome, limits: limits, connection)
    }

    func values(_ lease: Lease, _ error: (any Error)? = nil) -> [LogKey: Logger.MetadataValue] {
        var values: [LogKey: Logger.MetadataValue] = [
            .run: "\(lease.message.run)", .batch: "\(lease.message.batch)",
            .attempts: "\(lease.message.attempts)",
        ]
        if let error { values[.error] = "\(error)" }
        return values
    }
}
