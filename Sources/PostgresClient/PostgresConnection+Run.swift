import CLibPQ

extension PostgresConnection {
    /// Runs one statement from inside a ``transaction(isolation:readOnly:_:)`` body.
    ///
    /// - Parameters:
    ///   - sql: exactly one statement.
    ///   - parameters: values of `$1`, `$2`, … as text; nil is NULL.
    ///   - deadline: time from now; when it passes, the session is closed.
    /// - Returns: all rows, copied.
    /// - Throws: ``PostgresError``; `CancellationError` if the enclosing call's task was cancelled.
    @discardableResult
    package func run(
        _ sql: String,
        _ parameters: [String?] = [],
        deadline: Duration? = nil
    ) throws -> PostgresResult {
        let statement = PostgresStatement(sql, parameters)
        try statement.validate(index: 0)
        let pointer = try self.ready()
        do throws(PostgresError) {
            try self.send(statement, to: pointer)
            return try self.readSingle(from: pointer, until: Deadline(deadline ?? self.configuration.patience))
        } catch {
            throw self.settle(error)
        }
    }

    /// Runs statements in one round trip from inside a ``transaction(isolation:readOnly:_:)`` body.
    ///
    /// - Parameters:
    ///   - statements: as for ``pipeline(_:deadline:)``.
    ///   - deadline: time for the whole exchange; when it passes, the session is closed.
    /// - Returns: one result per statement.
    /// - Throws: the first ``PostgresError``, with its `statementIndex`; `CancellationError` as in `run`.
    @discardableResult
    package func runPipeline(
        _ statements: [PostgresStatement],
        deadline: Duration? = nil
    ) throws -> [PostgresResult] {
        for (index, statement) in statements.enumerated() { try statement.validate(index: index) }
        let pointer = try self.ready()
        guard !statements.isEmpty else { return [] }
        do throws(PostgresError) {
            guard PQenterPipelineMode(pointer) == 1 else { throw self.protocolError(of: pointer) }
            for statement in statements { try self.send(statement, to: pointer) }
            guard PQpipelineSync(pointer) == 1 else { throw self.protocolError(of: pointer) }
            let outcome = try self.readPipeline(from: pointer, until: Deadline(deadline ?? self.configuration.patience))
            guard PQexitPipelineMode(pointer) == 1 else { throw self.protocolError(of: pointer) }
            return try outcome.get()
        } catch {
            throw self.settle(error)
        }
    }

    /// The open connection, if the current call may still use it.
    private func ready() throws -> OpaquePointer {
        if self.interruption?.isCancelled == true { throw CancellationError() }
        guard let pointer = self.handle.pointer else {
            throw PostgresError(.connectionLost, "the session is closed")
        }
        // What arrived since the last statement belongs to none.
        _ = self.handle.notices.drain()
        return pointer
    }

    private func send(_ statement: PostgresStatement, to pointer: OpaquePointer) throws(PostgresError) {
        let sent = statement.withCParameters { values in
            PQsendQueryParams(pointer, statement.sql, CInt(statement.parameters.count), nil, values, nil, nil, 0)
        }
        guard sent == 1 else { throw self.protocolError(of: pointer) }
    }

    /// Decides what a failure means for the session, and what the caller gets to see.
    private func settle(_ error: PostgresError) -> any Error {
        if error.code == .timedOut { self.handle.requestCancel() }
        // Anything but a refused statement leaves the protocol in an unknown state.
        if error.code != .server { self.close() }
        let isOver = error.sqlState == .queryCanceled || error.code == .timedOut
        if isOver, self.interruption?.isCancelled == true { return CancellationError() }
        return error
    }
}
