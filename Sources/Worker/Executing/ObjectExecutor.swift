import Logging
import PostgresClient
import Shared

/// Deletes one batch of objects: page by page, and never without a list in the ledger and a fresh look at the references.
struct ObjectExecutor: Sendable {
    let ledger: Ledger
    let limits: EbbConfiguration.Batches
    let logger: Logger

    /// How a batch ended.
    enum Outcome: Sendable, Equatable {
        /// All that was due is gone.
        case done(Ledger.BatchRecord, microseconds: Int)
        /// Somebody else ended this batch before.
        case endedBefore(Ledger.BatchRecord)
        /// The run is over by the ledger.
        case runOver
        /// Somebody else has taken the batch over.
        case superseded
        /// All that was due is gone, but for these keys, which the storage does not delete.
        case refused([String], BatchError)
        /// The storage deletes nothing of it.
        case allRefused(BatchError)
    }

    /// Runs a batch from its beginning, whatever earlier attempts have done.
    ///
    /// - Throws: `StorageError`, `PostgresError`, `CancellationError`: what was deleted by then is counted, now or by the next
    ///   attempt; `RunContext.Obstacle`; `QueueError` for a range that is not the target's.
    func run(
        _ message: BatchMessage,
        _ range: ObjectRange,
        _ context: ObjectContext,
        _ connection: PostgresConnection
    ) async throws -> Outcome {
        let started = ContinuousClock.now
        let limits = self.limits.timeLimits
        let claim = try await self.ledger.claimObjects(
            run: message.run,
            batch: message.batch,
            limits: limits,
            connection
        )
        guard let claim else { return try await self.reason(message, connection) }
        var batch = ObjectBatch(
            claim: claim,
            context: context,
            ledger: self.ledger,
            limits: limits,
            logger: self.logger,
            connection: connection
        )
        do {
            try await batch.work(range)
        } catch is ObjectBatch.Superseded {
            return .superseded
        }
        if let error = batch.refusal {
            return batch.isRefused(range) ? .allRefused(error) : .refused(batch.refused, error)
        }
        let microseconds = Int(started.duration(to: .now).wholeMicroseconds)
        let record = try await self.ledger.complete(claim, microseconds: microseconds, limits: limits, connection)
        return record.map { .done($0, microseconds: microseconds) } ?? .superseded
    }

    /// Why the ledger did not take the batch.
    private func reason(_ message: BatchMessage, _ connection: PostgresConnection) async throws -> Outcome {
        if let record = try await self.ledger.batch(message.run, message.batch, connection) {
            return .endedBefore(record)
        }
        guard let record = try await self.ledger.run(message.run, connection) else {
            throw RunContext.Obstacle.unknownRun(message.run)
        }
        guard record.isOnItsServer else { throw RunContext.Obstacle.otherServer(run: message.run) }
        return .runOver
    }
}
