import Logging
import PostgresClient

/// Files of rows that a run has deleted, before it ends.
extension StepRunner {
    /// Why the end of a run has to wait.
    private struct FilesLeft: Error, CustomStringConvertible {
        var description: String
    }

    /// Removes files that batches have left: those of a run that is cancelled or fails, and of earlier runs that Redis has lost.
    ///
    /// A run does not end before its files are gone, unless they cannot be removed at all. Those of other runs do not hold it up.
    ///
    /// - Throws: an error that lets the step be tried again soon, here or where the store is at hand; `PostgresError`.
    func removeFiles(_ run: String, _ connection: PostgresConnection) async throws {
        guard let record = try await self.ledger.run(run, connection), record.strategy != .prefix else { return }
        let removal = FileRemoval(
            ledger: self.ledger,
            stores: self.stores,
            limits: self.configuration.batches.timeLimits,
            logger: self.logger
        )
        for open in try await self.ledger.openFiles(of: record, connection) {
            do {
                let claim = try await self.ledger.takeFiles(
                    run: open.run,
                    batch: open.batch,
                    limits: self.configuration.batches.timeLimits,
                    connection
                )
                if let claim { _ = try await removal.finish(claim, connection) }
            } catch let error as PostgresError {
                throw error
            } catch let error as CancellationError {
                throw error
            } catch {
                if open.run == run, !Self.isHopeless(error) { throw FilesLeft(description: "\(error)") }
                self.logger.log(
                    .error,
                    "files of deleted rows could not be removed",
                    [.run: "\(open.run)", .batch: "\(open.batch)", .error: "\(error)"]
                )
            }
        }
    }

    private static func isHopeless(_ error: any Error) -> Bool { (error as? FolderError)?.kind == .unsafe }
}
