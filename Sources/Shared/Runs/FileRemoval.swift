package import Logging
package import PostgresClient

/// Removes the files of rows that are gone, as a list in the ledger names them, and confirms the list.
///
/// Whatever dies in between, the list stays open, and whoever takes it over does the same again: a file that is gone is as
/// good as removed. What it was is known from the sizes, which are written down before the first file goes.
package struct FileRemoval: Sendable {
    let ledger: Ledger
    let stores: Stores
    let limits: TransactionSettings.TimeLimits
    let logger: Logger

    package init(ledger: Ledger, stores: Stores, limits: TransactionSettings.TimeLimits, logger: Logger) {
        self.ledger = ledger
        self.stores = stores
        self.limits = limits
        self.logger = logger
    }

    /// - Returns: the batch's record; nil when somebody else has it now.
    /// - Throws: `FolderError`, `StorageError`, `PlanningError` for a store that is off here, `PostgresError`.
    package func finish(
        _ claim: Ledger.FileClaim,
        _ connection: PostgresConnection
    ) async throws -> Ledger.BatchRecord? {
        let destination = try self.destination(claim.store)
        if let location = destination.location, location != claim.location {
            throw PlanningError(
                "files of deleted rows are in \(claim.location), and the store \(claim.store) is \(location) here"
            )
        }
        let count: Ledger.FileCount
        switch destination {
        case .folder(let store):
            var sizes = claim.sizes ?? []
            if claim.sizes == nil { sizes = try await store.sizes(of: claim.paths) }
            var writtenAt = claim.writtenAt
            if claim.sizes == nil || writtenAt == nil {
                writtenAt = try await self.ledger.measure(claim, sizes: sizes, limits: self.limits, connection)
            }
            guard let writtenAt else { return nil }
            let newer = try await store.remove(claim.paths, writtenBy: writtenAt)
            let found = sizes.filter { $0 != FolderStore.missing }
            count = Ledger.FileCount(
                deleted: found.count,
                missing: sizes.count - found.count,
                bytes: found.reduce(0, +)
            )
            if newer > 0 {
                self.logger.log(
                    .warning,
                    "files stay that were written after their rows were deleted",
                    [.run: "\(claim.run)", .batch: "\(claim.batch)", .count: "\(newer)"]
                )
            }
        case .bucket(let store):
            try await self.delete(claim.paths, in: store)
            count = Ledger.FileCount(
                deleted: claim.paths.count,
                missing: 0,
                bytes: (claim.sizes ?? []).reduce(0, +)
            )
        case .off(let reason):
            throw PlanningError("the store \(claim.store) is off on \(HostName.current): \(reason)")
        }
        if count.missing > 0 {
            self.logger.log(
                .debug,
                "files of rows were gone before",
                [.run: "\(claim.run)", .batch: "\(claim.batch)", .count: "\(count.missing)"]
            )
        }
        return try await self.ledger.confirm(count, of: claim, limits: self.limits, connection)
    }

    /// - Throws: `ConfigurationError`.
    package func destination(_ name: String) throws -> Stores.Destination { try self.stores.destination(named: name) }

    /// In calls of up to 1,000, each repeated while the storage is away: a path is nobody else's.
    private func delete(_ paths: [String], in store: ObjectStore) async throws {
        for start in stride(from: 0, to: paths.count, by: ObjectStore.most) {
            var left = Array(paths[start..<min(start + ObjectStore.most, paths.count)])
            var tries = 0
            while !left.isEmpty {
                var problem: StorageError
                do {
                    let answer = try await store.delete(left)
                    guard let failure = answer.failures.first else { break }
                    let isAway = StorageError.isTransient(failure.code)
                    problem = StorageError(
                        isAway ? .away : .refused,
                        code: failure.code,
                        message: failure.message,
                        request: "DeleteObjects of bucket \(store.configuration.bucket), key \(failure.key)"
                    )
                    left = answer.failures.map(\.key)
                } catch let error as StorageError { problem = error }
                tries += 1
                guard problem.kind == .away, tries < store.limits.attempts else { throw problem }
                try await Task.sleep(for: store.limits.pause(after: tries))
            }
        }
    }
}
