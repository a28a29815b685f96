import CLibPQ
import Glibc

extension PostgresConnection {
    /// How long to wait before asking again for a cancellation that had no effect.
    ///
    /// The server ignores a request that overtakes its statement on the way, as it may through a pooler.
    private static let cancelRepeat = Duration.milliseconds(250)

    /// How long a cancelled call waits for the server to say so, before it closes the session.
    ///
    /// A healthy server answers at once; one that is silent must not keep a program from ending.
    private static let cancelPatience = Duration.seconds(5)

    /// Reads the answer to one statement, to its end.
    func readSingle(from pointer: OpaquePointer, until deadline: Deadline) throws(PostgresError) -> PostgresResult {
        var outcome: Result<PostgresResult, PostgresError>?
        while let result = try self.nextResult(from: pointer, until: deadline) {
            let decoded = try self.decode(result, statementIndex: 0)
            outcome = outcome ?? decoded
        }
        guard let outcome else { throw PostgresError(.unexpectedResult, "the server sent no answer") }
        return try outcome.get()
    }

    /// Reads the answers to a pipeline up to its sync point; the first error is the only one that says what went wrong.
    ///
    /// - Returns: the results, or the first error, after which the session is usable.
    /// - Throws: an error that makes the session unusable.
    func readPipeline(
        from pointer: OpaquePointer,
        until deadline: Deadline
    ) throws(PostgresError) -> Result<[PostgresResult], PostgresError> {
        var results: [PostgresResult] = []
        var failure: Result<PostgresResult, PostgresError>?
        var index = 0
        while true {
            guard let result = try self.nextResult(from: pointer, until: deadline) else {
                // Nothing more for this statement.
                index += 1
                continue
            }
            if result.status == PGRES_PIPELINE_SYNC { break }
            // Skipped by the server because of `failure`.
            if result.status == PGRES_PIPELINE_ABORTED { continue }
            switch try self.decode(result, statementIndex: index) {
            case .success(let value): results.append(value)
            case .failure(let error): failure = failure ?? .failure(error)
            }
        }
        if case .failure(let error) = failure { return .failure(error) }
        return .success(results)
    }

    private func decode(
        _ result: borrowing ResultHandle,
        statementIndex: Int
    ) throws(PostgresError) -> Result<PostgresResult, PostgresError> {
        switch result.status {
        case PGRES_TUPLES_OK, PGRES_COMMAND_OK, PGRES_EMPTY_QUERY:
            return .success(result.copyOut(notices: self.handle.notices.drain()))
        case PGRES_FATAL_ERROR, PGRES_NONFATAL_ERROR, PGRES_BAD_RESPONSE:
            let error = result.error(statementIndex: statementIndex)
            if error.code == .connectionLost { throw error }
            return .failure(error)
        default:
            throw PostgresError(.unexpectedResult, "COPY is not supported", statementIndex: statementIndex)
        }
    }

    /// The next result, or nil at the end of a statement's results.
    private func nextResult(
        from pointer: OpaquePointer,
        until deadline: Deadline
    ) throws(PostgresError) -> ResultHandle? {
        try self.waitForResult(pointer, until: deadline)
        guard let result = PQgetResult(pointer) else { return nil }
        return ResultHandle(takingOwnership: result)
    }

    /// Sends and receives until `PQgetResult` would not block.
    ///
    /// Reading while output is still queued is what keeps client and server from each waiting for the other to drain its
    /// buffer; and a result that is ready is taken before more is sent.
    private func waitForResult(_ pointer: OpaquePointer, until deadline: Deadline) throws(PostgresError) {
        var nextCancel: Deadline?
        var deadline = deadline
        while true {
            let unsent = PQflush(pointer)
            if PQisBusy(pointer) == 0 { return }
            if unsent < 0 || PQstatus(pointer) == CONNECTION_BAD { throw self.protocolError(of: pointer) }
            if deadline.hasPassed { throw PostgresError(.timedOut, "the client's deadline passed") }
            if self.interruption?.isCancelled == true, nextCancel?.hasPassed ?? true {
                if nextCancel == nil { deadline = deadline.earlier(Deadline(Self.cancelPatience)) }
                self.handle.requestCancel()
                nextCancel = Deadline(Self.cancelRepeat)
            }
            let ready = try self.wakeup.wait(
                for: CInt(unsent == 1 ? POLLIN | POLLOUT : POLLIN),
                on: PQsocket(pointer),
                until: nextCancel.map { deadline.earlier($0) } ?? deadline
            )
            // A server that ends the session says why before it hangs up: the reason may be among what was read before.
            if ready & CInt(POLLIN | POLLHUP | POLLERR) != 0, PQconsumeInput(pointer) == 0, PQisBusy(pointer) == 1 {
                throw self.protocolError(of: pointer)
            }
        }
    }

    /// What libpq says about the connection as a whole.
    func protocolError(of pointer: OpaquePointer) -> PostgresError {
        let message = String(cString: PQerrorMessage(pointer)).firstLine
        let lost = PQstatus(pointer) == CONNECTION_BAD
        return PostgresError(lost ? .connectionLost : .unexpectedResult, message.isEmpty ? "no reason given" : message)
    }
}
