extension PostgresConnection {
    /// Runs one statement; outside a transaction it commits by itself.
    ///
    /// Cancelling the task cancels the statement on the server; the session stays usable.
    ///
    /// - Parameters:
    ///   - sql: exactly one statement.
    ///   - parameters: values of `$1`, `$2`, … as text; nil is NULL.
    ///   - deadline: time from when the statement is sent; when it passes, the session is closed.
    /// - Returns: all rows, copied.
    /// - Throws: ``PostgresError``; `CancellationError` if the task was cancelled before the server had finished.
    package nonisolated func query(
        _ sql: String,
        _ parameters: [String?] = [],
        deadline: Duration? = nil
    ) async throws -> PostgresResult {
        try await self.interruptible { try $0.run(sql, parameters, deadline: deadline) }
    }

    /// Runs `statements` in one round trip; all take effect or none, unless they contain BEGIN or COMMIT themselves.
    ///
    /// Always reads every answer, so the session is usable after an error, though it may be left inside a transaction
    /// that a BEGIN among the statements has opened: see ``rollback()``.
    ///
    /// - Parameters:
    ///   - statements: run in this order; what follows a failing one is skipped by the server.
    ///   - deadline: time for the whole exchange; when it passes, the session is closed.
    /// - Returns: one result per statement.
    /// - Throws: the first ``PostgresError``, with its `statementIndex`; `CancellationError` as in `query`.
    package nonisolated func pipeline(
        _ statements: [PostgresStatement],
        deadline: Duration? = nil
    ) async throws -> [PostgresResult] {
        try await self.interruptible { try $0.runPipeline(statements, deadline: deadline) }
    }

    /// Runs `body` between BEGIN and COMMIT; rolls back and rethrows if it throws.
    ///
    /// `body` runs on the session's thread without suspending, so nothing interleaves; keep other work out of it. Inside,
    /// use ``run(_:_:deadline:)`` and ``runPipeline(_:deadline:)``. When COMMIT fails by ``PostgresError/Code/connectionLost``,
    /// whether it took effect is unknown.
    ///
    /// - Parameters:
    ///   - isolation: SQL text; a constant of the program, never input.
    ///   - readOnly: whether the server refuses writes.
    ///   - body: what to do; must not catch a statement's error and carry on, as the transaction is dead by then.
    /// - Returns: what `body` returned, once committed.
    /// - Throws: what `body` threw; ``PostgresError`` of BEGIN or COMMIT; `CancellationError` as in `query`.
    package nonisolated func transaction<T: Sendable>(
        isolation: String = "READ COMMITTED",
        readOnly: Bool = false,
        _ body: @Sendable (isolated PostgresConnection) throws -> T
    ) async throws -> T {
        try await self.interruptible { connection in
            try connection.runTransaction("\(isolation) \(readOnly ? "READ ONLY" : "READ WRITE")", body)
        }
    }

    /// Leaves whatever transaction a failed pipeline has left open; does nothing outside one.
    ///
    /// Not affected by task cancellation, for it is what cancelled callers need. If it fails, the session is closed.
    package nonisolated func rollback() async { await self.leaveTransaction() }

    private nonisolated func interruptible<T: Sendable>(
        _ body: @Sendable (isolated PostgresConnection) throws -> T
    ) async throws -> T {
        let interruption = Interruption(wakeup: self.wakeup)
        return try await withTaskCancellationHandler {
            try await self.perform(interruption, body)
        } onCancel: {
            interruption.cancel()
        }
    }

    private func perform<T: Sendable>(
        _ interruption: Interruption,
        _ body: @Sendable (isolated PostgresConnection) throws -> T
    ) throws -> T {
        self.interruption = interruption
        defer { self.interruption = nil }
        return try body(self)
    }
}
