import ThreadExecutor

/// One connection to Redis, used from one thread of its own.
///
/// Everything that touches hiredis is synchronous, so the replies of two callers cannot be mixed up. A call that waits for
/// the server is not interrupted by cancellation of its task; `commandTimeout` bounds it.
///
/// After any error of the connection it stays closed, and every further call throws `connectionLost`.
package actor RedisConnection {
    private let executor: ThreadExecutor
    private let configuration: RedisConfiguration
    private var handle = RedisHandle()

    /// The SHA of each script this connection has loaded, as told by the server.
    private var hashes: [RedisScript: String] = [:]

    package nonisolated var unownedExecutor: UnownedSerialExecutor { self.executor.asUnownedSerialExecutor() }

    /// Makes a connection that `open` has yet to establish.
    ///
    /// - Parameters:
    ///   - configuration: where to connect, and as whom.
    ///   - executor: the thread to use. Actors that share it can call each other without suspending.
    init(configuration: RedisConfiguration, executor: ThreadExecutor) {
        self.configuration = configuration
        self.executor = executor
    }

    /// Connects, authenticates and selects the database, on a new thread.
    ///
    /// - Throws: `connectionFailed`; with the server's `prefix` where it answered, as with a wrong password.
    package static func connect(_ configuration: RedisConfiguration) async throws(RedisError) -> RedisConnection {
        let connection = RedisConnection(configuration: configuration, executor: ThreadExecutor(name: "redis"))
        try await connection.open()
        return connection
    }

    /// Connects, authenticates and selects the database.
    ///
    /// - Throws: as `connect`.
    func open() throws(RedisError) {
        self.handle = try RedisHandle(connectingTo: self.configuration)
        if let password = self.configuration.password {
            let arguments = [self.configuration.user, password].compactMap(\.self)
            try self.greet("the user or password", ["AUTH"] + arguments)
        }
        if self.configuration.database != 0 {
            let database = String(self.configuration.database)
            try self.greet("database \(database)", ["SELECT", database])
        }
    }

    private func greet(_ what: String, _ arguments: [String]) throws(RedisError) {
        let reply: Result<RESPValue, RedisError>
        do throws(RedisError) {
            try self.handle.append(arguments)
            reply = try self.handle.readReply()
        } catch {
            // Nothing of a caller's was sent yet.
            throw RedisError(.connectionFailed, "Cannot connect to Redis at \(self.configuration): \(error.message)")
        }
        guard case .failure(let error) = reply else { return }
        self.handle.close()
        throw RedisError(
            .connectionFailed,
            prefix: error.prefix,
            "Redis at \(self.configuration) did not accept \(what): \(error.message)"
        )
    }

    /// Whether the connection has not failed or been closed yet.
    ///
    /// The server may still have gone away unnoticed.
    package var isUsable: Bool { self.handle.isOpen }

    /// Ends the connection once the calls before this one are done.
    ///
    /// May be called more than once.
    package func close() {
        self.handle.close()
    }

    /// Sends all requests in one write and reads their replies.
    ///
    /// This is not a transaction: other clients' commands may run in between, and a failing request does not stop those
    /// after it. Scripts the connection does not know yet are loaded first, in a round trip of their own. A script that
    /// the server has forgotten (`SCRIPT FLUSH`, failover) did not run; it is loaded again and only that request is
    /// repeated, once, after the others.
    ///
    /// - Returns: one result per request, in the order of the requests. The only failures are the server's errors.
    /// - Throws: `connectionLost`, `timedOut` or `protocolError`; then it is not known which requests have run.
    package func pipeline(
        _ requests: [RedisRequest]
    ) throws(RedisError) -> [Result<RESPValue, RedisError>] {
        var results = try self.exchange(requests)
        let forgotten = requests.indices.filter { index in
            guard requests[index].script != nil, case .failure(let error) = results[index] else { return false }
            return error.prefix == "NOSCRIPT"
        }
        guard !forgotten.isEmpty else { return results }
        // EVAL loads and runs in one step, so that another SCRIPT FLUSH cannot come in between. The SHA stays as it was.
        for index in forgotten {
            guard case .script(let script, let keys, let arguments) = requests[index] else { continue }
            try self.handle.append(["EVAL", script.source, String(keys.count)] + keys + arguments)
        }
        for index in forgotten { results[index] = try self.handle.readReply() }
        return results
    }

    private func exchange(_ requests: [RedisRequest]) throws(RedisError) -> [Result<RESPValue, RedisError>] {
        guard self.isUsable else { throw RedisError(.connectionLost, "The connection to Redis is closed") }
        let unloadable = try self.loadScripts(of: requests)
        for request in requests {
            switch request {
            case .command(let command):
                try self.handle.append(command.arguments)
            case .script(let script, let keys, let arguments):
                guard let hash = self.hashes[script] else { continue }
                try self.handle.append(["EVALSHA", hash, String(keys.count)] + keys + arguments)
            }
        }
        var results: [Result<RESPValue, RedisError>] = []
        results.reserveCapacity(requests.count)
        for request in requests {
            if let script = request.script, let error = unloadable[script] {
                results.append(.failure(error))
            } else {
                results.append(try self.handle.readReply())
            }
        }
        return results
    }

    /// Loads the scripts among `requests` that this connection has not loaded yet.
    ///
    /// - Returns: the server's error for each script it did not take; these are not to be run.
    private func loadScripts(of requests: [RedisRequest]) throws(RedisError) -> [RedisScript: RedisError] {
        let missing = Set(requests.compactMap(\.script)).subtracting(self.hashes.keys)
        for script in missing { try self.handle.append(["SCRIPT", "LOAD", script.source]) }
        var errors: [RedisScript: RedisError] = [:]
        for script in missing {
            switch try self.handle.readReply() {
            case .success(.string(let hash)):
                self.hashes[script] = hash
            case .success:
                errors[script] = RedisError(.unexpectedReply, "SCRIPT LOAD of \(script.name) returned no SHA")
            case .failure(let error):
                errors[script] = RedisError(error.code, prefix: error.prefix, "\(error.message) (\(script.name))")
            }
        }
        return errors
    }
}
