/// The parts of a Redis URL.
///
/// Its errors quote the scheme and nothing else: with a `/` or `@` left as it is in a password, any part may hold a piece
/// of it.
struct RedisURL {
    private(set) var address: RedisConfiguration.Address
    private(set) var user: String?
    private(set) var password: String?
    private(set) var database = 0

    private static let accepted =
        "redis://[[user]:password@]host[:port][/database], rediss://… or unix://[[user]:password@]/path[?db=database]"

    init(_ url: String) throws(RedisError) {
        guard let separator = url.firstRange(of: "://") else {
            throw Self.invalid("has no scheme; accepted are \(Self.accepted)")
        }
        let scheme = url[..<separator.lowerBound].lowercased()
        let rest = url[separator.upperBound...]
        let authority = rest.prefix { $0 != "/" && $0 != "?" }
        let tail = rest[authority.endIndex...]
        let at = authority.lastIndex(of: "@")
        let host = at.map { authority[authority.index(after: $0)...] } ?? authority

        switch scheme {
        case "redis", "rediss":
            self.address = try Self.tcp(host, tls: scheme == "rediss")
            self.database = try Self.database(ofPath: tail)
        case "unix":
            guard host.isEmpty else {
                throw Self.invalid("has a host; a unix socket is unix:///path, with three slashes")
            }
            let path = tail.prefix { $0 != "?" }
            self.address = .unix(path: try Self.socketPath(path))
            self.database = try Self.database(ofQuery: tail[path.endIndex...])
        default:
            throw Self.invalid("has the scheme \"\(scheme)\"; accepted are \(Self.accepted)")
        }
        if let at { try self.setCredentials(authority[..<at]) }
    }

    private mutating func setCredentials(_ text: Substring) throws(RedisError) {
        guard let colon = text.firstIndex(of: ":") else {
            throw Self.invalid("has a user without a password; write user:password@ or :password@")
        }
        let user = try Self.decoded(text[..<colon], "user")
        let password = try Self.decoded(text[text.index(after: colon)...], "password")
        guard !password.isEmpty else { throw Self.invalid("has an empty password; leave it out together with the @") }
        self.user = user.isEmpty ? nil : user
        self.password = password
    }

    private static func tcp(_ text: Substring, tls: Bool) throws(RedisError) -> RedisConfiguration.Address {
        let host: Substring
        let rest: Substring
        if text.hasPrefix("["), let end = text.firstIndex(of: "]") {
            host = text[text.index(after: text.startIndex)..<end]
            rest = text[text.index(after: end)...]
        } else {
            host = text.prefix { $0 != ":" }
            rest = text[host.endIndex...]
        }
        guard !host.isEmpty, host.allSatisfy({ $0.isASCII && ($0.isLetter || $0.isNumber || "-._:".contains($0)) })
        else {
            throw Self.invalid("has no usable host; a name, an IPv4 address or [an IPv6 address] is accepted")
        }
        if rest.isEmpty { return .tcp(host: String(host), port: 6379, tls: tls) }
        guard rest.hasPrefix(":"), let port = Self.number(rest.dropFirst()), (1...65_535).contains(port) else {
            throw Self.invalid(
                "has an unusable port; 1 to 65535 is accepted, and in a password / and @ are written %2F and %40"
            )
        }
        return .tcp(host: String(host), port: port, tls: tls)
    }

    private static func socketPath(_ text: Substring) throws(RedisError) -> String {
        let path = try Self.decoded(text, "path")
        guard path.hasPrefix("/"), path != "/" else {
            throw Self.invalid("has no socket path; write unix:///path/to/redis.sock")
        }
        // hiredis would cut off the rest and try another file.
        guard path.utf8.count <= 107 else {
            throw Self.invalid("has a socket path of \(path.utf8.count) bytes; the system accepts 107")
        }
        return path
    }

    private static func database(ofPath path: Substring) throws(RedisError) -> Int {
        if path.isEmpty || path == "/" { return 0 }
        guard path.hasPrefix("/"), let database = Self.number(path.dropFirst()) else {
            throw Self.invalid(
                "has something other than a database number after the host; /0, /1, … is accepted, "
                    + "and in a password / and @ are written %2F and %40"
            )
        }
        return database
    }

    private static func database(ofQuery query: Substring) throws(RedisError) -> Int {
        if query.isEmpty { return 0 }
        guard query.hasPrefix("?db="), let database = Self.number(query.dropFirst(4)) else {
            throw Self.invalid("has an unknown option after the socket path; ?db=0, ?db=1, … is accepted")
        }
        return database
    }

    /// A number of plain digits; `Int` alone would take a sign as well.
    private static func number(_ text: Substring) -> Int? {
        text.allSatisfy { ("0"..."9").contains($0) } ? Int(text) : nil
    }

    private static func decoded(_ text: Substring, _ part: String) throws(RedisError) -> String {
        var bytes: [UInt8] = []
        var rest = Substring(text).utf8
        while let byte = rest.popFirst() {
            guard byte == UInt8(ascii: "%") else {
                bytes.append(byte)
                continue
            }
            let digits = rest.prefix(2)
            guard digits.count == 2, !digits.contains(UInt8(ascii: "+")), !digits.contains(UInt8(ascii: "-")),
                let value = UInt8(Substring(digits), radix: 16)
            else {
                throw Self.invalid("has a % in its \(part) that is not followed by two hex digits; a % is written %25")
            }
            bytes.append(value)
            rest = rest.dropFirst(2)
        }
        guard let decoded = String(validating: bytes, as: UTF8.self), !bytes.contains(0) else {
            throw Self.invalid("has a \(part) that is not UTF-8 text")
        }
        return decoded
    }

    private static func invalid(_ problem: String) -> RedisError {
        RedisError(.invalidConfiguration, "The Redis URL \(problem)")
    }
}
