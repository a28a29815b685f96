import CHiredis
import Glibc

/// Owns a `redisContext`.
///
/// Any error of the context closes it for good: a late reply would otherwise answer the wrong command.
struct RedisHandle: ~Copyable {
    private var context: UnsafeMutablePointer<redisContext>?

    // hiredis writes with write(2). Without this, talking to a server that has gone away ends the process; with it, the
    // write fails with EPIPE like any other.
    private static let ignoreBrokenPipes: Void = {
        signal(SIGPIPE, SIG_IGN)
    }()

    /// A handle without a connection, as after `close`.
    init() {}

    /// Connects; blocks up to `connectTimeout`, and for the resolver before that.
    init(connectingTo configuration: RedisConfiguration) throws(RedisError) {
        _ = Self.ignoreBrokenPipes
        let timeout = timeval(configuration.connectTimeout)
        let context =
            switch configuration.address {
            case .tcp(let host, let port, tls: _): redisConnectWithTimeout(host, CInt(port), timeout)
            case .unix(let path): redisConnectUnixWithTimeout(path, timeout)
            }
        guard let context else { throw RedisError(.connectionFailed, "hiredis is out of memory") }
        self.context = context
        try self.prepare(context, configuration)
    }

    deinit {
        if let context { redisFree(context) }
    }

    var isOpen: Bool { self.context != nil }

    mutating func close() {
        if let context { redisFree(context) }
        self.context = nil
    }

    /// Sets up what `redisConnect…` returned, which is an error as often as a connection.
    private func prepare(
        _ context: UnsafeMutablePointer<redisContext>,
        _ configuration: RedisConfiguration
    ) throws(RedisError) {
        func failed(_ reason: String) -> RedisError {
            RedisError(.connectionFailed, "Cannot connect to Redis at \(configuration): \(reason)")
        }
        guard context.pointee.err == 0 else { throw failed(Self.message(context)) }
        // Otherwise hiredis gives its buffer back after each large reply and grows it again for the next.
        context.pointee.reader.pointee.maxbuf = 0
        guard redisSetTimeout(context, timeval(configuration.commandTimeout)) == REDIS_OK else {
            throw failed(Self.message(context))
        }
        guard case .tcp(let host, port: _, let tls) = configuration.address else { return }
        // Finds out about a peer that vanished without a word while the connection was idle.
        guard redisEnableKeepAlive(context) == REDIS_OK else { throw failed(Self.message(context)) }
        guard tls else { return }
        let reason = withUnsafeTemporaryAllocation(of: CChar.self, capacity: 256) { buffer -> String? in
            guard let start = buffer.baseAddress else { return "out of memory" }
            return ebb_redis_start_tls(context, host, start, 256) == REDIS_OK ? nil : String(cString: start)
        }
        if let reason { throw failed("TLS: \(reason)") }
    }

    /// Queues a command; the next `readReply` sends all that is queued.
    mutating func append(_ arguments: [String]) throws(RedisError) {
        guard let context else { throw Self.notConnected }
        var bytes: [UInt8] = []
        bytes.reserveCapacity(arguments.reduce(0) { $0 + $1.utf8.count })
        var lengths: [Int] = []
        lengths.reserveCapacity(arguments.count)
        for argument in arguments {
            bytes.append(contentsOf: argument.utf8)
            lengths.append(argument.utf8.count)
        }
        let status = bytes.withUnsafeBytes { buffer in
            var next = buffer.baseAddress?.assumingMemoryBound(to: CChar.self)
            var pointers = lengths.map { length in
                defer { next = next?.advanced(by: length) }
                return next
            }
            return redisAppendCommandArgv(context, CInt(pointers.count), &pointers, lengths)
        }
        if status != REDIS_OK { throw self.fail(context, errno: 0) }
    }

    /// Sends what is queued and waits for the next reply.
    mutating func readReply() throws(RedisError) -> Result<RESPValue, RedisError> {
        guard let context else { throw Self.notConnected }
        var reply: UnsafeMutableRawPointer?
        let status = redisGetReply(context, &reply)
        let cause = errno
        guard status == REDIS_OK, let reply else { throw self.fail(context, errno: cause) }
        return RedisReply(owning: reply.assumingMemoryBound(to: redisReply.self)).result()
    }

    /// Closes the connection and says why.
    private mutating func fail(_ context: UnsafeMutablePointer<redisContext>, errno cause: CInt) -> RedisError {
        let error =
            switch context.pointee.err {
            case REDIS_ERR_IO where cause == EAGAIN || cause == EWOULDBLOCK:
                RedisError(.timedOut, "Redis did not answer within the command timeout")
            case REDIS_ERR_PROTOCOL:
                RedisError(.protocolError, "Redis sent something that is not RESP2: \(Self.message(context))")
            default:
                RedisError(.connectionLost, "The connection to Redis was lost: \(Self.message(context))")
            }
        self.close()
        return error
    }

    private static var notConnected: RedisError { RedisError(.connectionLost, "The connection to Redis is closed") }

    private static func message(_ context: UnsafeMutablePointer<redisContext>) -> String {
        withUnsafeBytes(of: &context.pointee.errstr) { String(decoding: $0.prefix { $0 != 0 }, as: UTF8.self) }
    }
}

extension timeval {
    fileprivate init(_ duration: Duration) {
        let (seconds, attoseconds) = duration.components
        self.init(tv_sec: Int(seconds), tv_usec: Int(attoseconds / 1_000_000_000_000))
    }
}
