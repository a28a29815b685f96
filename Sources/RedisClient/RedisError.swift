/// Why a Redis call, or the configuration for it, failed.
///
/// Never holds a password, nor the arguments of a command other than what the server itself quotes.
package struct RedisError: Error, Sendable {
    package enum Code: String, Sendable {
        /// The server answered with an error. The connection is as good as before, unless `isServerAway`.
        case server
        /// No connection could be made: unreachable, refused, or the server did not accept user, password or database.
        case connectionFailed
        /// The connection ended before all replies had come. Whether the server ran the commands is unknown.
        case connectionLost
        /// No byte came or went for `commandTimeout`. Whether the server ran the commands is unknown.
        case timedOut
        /// The server sent something that is not RESP2. Whether it ran the commands is unknown.
        case protocolError
        /// The URL or a duration cannot be used.
        case invalidConfiguration
        /// A reply of another shape than the command promises. The connection is as good as before.
        case unexpectedReply
        /// The URL asks for TLS, which the installed hiredis does not have.
        case tlsUnavailable
    }

    package let code: Code

    /// The first word of the server's error when it is in capitals, such as `NOSCRIPT`, `WRONGPASS`, `LOADING` or `OOM`.
    package let prefix: String?

    /// What happened, without `prefix`.
    package let message: String

    /// Where in our sources the error was made.
    ///
    /// Not compared by `==`.
    package let file: String

    /// The line in `file`.
    ///
    /// Not compared by `==`.
    package let line: Int

    package init(
        _ code: Code,
        prefix: String? = nil,
        _ message: String,
        file: String = #fileID,
        line: Int = #line
    ) {
        self.code = code
        self.prefix = prefix
        self.message = message
        self.file = file
        self.line = line
    }

    /// An error reply, such as `NOSCRIPT No matching script`.
    init(serverError text: String, file: String = #fileID, line: Int = #line) {
        let words = text.split(separator: " ", maxSplits: 1, omittingEmptySubsequences: false)
        let first = words.first ?? ""
        // A script may answer with any text; only a word like the server's own is taken for a prefix.
        if !first.isEmpty && first.utf8.allSatisfy({ UInt8(ascii: "A")...UInt8(ascii: "Z") ~= $0 }) {
            let rest = words.count == 2 ? String(words[1]) : ""
            self.init(.server, prefix: String(first), rest, file: file, line: line)
        } else {
            self.init(.server, text, file: file, line: line)
        }
    }

    /// Whether the connection was at fault rather than the command: a later attempt may succeed.
    ///
    /// Says nothing about whether the server ran the command. A refused password counts as well: it is repaired on the
    /// server, and `prefix` tells it apart.
    package var isConnectionProblem: Bool {
        switch self.code {
        case .connectionFailed, .connectionLost, .timedOut, .protocolError: true
        case .server, .invalidConfiguration, .unexpectedReply, .tlsUnavailable: false
        }
    }
}

extension RedisError: Equatable {
    package static func == (left: Self, right: Self) -> Bool {
        left.code == right.code && left.prefix == right.prefix && left.message == right.message
    }
}

extension RedisError: CustomStringConvertible {
    /// One sentence for a log or a terminal.
    package var description: String {
        let text = [self.prefix, self.message].compactMap(\.self).filter { !$0.isEmpty }.joined(separator: " ")
        return self.code == .server ? "Redis answered with an error: \(text)" : text
    }
}
