import CLibPQ
import Glibc

extension PostgresConnection {
    /// Opens a session on a new thread.
    ///
    /// - Throws: ``PostgresError/Code/connectionFailed``, also when `connectTimeout` passes; `CancellationError`.
    package static func connect(_ configuration: PostgresConfiguration) async throws -> PostgresConnection {
        let connection = try PostgresConnection(configuration: configuration)
        let interruption = Interruption(wakeup: connection.wakeup)
        try await withTaskCancellationHandler {
            try await connection.open(interruption)
        } onCancel: {
            interruption.cancel()
        }
        return connection
    }

    private func open(_ interruption: Interruption) throws {
        if interruption.isCancelled { throw CancellationError() }
        do {
            let pointer = try self.start()
            try self.finishConnecting(pointer, interruption)
            try self.prepareSession(pointer)
        } catch {
            self.close()
            throw error
        }
    }

    private func start() throws(PostgresError) -> OpaquePointer {
        let seconds = max(1, Int(self.configuration.connectTimeout.components.seconds))
        // Of the repeated keywords libpq takes the last: what stands before `dbname` is a default that the URL may
        // change. Only `application_name` is sent to the server; poolers refuse start-up parameters they do not know.
        // The socket options let a dead peer be noticed in about a minute, and bound the connection of a cancel request.
        let parameters = [
            ("keepalives_idle", "30"),
            ("keepalives_interval", "10"),
            ("keepalives_count", "3"),
            ("tcp_user_timeout", "\(seconds * 1000)"),
            ("dbname", self.configuration.url),
            ("application_name", self.configuration.applicationName),
        ]
        let keywords = PostgresStatement("", parameters.map(\.0) + [nil])
        let values = PostgresStatement("", parameters.map(\.1) + [nil])
        let started = keywords.withCParameters { keywords in
            values.withCParameters { values in PQconnectStartParams(keywords, values, 1) }
        }
        guard let pointer = started else { throw PostgresError(.connectionFailed, "libpq is out of memory") }
        self.handle.adopt(pointer)
        guard PQstatus(pointer) != CONNECTION_BAD else { throw ConnectFailure.error(of: pointer) }
        // Only the verbose form has the SQLSTATE in it, for which libpq offers no function while connecting.
        PQsetErrorVerbosity(pointer, PQERRORS_VERBOSE)
        return pointer
    }

    private func finishConnecting(_ pointer: OpaquePointer, _ interruption: Interruption) throws {
        let deadline = Deadline(self.configuration.connectTimeout)
        var events = POLLOUT
        while true {
            let ready = try self.wakeup.wait(for: CInt(events), on: PQsocket(pointer), until: deadline)
            if interruption.isCancelled { throw CancellationError() }
            if deadline.hasPassed {
                throw PostgresError(.connectionFailed, "no session within \(self.configuration.connectTimeout)")
            }
            if ready == 0 { continue }
            switch PQconnectPoll(pointer) {
            case PGRES_POLLING_OK: return
            case PGRES_POLLING_READING: events = POLLIN
            case PGRES_POLLING_WRITING: events = POLLOUT
            default: throw ConnectFailure.error(of: pointer)
            }
        }
    }

    private func prepareSession(_ pointer: OpaquePointer) throws(PostgresError) {
        guard PQsetnonblocking(pointer, 1) == 0 else { throw ConnectFailure.error(of: pointer) }
        // Set by neither us nor, as a rule, the URL: the server's own. SQL_ASCII passes bytes through unchanged.
        let encoding = PQparameterStatus(pointer, "client_encoding").map { String(cString: $0) } ?? "UTF8"
        guard ["UTF8", "SQL_ASCII"].contains(encoding) else {
            throw PostgresError(
                .invalidConfiguration,
                "the session's text encoding is \(encoding); add client_encoding=UTF8 to the database URL"
            )
        }
        // Start-up chatter belongs to no statement.
        _ = self.handle.notices.drain()
        self.recordSession(of: pointer)
    }
}
