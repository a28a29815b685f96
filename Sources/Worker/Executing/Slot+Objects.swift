import Logging
import PostgresClient
import Shared

/// A batch whose rows are objects.
extension Slot {
    /// Runs it to a verdict; see `execute` for one of rows.
    func execute(
        _ range: ObjectRange,
        _ lease: Lease,
        _ connection: PostgresConnection
    ) async throws -> Verdict {
        var tries = 0
        while true {
            do {
                let context = try await self.contexts.objects(lease.message.run, connection)
                let outcome = try await self.objectExecutor.run(lease.message, range, context, connection)
                return try await self.verdict(on: outcome, lease, connection)
            } catch {
                // Locks are only met in the ledger, where nothing can be skipped.
                switch self.policy.decide(Fault(error), tries: tries, mode: .waiting, isSingle: true) {
                case .again: tries += 1
                case let decision: return try await self.verdict(on: decision, error, lease, connection)
                }
            }
        }
    }

    private func verdict(
        on outcome: ObjectExecutor.Outcome,
        _ lease: Lease,
        _ connection: PostgresConnection
    ) async throws -> Verdict {
        switch outcome {
        case .done(let record, let microseconds):
            return .done(
                Settlement(
                    lease: lease,
                    rows: record.rows,
                    cascaded: 0,
                    bytes: record.bytes,
                    isMeasured: true,
                    microseconds: microseconds
                )
            )
        case .endedBefore(let record) where record.outcome == .split:
            // Which keys were split off, only the attempt knew that never told the queue; the next one finds them again.
            let message = lease.message
            try await self.ledger.reopenObjects(run: message.run, batch: message.batch, connection)
            return .back(lease, .release(after: .zero))
        case .endedBefore(let record): return try await self.verdict(on: record, lease, connection)
        case .runOver: return .back(lease, .cancelled)
        case .superseded: return .back(lease, .release(after: FailurePolicy.pause))
        case .allRefused(let error): return try await self.attempt(lease, error, connection)
        case .refused(let keys, let error): return try await self.verdict(onRefused: keys, error, lease, connection)
        }
    }

    /// Keys that the storage does not delete become batches of their own, down to the single key, which uses attempts.
    private func verdict(
        onRefused keys: [String],
        _ error: BatchError,
        _ lease: Lease,
        _ connection: PostgresConnection
    ) async throws -> Verdict {
        if lease.message.range?.isSingleRow == true {
            return try await self.attempt(lease, error, connection)
        }
        guard let record = try await self.end(lease.message, as: .split, connection) else {
            return .back(lease, .release(after: FailurePolicy.pause))
        }
        guard record.outcome == .split else { return try await self.verdict(on: record, lease, connection) }
        var values = self.values(lease)
        values[.error] = "\(error)"
        values[.count] = "\(keys.count)"
        self.logger.log(.info, "objects that could not be deleted are split off", values)
        // With a single key, the other part is empty and done at once.
        let middle = (keys.count + 1) / 2
        let halves = Queue.Halves(
            .objects(.keys(Array(keys[..<middle]))),
            .objects(.keys(Array(keys[middle...])))
        )
        return .back(lease, .split(halves, because: .other))
    }
}
