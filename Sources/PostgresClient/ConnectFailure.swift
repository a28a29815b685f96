import CLibPQ

/// Makes one sentence of what libpq says about a failed attempt to connect.
enum ConnectFailure {
    static func error(of pointer: OpaquePointer) -> PostgresError {
        let text = String(cString: PQerrorMessage(pointer)).trimmed
        // One such line per host that was tried; between them stand hints and source locations.
        let attempts = text.split(whereSeparator: \.isNewline).filter { $0.hasPrefix("connection to server") }
        let message = attempts.isEmpty ? text.firstLine : attempts.joined(separator: "; ")
        let (state, plain) = Self.separateState(message)
        // A missing password is libpq's own discovery and has no code of its own.
        let needsPassword = PQconnectionNeedsPassword(pointer) == 1
        return PostgresError(.connectionFailed, plain, sqlState: needsPassword ? .invalidPassword : state)
    }

    /// Takes the SQLSTATE of the last attempt out of the verbose form, `FATAL:  3D000: database … does not exist`.
    static func separateState(_ message: String) -> (SQLState?, String) {
        let code = #/:  ([0-9A-Z]{5}): /#
        let state = message.matches(of: code).last.map { SQLState(rawValue: String($0.output.1)) }
        return (state, message.replacing(code, with: ": "))
    }
}
