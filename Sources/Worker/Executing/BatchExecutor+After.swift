import Logging
import PostgresClient
import Shared

/// A batch after whose rows something else goes: an update in the same transaction, files once it is committed.
extension BatchExecutor {
    /// Files are looked at, then rows are deleted and their files listed in one transaction, then files are removed, then the
    /// list is confirmed.
    ///
    /// A file must not go before its row, or a crash leaves rows that promise what is gone; nor may a row go and nothing be left
    /// that knows its file. A transaction covers no file system, so the list is what makes up for it: written with the delete, it
    /// is there exactly when the rows are not. From the commit on nobody asks for the files any more, unless the path is used
    /// again, which a later time of the file tells; and the batch stays open until its list is confirmed. Whoever meets it then,
    /// the next attempt or the end of the run, removes what the list names, as often as it takes: a file that is gone already is
    /// as good as removed.
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
        let unlink = context.resolved.target.after?.unlink
        if let unlink { try await self.check(unlink.store, after, message, range, connection) }
        let statements = context.statements(generation: message.generation)
        var deletes = statements.batch(range, skippingLocked: mode == .skippingLocked)
        if let last = deletes.popLast() { deletes.append(after.returning(last)) }
        var claim: Ledger.FileClaim?
        let outcome = try await self.run(deletes, of: message, range, context, mode, connection) { result in
            if let unlink { claim = try self.claim(result, of: message, unlink) }
            let keys = try result.rows.map { try $0.text(0) }
            let list = claim.map { [Ledger.durably, self.ledger.list($0)] } ?? []
            return [after.update(keys)].compactMap { $0 } + list
        }
        switch outcome {
        case .deleted: break
        // Its row may be there, and open: somebody came as far as this, and no further.
        case .predecessorAlive:
            claim = try await self.ledger.takeFiles(
                run: message.run,
                batch: message.batch,
                limits: self.limits.timeLimits,
                connection
            )
        default: return outcome
        }
        guard let claim else { return outcome }
        guard let record = try await self.removal.finish(claim, connection) else { return .predecessorAlive }
        return .finished(record, microseconds: Int(started.duration(to: .now).wholeMicroseconds))
    }

    /// The files of deleted rows, for this attempt to remove; nil when there are none.
    ///
    /// - Throws: `FolderError` for a path that could lead out of the store, so that nothing is committed.
    private func claim(
        _ result: PostgresResult,
        of message: BatchMessage,
        _ unlink: After.Unlink
    ) throws -> Ledger.FileClaim? {
        let files = result.rows.filter { $0[1] != nil }
        var paths: [String] = []
        var sizes: [Int] = []
        var known: Set<[UInt8]> = []
        for row in files {
            let path = try row.text(1)
            _ = try StoredPath.parts(path)
            guard known.insert(Array(path.utf8)).inserted else { continue }
            paths.append(path)
            sizes.append(row.int(2) ?? 0)
        }
        guard let location = try self.removal.destination(unlink.store).location, !paths.isEmpty else { return nil }
        return Ledger.FileClaim(
            run: message.run,
            batch: message.batch,
            store: unlink.store,
            location: location,
            paths: paths,
            sizes: unlink.size == nil ? nil : sizes
        )
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
        case .off(let reason): throw PlanningError("the store \(name) is off on \(HostName.current): \(reason)")
        case .bucket(let store): _ = try await store.checkBucket()
        case .folder(let store):
            try await store.check()
            guard let statement = after.folders(range, generation: message.generation) else { return }
            let settings = TransactionSettings(for: range, limits: self.limits.timeLimits).statement()
            let paths = try await connection.transaction(readOnly: true) { connection in
                _ = try connection.run(settings.sql, settings.parameters)
                return try connection.run(statement.sql, statement.parameters).rows.compactMap { $0[0] }
            }
            try await store.check(foldersOf: paths)
        }
    }
}
