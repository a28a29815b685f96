import ThreadExecutor

/// A Redis connection that is made when first needed and again after a loss.
///
/// Calls may come from many tasks; they run one after another on one connection and one thread, so a blocking command
/// (`BLPOP`, `XREADGROUP BLOCK`) holds up the others and belongs in a client of its own, with a `commandTimeout` longer
/// than the time it blocks.
///
/// Connecting: a call that finds no connection makes one attempt and throws if that fails. After a failure or a loss the
/// attempt first waits for what is left of the backoff: 50 ms, doubled by each failure in a row up to `maxBackoff`, the
/// second half of it at random so that many clients do not come back at once. Calls that wait together share the attempt
/// and its error. Cancelling the task ends that wait with `CancellationError`, but not a call the server is answering.
///
/// A reply that says that this server cannot be used now (`READONLY`, `LOADING`; see `RedisError.isServerAway`) counts as a
/// loss: the caller gets it, the connection is dropped, and the next call makes a new one, since a name or a proxy may lead
/// to another server by then.
///
/// Nothing is ever sent twice, apart from a script the server has forgotten and so has not run. After `connectionLost`,
/// `timedOut` and `protocolError` it is not known whether the commands ran; the caller decides whether to repeat them.
package actor RedisClient {
    private static let initialBackoff = Duration.milliseconds(50)

    private let configuration: RedisConfiguration

    // Shared with the connection. So all from taking the connection to the last reply is one synchronous step, and two
    // callers cannot both connect.
    private let executor = ThreadExecutor(name: "redis")

    private var connection: RedisConnection?
    private var closed = false

    /// Failed attempts and losses since the last call that a usable server answered.
    private var failures = 0
    private var lastFailure: RedisError?
    private var nextAttempt = ContinuousClock.now

    package nonisolated var unownedExecutor: UnownedSerialExecutor { self.executor.asUnownedSerialExecutor() }

    /// Makes a client; the first call connects.
    package init(configuration: RedisConfiguration) {
        self.configuration = configuration
    }

    /// Sends one command, given as its words, and returns its reply.
    ///
    /// - Throws: as `send` of a `RedisCommand`.
    package func send(_ arguments: String...) async throws -> RESPValue {
        try await self.send(RedisCommand(arguments))
    }

    /// Sends one command and returns its reply.
    ///
    /// - Throws: `RedisError.server` for an error reply; otherwise as `pipeline`.
    package func send(_ command: RedisCommand) async throws -> RESPValue {
        try await self.only(.command(command))
    }

    /// Runs a script and returns its reply; the server is sent the text only if this connection has not sent it yet.
    ///
    /// - Throws: `RedisError.server` for an error reply, also where the script cannot be compiled; otherwise as `pipeline`.
    package func evaluate(_ script: RedisScript, keys: [String], arguments: [String]) async throws -> RESPValue {
        try await self.only(.script(script, keys: keys, arguments: arguments))
    }

    /// Sends all requests in one write and reads their replies.
    ///
    /// Not a transaction: other clients' commands may run in between, and a failing request does not stop those after it.
    ///
    /// - Returns: one result per request, in their order. A failed one holds the server's error.
    /// - Throws: `connectionFailed` when nothing was sent, or the server's error when a call that this one waited for found
    ///   the server away; `connectionLost`, `timedOut` or `protocolError` when the connection broke with some requests
    ///   perhaps done, which is not retried; `CancellationError` from waiting to reconnect.
    package func pipeline(_ requests: [RedisRequest]) async throws -> [Result<RESPValue, RedisError>] {
        guard !requests.isEmpty else { return [] }
        try await self.waitForBackoff()
        return try self.exchange(requests)
    }

    /// Ends the connection once the calls before this one are done.
    ///
    /// Later calls throw `connectionLost`.
    package func close() {
        self.closed = true
        self.connection?.assumeIsolated { $0.close() }
        self.connection = nil
    }

    private func only(_ request: RedisRequest) async throws -> RESPValue {
        let results = try await self.pipeline([request])
        guard let result = results.first else { throw RedisError(.unexpectedReply, "Redis sent no reply") }
        return try result.get()
    }

    /// Returns at once with a connection, else when the next attempt to make one is due.
    private func waitForBackoff() async throws {
        while self.connection == nil && !self.closed && .now < self.nextAttempt {
            let before = self.failures
            try await Task.sleep(until: self.nextAttempt)
            // Another call has spent the attempt this one was waiting for. Each making one of its own, a hundred calls would
            // wait for minutes while a proxy has no server behind it, or the server loads its data.
            if self.failures > before, let lastFailure { throw lastFailure.forOneThatWaited }
        }
    }

    // Not async: see `executor`.
    private func exchange(_ requests: [RedisRequest]) throws -> [Result<RESPValue, RedisError>] {
        guard !self.closed else { throw RedisError(.connectionLost, "This Redis client is closed") }
        do {
            let connection = try self.connection ?? self.connect()
            self.connection = connection
            let results = try connection.assumeIsolated { try $0.pipeline(requests) }
            if let error = Self.serverAway(results) { self.drop(error) } else { self.failures = 0 }
            return results
        } catch {
            self.drop(error)
            throw error
        }
    }

    private static func serverAway(_ results: [Result<RESPValue, RedisError>]) -> RedisError? {
        for case .failure(let error) in results where error.isServerAway { return error }
        return nil
    }

    private func drop(_ error: any Error) {
        self.connection?.assumeIsolated { $0.close() }
        self.connection = nil
        self.failures += 1
        self.lastFailure = error as? RedisError
        self.nextAttempt = .now + self.backoff()
    }

    private func connect() throws -> RedisConnection {
        let connection = RedisConnection(configuration: self.configuration, executor: self.executor)
        try connection.assumeIsolated { try $0.open() }
        return connection
    }

    private func backoff() -> Duration {
        // The exponent is bounded so that the product cannot overflow; 2^16 times 50 ms is most of an hour.
        let full = min(Self.initialBackoff * (1 << min(self.failures - 1, 16)), self.configuration.maxBackoff)
        return full * Double.random(in: 0.5...1)
    }
}
