/// Anything that goes wrong between this module and a server.
///
/// Neither SQL text nor parameters nor passwords are ever part of it; a server's own message may quote a value that it
/// rejected, and `detail` usually does, which is why `description` leaves `detail` out.
package struct PostgresError: Error, Sendable {
    /// Who noticed the problem, and what it means for the connection.
    package enum Code: Sendable {
        /// The server refused a statement; the connection is intact.
        case server
        /// No connection could be made.
        case connectionFailed
        /// An established connection broke, or the server ended it. Whether the last statement took effect is unknown.
        case connectionLost
        /// The caller's deadline passed; the connection was closed. Whether the statement took effect is unknown.
        case timedOut
        /// The connection string cannot be used.
        case invalidConfiguration
        /// The statement cannot be sent as it is; nothing was sent.
        case invalidStatement
        /// The answer is not what the caller, or the protocol, promised.
        case unexpectedResult
    }

    /// The kind of failure.
    package let code: Code
    /// The server's code; nil when the server did not say anything.
    package let sqlState: SQLState?
    /// The server's primary message, or one line of libpq's.
    package let message: String
    /// The server's detail, which may quote values.
    package let detail: String?
    /// The name of the violated constraint.
    package let constraint: String?
    /// Position of the failing statement in its pipeline, from 0; 0 for a single statement, nil when none is to blame.
    package let statementIndex: Int?
    /// File that created the error, as `Module/File.swift`.
    package let file: String
    /// Line that created the error.
    package let line: Int

    /// Creates an error; `file` and `line` are the place of the call.
    package init(
        _ code: Code,
        _ message: String,
        sqlState: SQLState? = nil,
        detail: String? = nil,
        constraint: String? = nil,
        statementIndex: Int? = nil,
        file: String = #fileID,
        line: Int = #line
    ) {
        self.code = code
        self.sqlState = sqlState
        self.message = message
        self.detail = detail
        self.constraint = constraint
        self.statementIndex = statementIndex
        self.file = file
        self.line = line
    }
}

extension PostgresError {
    /// Whether the same work may succeed later, unchanged, perhaps on a new connection.
    ///
    /// Says nothing about whether repeating it is safe: after ``Code/connectionLost`` it may have taken effect.
    /// A passed deadline is not retryable by itself, because the caller chose to give up.
    package var isRetryable: Bool {
        switch self.code {
        case .connectionLost: return true
        case .connectionFailed where self.sqlState == nil: return true
        case .timedOut, .invalidConfiguration, .invalidStatement, .unexpectedResult: return false
        case .server, .connectionFailed:
            guard let sqlState = self.sqlState else { return false }
            return ["08", "40", "53"].contains(sqlState.classCode) || sqlState.rawValue.hasPrefix("57P")
                || sqlState == .lockNotAvailable
        }
    }

    /// Whether the connection, not the statement, is at fault.
    package var isConnectionProblem: Bool {
        switch self.code {
        case .connectionFailed, .connectionLost: true
        case .timedOut, .invalidConfiguration, .invalidStatement, .unexpectedResult: false
        case .server:
            self.sqlState?.classCode == "08"
                || [.adminShutdown, .crashShutdown, .cannotConnectNow].contains(self.sqlState)
        }
    }
}

extension PostgresError: CustomStringConvertible {
    /// One terse sentence for logs and terminals.
    package var description: String {
        let subject =
            switch self.code {
            case .server: "PostgreSQL refused a statement"
            case .connectionFailed: "cannot connect to PostgreSQL"
            case .connectionLost: "the connection to PostgreSQL was lost"
            case .timedOut: "PostgreSQL did not answer in time"
            case .invalidConfiguration: "invalid PostgreSQL configuration"
            case .invalidStatement: "a statement cannot be sent to PostgreSQL"
            case .unexpectedResult: "unexpected answer from PostgreSQL"
            }
        let state = self.sqlState.map { " [\($0.rawValue)]" } ?? ""
        return "\(subject)\(state): \(self.message)"
    }
}
