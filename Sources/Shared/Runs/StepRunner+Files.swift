import Logging
import PostgresClient

/// Files of rows that a run has deleted, before it ends.
extension StepRunner {
    /// Removes files that batches have left: those of a run that is cancelled or fails, and of earlier runs that Redis has lost.
    ///
    /// Those of other runs do not hold this one up, and neither do its own when it is to end anyway: the lists stay, and every later
    /// run of the target tries again.
    ///
    /// - Returns: what is left of this run's own; nil for nothing.
    /// - Throws: what the store says, for the step to be tried again or the run to be paused; `PostgresError`.
    func removeFiles(
        of record: RunRecord,
        isEnding: Bool,
        _ connection: PostgresConnection
    ) async throws -> String? {
        let limits = self.configuration.batches.timeLimits
        let removal = FileRemoval(ledger: self.ledger, stores: self.stores, limits: limits, logger: self.logger)
        var left = 0
        for open in try await self.ledger.openFiles(of: record, connection) {
            do {
                let claim = try await self.ledger.takeFiles(
                    run: open.run,
                    batch: open.batch,
                    limits: limits,
                    connection
                )
                if let claim { _ = try await removal.finish(claim, connection) }
            } catch  where !(error is PostgresError || error is CancellationError) {
                let isOwn = open.run == record.run
                // A path that cannot be removed stays so, whoever tries.
                guard !isOwn || isEnding || Fault(error) == .row else { throw error }
                if isOwn { left += 1 }
                self.logger.log(
                    .error,
                    "files of deleted rows could not be removed",
                    [.run: "\(open.run)", .batch: "\(open.batch)", .error: "\(error)"]
                )
            }
        }
        return left == 0
            ? nil : "files of \(left) batches could not be removed; the logs say why, and the next run tries again"
    }
}
