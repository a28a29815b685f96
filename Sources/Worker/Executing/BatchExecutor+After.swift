import Logging
import PostgresClient
import Shared

/// A batch after whose rows something else goes: an update in the same transaction, files once it is committed.
extension BatchExecutor {
    /// Files first are looked at, then rows deleted and their files listed in one transaction, then the files removed.
    ///
    /// So no row is ever seen without its file, and no file outlives its row for ever: a list that was not confirmed leaves the
    /// batch open, and its next attempt takes up where this one was.
    ///
    /// - Throws: as `run`; `FolderError`, `StorageError`: the batch is open then, if its rows are gone.
    func run(
        _ message: BatchMessage,
        _ range: BatchRange,
        _ after: AfterSQL,
        _ context: RunContext,
        _ mode: Mode,
        _ connection: PostgresConnection
    ) async throws -> Outcome {
        let started = ContinuousClock.now
        let store = context.resolved.target.after?.unlink?.store
        if let store { try await self.check(store, after, message, range, connection) }
        let statements = context.statements(generation: message.generation)
        var deletes = statements.batch(range, skippingLocked: mode == .skippingLocked)
        if let last = deletes.popLast() { deletes.append(after.returning(last)) }
        let outcome = try await self.run(deletes, of: message, range, context, mode, connection) { result in
            let keys = try result.rows.map { try $0.text(0) }
            var paths: [String] = []
            var sizes: [Int] = []
            for row in result.rows {
                guard let path = row[1] else { continue }
                _ = try StoredPath.parts(path)
                paths.append(path)
                sizes.append(row.int(2) ?? 0)
            }
            var statements = [after.update(keys)].compactMap { $0 }
            if let store, !paths.isEmpty {
                let isMeasured = context.resolved.target.after?.unlink?.size != nil
                statements.append(
                    self.ledger.list(
                        .init(
                            run: message.run,
                            batch: message.batch,
                            owner: Ledger.newOwner(),
                            store: store,
                            paths: paths,
                            sizes: isMeasured ? sizes : nil
                        )
                    )
                )
            }
            return statements
        }
        switch outcome {
        // Its row may be there, and open.
        case .deleted, .predecessorAlive: break
        default: return outcome
        }
        let limits = self.limits.timeLimits
        let claim = try await self.ledger.takeFiles(run: message.run, batch: message.batch, limits: limits, connection)
        guard let claim else { return outcome }
        guard let record = try await self.removal.finish(claim, connection) else { return .predecessorAlive }
        return .finished(record, microseconds: Int(started.duration(to: .now).wholeMicroseconds))
    }

    /// Makes sure that files can be removed before any row goes: the store is here, and no path leads out of it.
    private func check(
        _ name: String,
        _ after: AfterSQL,
        _ message: BatchMessage,
        _ range: BatchRange,
        _ connection: PostgresConnection
    ) async throws {
        switch try self.removal.destination(name) {
        case .off(let reason): throw PlanningError("the store \(name) is off here: \(reason)")
        case .bucket: break
        case .folder(let store):
            try await store.check()
            guard let statement = after.folders(range, generation: message.generation) else { return }
            let settings = TransactionSettings(for: range, limits: self.limits.timeLimits).statement()
            let folders = try await connection.transaction(readOnly: true) { connection in
                _ = try connection.run(settings.sql, settings.parameters)
                return try connection.run(statement.sql, statement.parameters).rows.compactMap { $0[0] }
            }
            try await store.check(folders: folders)
        }
    }
}
