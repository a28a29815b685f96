import CLibPQ

/// Makes a connection URI that was written for Go's pgx, such as Distr's, one that libpq takes.
///
/// pgx keeps some parameters to itself and sends those that it does not know to the server, as settings of the session;
/// libpq refuses both. Such settings are read as pgx reads them: "+" is a space, and of those that are repeated the first counts.
/// All else is as in libpq.
enum PgxConnectionURI {
    /// How pgx works and pools, and what a libpq that does not know it can do without.
    private static let dispensable: Set<String> = [
        "default_query_exec_mode", "description_cache_capacity", "krbspn", "max_protocol_version",
        "min_read_buffer_size", "pool_health_check_period", "pool_max_conn_idle_time", "pool_max_conn_lifetime",
        "pool_max_conn_lifetime_jitter", "pool_max_conns", "pool_min_conns", "pool_min_idle_conns", "pool_ping_timeout",
        "sslnegotiation", "statement_cache_capacity",
    ]

    /// The URI for libpq; what is no URI, and what libpq is to refuse, stays as it is.
    ///
    /// - Throws: ``PostgresError/Code/invalidConfiguration`` with one sentence that holds no value.
    static func forLibpq(_ url: String) throws(PostgresError) -> String {
        guard let scheme = ["postgres://", "postgresql://"].first(where: { url.hasPrefix($0) }) else { return url }
        let bytes = Array(url.utf8)
        var rest = bytes[scheme.utf8.count...]
        // For libpq, an "@" before any "/" ends user and password, which may hold a "?".
        if let end = rest.firstIndex(where: { "@/".utf8.contains($0) }), rest[end] == UInt8(ascii: "@") {
            rest = rest[end...]
        }
        guard let mark = rest.firstIndex(of: UInt8(ascii: "?")) else { return url }
        let query = rest[mark...].dropFirst()
        let defaults = try Self.defaults()
        var kept: [String] = []
        var options: String?
        var settings: [String] = []
        var names: Set<String> = []
        for item in query.split(separator: UInt8(ascii: "&")) {
            let parts = item.split(separator: UInt8(ascii: "="), maxSplits: 1, omittingEmptySubsequences: false)
            guard parts.count == 2, let name = Self.decoded(parts[0]), let value = Self.decoded(parts[1], plus: " ")
            else {
                kept.append(String(decoding: item, as: UTF8.self))
                continue
            }
            let keyword = String(decoding: name, as: UTF8.self)
            // libpq refuses a second "=", which pgx took and which is easily written in `options`.
            let raw = String(decoding: parts[1], as: UTF8.self).replacing("=", with: "%3D")
            if keyword == "options" {
                options = raw
            } else if keyword == "database" {
                kept.append("dbname=\(raw)")
            } else if defaults[keyword] != nil || item.elementsEqual("ssl=true".utf8) {
                kept.append("\(keyword)=\(raw)")
            } else if keyword.wholeMatch(of: #/[A-Za-z_][A-Za-z0-9_.]*/#) == nil {
                throw Self.refusal(of: name, in: query)
            } else if !Self.dispensable.contains(keyword), names.insert(keyword).inserted {
                // Sessions are in UTC anyway, and poolers before pgbouncer 1.20 take no `options`.
                if keyword.lowercased() == "timezone" && value.elementsEqual("UTC".utf8) { continue }
                settings.append("-c%20\(keyword)%3D\(Self.encoded(Self.escaped(value)))")
            }
        }
        if !settings.isEmpty {
            // Without any in the URI, those of PGOPTIONS count, in libpq as in pgx.
            let present = options ?? Self.encoded(Array((defaults["options"] ?? "").utf8))
            options = ([present] + settings).filter { !$0.isEmpty }.joined(separator: "%20")
        }
        if let options { kept.append("options=\(options)") }
        let head = String(decoding: bytes[..<mark], as: UTF8.self)
        return kept.isEmpty ? head : "\(head)?\(kept.joined(separator: "&"))"
    }

    /// All parameters that this libpq knows, with what they are unless given; empty for nothing.
    private static func defaults() throws(PostgresError) -> [String: String] {
        guard let first = PQconndefaults() else {
            throw PostgresError(.invalidConfiguration, "libpq is out of memory")
        }
        defer { PQconninfoFree(first) }
        var defaults: [String: String] = [:]
        var option = first
        while let keyword = option.pointee.keyword {
            let value: UnsafeMutablePointer<CChar>? = option.pointee.val
            defaults[String(cString: keyword)] = value.map { String(cString: $0) } ?? ""
            option += 1
        }
        return defaults
    }

    private static func refusal(of name: [UInt8], in query: ArraySlice<UInt8>) -> PostgresError {
        // What stands before an "@" may be a piece of a password that has an unescaped "/" and "?" in it.
        let isUnsafe = query.contains(UInt8(ascii: "@"))
        let parameter = isUnsafe ? "a parameter" : "the parameter \"\(Self.encoded(name))\""
        let advice = isUnsafe ? "; in a password, write \"/\" as %2F, \"?\" as %3F and \"@\" as %40" : ""
        return PostgresError(
            .invalidConfiguration,
            "\(parameter) in the database URL is neither libpq's nor a setting, whose name has letters, digits, "
                + "\"_\" and \".\" only\(advice)"
        )
    }

    /// A value as the server reads it in `options`, where white space would end it.
    private static func escaped(_ value: [UInt8]) -> [UInt8] {
        value.flatMap { byte -> [UInt8] in
            " \t\n\u{0B}\u{0C}\r\\".utf8.contains(byte) ? [UInt8(ascii: "\\"), byte] : [byte]
        }
    }

    private static func encoded(_ bytes: [UInt8]) -> String {
        bytes.map { byte -> String in
            let character = Character(UnicodeScalar(byte))
            if character.isASCII, character.isLetter || character.isNumber || "-._~".contains(character) {
                return String(character)
            }
            return (byte < 16 ? "%0" : "%") + String(byte, radix: 16, uppercase: true)
        }.joined()
    }

    /// The bytes of a percent-encoded text; nil for what is none.
    ///
    /// - `plus`: what an unencoded "+" stands for.
    private static func decoded(_ text: ArraySlice<UInt8>, plus: Unicode.Scalar = "+") -> [UInt8]? {
        var bytes: [UInt8] = []
        var rest = text.makeIterator()
        while let byte = rest.next() {
            guard byte == UInt8(ascii: "%") else {
                bytes.append(byte == UInt8(ascii: "+") ? UInt8(ascii: plus) : byte)
                continue
            }
            guard let high = rest.next().flatMap(Self.digit), let low = rest.next().flatMap(Self.digit) else {
                return nil
            }
            bytes.append(high << 4 | low)
        }
        return bytes
    }

    private static func digit(_ byte: UInt8) -> UInt8? {
        Character(UnicodeScalar(byte)).hexDigitValue.map { UInt8($0) }
    }
}
