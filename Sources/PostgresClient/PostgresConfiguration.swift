import CLibPQ

/// Where the database is and how this program introduces itself.
package struct PostgresConfiguration: Sendable {
    /// The connection URI or key=value list, as libpq reads it.
    ///
    /// May hold a password: never log it. Immutable, because it has been checked. A `connect_timeout` in it has no effect; see ``connectTimeout``.
    package let url: String
    /// What `pg_stat_activity` shows; overrides the one in `url`.
    package var applicationName: String
    /// How long one attempt to connect may take, over all hosts in `url`.
    ///
    /// Name resolution blocks and is not included.
    package var connectTimeout: Duration
    /// The deadline of calls that give none; nil waits for ever.
    ///
    /// Behind a pooler or load balancer that hangs, TCP's own keepalive sees nothing wrong with a silent connection.
    package var patience: Duration?

    private let summary: String

    /// Checks the connection string, which may be a URI for pgx, without connecting.
    ///
    /// - Throws: ``PostgresError/Code/invalidConfiguration`` with one sentence that quotes nothing of `url` but, at most, a
    ///   parameter's name.
    package init(
        url: String,
        applicationName: String,
        connectTimeout: Duration = .seconds(10),
        patience: Duration? = nil
    ) throws(PostgresError) {
        // libpq would fall back to its environment variables and to a socket, which nobody means by an empty setting.
        guard !url.isEmpty else { throw PostgresError(.invalidConfiguration, "the database URL is empty") }
        let understood = try PgxConnectionURI.forLibpq(url)
        let options = try Self.parse(understood)
        try Self.checkHost(options["host"])
        try Self.checkPort(options["port"])
        self.url = understood
        self.applicationName = applicationName
        self.connectTimeout = connectTimeout
        self.patience = patience
        self.summary = ["host", "port", "dbname", "user"]
            .compactMap { key in options[key].map { "\(key)=\($0)" } }
            .joined(separator: " ")
    }

    private static func parse(_ url: String) throws(PostgresError) -> [String: String] {
        var errorText: UnsafeMutablePointer<CChar>?
        defer { PQfreemem(errorText) }
        guard let first = PQconninfoParse(url, &errorText) else {
            // The quoted part of libpq's message may be a piece of the password; what stands before it is constant.
            let text = errorText.map { String(cString: $0) } ?? "out of memory"
            let safe = text.prefix { $0 != "\"" && $0 != ":" && !$0.isNewline }
            let reason = safe.hasPrefix("missing") ? "a key without a value" : String(safe).trimmed
            throw PostgresError(
                .invalidConfiguration,
                "the database URL is neither a postgresql:// URI nor a key=value list (\(reason))"
            )
        }
        defer { PQconninfoFree(first) }
        var options: [String: String] = [:]
        var option = first
        while let keyword = option.pointee.keyword {
            if let value = option.pointee.val { options[String(cString: keyword)] = String(cString: value) }
            option += 1
        }
        return options
    }

    // libpq looks at the two below only while connecting, and then quotes them. In a URI whose password has an unescaped
    // "@" or "/" they are pieces of that password.

    private static func checkHost(_ host: String?) throws(PostgresError) {
        guard let host, host.dropFirst().contains("@") else { return }
        throw PostgresError(
            .invalidConfiguration,
            "the host in the database URL contains \"@\"; in a password, write it as %40"
        )
    }

    private static func checkPort(_ port: String?) throws(PostgresError) {
        guard let port, !port.isEmpty else { return }
        for part in port.split(separator: ",") where !(1...65_535).contains(Int(part) ?? 0) {
            throw PostgresError(
                .invalidConfiguration,
                "the port in the database URL is not a number from 1 to 65535; in a password, write \"/\" as %2F"
            )
        }
    }
}

extension PostgresConfiguration: CustomStringConvertible, CustomReflectable {
    /// Host, port, database and user, as far as the connection string names them.
    package var description: String { self.summary }

    /// Keeps the password out of `dump` and of the default printing of types that contain this one.
    package var customMirror: Mirror { Mirror(self, children: ["summary": self.summary]) }
}
