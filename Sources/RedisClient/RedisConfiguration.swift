import CHiredis

/// Where Redis is, who we are there, and how long to wait.
package struct RedisConfiguration: Sendable {
    enum Address: Sendable, Equatable {
        case tcp(host: String, port: Int, tls: Bool)
        case unix(path: String)
    }

    let address: Address
    let user: String?
    let password: String?
    let database: Int

    /// How long a connection attempt may take, not counting the name's resolution.
    package let connectTimeout: Duration

    /// How long to wait for the server to take or send the next bytes; longer than any server-side `BLOCK`.
    ///
    /// Not a limit for a whole pipeline, which may take longer as long as replies keep coming.
    package let commandTimeout: Duration

    /// The longest wait between two attempts to connect.
    package let maxBackoff: Duration

    /// Whether `rediss://` can be used: the installed hiredis is 1.0 or newer and its TLS library is there.
    package static var supportsTLS: Bool { ebb_redis_has_tls() != 0 }

    /// Reads a configuration from a URL.
    ///
    /// - Parameters:
    ///   - url: `redis://[[user]:password@]host[:port][/database]`, `rediss://…` for the same with TLS, or
    ///     `unix://[[user]:password@]/path/to/socket[?db=database]`. User, password and path are percent-decoded. The
    ///     port is 6379 and the database 0 unless given.
    ///   - connectTimeout: see the property; must be positive, as the others.
    ///   - commandTimeout: see the property.
    ///   - maxBackoff: see the property.
    /// - Throws: `invalidConfiguration` with a sentence that holds no part of the URL but its scheme, as any other could
    ///   be a misplaced password; `tlsUnavailable`.
    package init(
        url: String,
        connectTimeout: Duration = .seconds(5),
        commandTimeout: Duration = .seconds(10),
        maxBackoff: Duration = .seconds(2)
    ) throws(RedisError) {
        guard min(connectTimeout, commandTimeout, maxBackoff) >= .milliseconds(1) else {
            throw RedisError(.invalidConfiguration, "Redis timeouts and the longest backoff must be 1 ms or more")
        }
        let parts = try RedisURL(url)
        if case .tcp(host: _, port: _, tls: true) = parts.address, !Self.supportsTLS {
            let version = "\(HIREDIS_MAJOR).\(HIREDIS_MINOR).\(HIREDIS_PATCH)"
            throw RedisError(
                .tlsUnavailable,
                "rediss:// needs hiredis 1.0 or newer with TLS; this build has \(version): "
                    + "use redis:// on a private network, a unix socket or a TLS tunnel"
            )
        }
        self.address = parts.address
        self.user = parts.user
        self.password = parts.password
        self.database = parts.database
        self.connectTimeout = connectTimeout
        self.commandTimeout = commandTimeout
        self.maxBackoff = maxBackoff
    }
}

extension RedisConfiguration: CustomStringConvertible, CustomDebugStringConvertible, CustomReflectable {
    /// The address and database as a URL, without user and password.
    package var description: String {
        switch self.address {
        case .tcp(let host, let port, let tls):
            let host = host.contains(":") ? "[\(host)]" : host
            return "\(tls ? "rediss" : "redis")://\(host):\(port)" + (self.database == 0 ? "" : "/\(self.database)")
        case .unix(let path):
            return "unix://\(path)" + (self.database == 0 ? "" : "?db=\(self.database)")
        }
    }

    package var debugDescription: String { self.description }

    // Without this, `dump` and a failed test's message would show the password.
    package var customMirror: Mirror { Mirror(self, children: ["url": self.description]) }
}
