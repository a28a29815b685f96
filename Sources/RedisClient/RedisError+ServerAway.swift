extension RedisError {
    /// Whether the server cannot be used now, while a later attempt may succeed; for callers that ride out outages.
    ///
    /// A connection problem, or an error reply about the state of the server and not about the command. Such a reply says that
    /// the command did not run. A server out of memory (`OOM`) is not away: it refuses what grows and does the rest.
    package var isServerAway: Bool {
        if self.isConnectionProblem { return true }
        guard self.code == .server, let prefix = self.prefix else { return false }
        return Self.awayPrefixes.contains(prefix) || self.isTurnedAway
    }

    /// Whether the server has reached `maxmemory`, and refuses what grows.
    package var isFull: Bool { self.code == .server && self.prefix == "OOM" }

    private static let awayPrefixes: Set<String> = [
        // A replica, mostly a demoted primary. In a cluster it says MOVED instead.
        "READONLY", "MOVED",
        // It reads its data after a start, or waits for its own primary.
        "LOADING", "MASTERDOWN",
        // Cut off from the rest: the majority may have a new primary by now.
        "CLUSTERDOWN", "NOREPLICAS",
        // A blocking command that ended because the server became a replica.
        "UNBLOCKED",
        // It cannot write its files, or is held up by somebody's script. The connection is not to blame; waiting between
        // attempts is right all the same.
        "MISCONF", "BUSY",
    ]

    /// The server's one sentence before it hangs up on a connection too many.
    private var isTurnedAway: Bool { self.prefix == "ERR" && self.message.hasPrefix("max number of clients") }

    /// The same for a call that waited for this one's attempt and has itself sent nothing.
    var forOneThatWaited: RedisError {
        switch self.code {
        case .connectionLost, .timedOut, .protocolError:
            RedisError(.connectionFailed, prefix: self.prefix, self.message)
        case .server, .connectionFailed, .invalidConfiguration, .unexpectedReply, .tlsUnavailable: self
        }
    }
}
