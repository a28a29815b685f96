/// One SQL statement with its parameters, sent as text; the SQL casts where the type is not obvious (`$1::bigint`).
package struct PostgresStatement: Sendable {
    /// Exactly one statement.
    package var sql: String
    /// Values of `$1`, `$2`, …; nil is NULL.
    package var parameters: [String?]

    /// Checked when it is sent, not here.
    package init(_ sql: String, _ parameters: [String?] = []) {
        self.sql = sql
        self.parameters = parameters
    }

    /// Rejects what libpq would cut short or refuse, before anything has been sent.
    ///
    /// - Throws: ``PostgresError/Code/invalidStatement``.
    func validate(index: Int) throws(PostgresError) {
        guard self.parameters.count <= 65_535 else {
            throw PostgresError(
                .invalidStatement,
                "\(self.parameters.count) parameters exceed the limit of 65535",
                statementIndex: index
            )
        }
        guard !self.sql.utf8.contains(0) else {
            throw PostgresError(.invalidStatement, "the SQL contains a NUL byte", statementIndex: index)
        }
        for (position, parameter) in self.parameters.enumerated() where parameter?.utf8.contains(0) == true {
            throw PostgresError(
                .invalidStatement,
                "parameter $\(position + 1) contains a NUL byte, which PostgreSQL cannot store in text",
                statementIndex: index
            )
        }
    }

    /// Lends the parameters as the array of C strings that libpq expects.
    func withCParameters<R>(_ body: (UnsafePointer<UnsafePointer<CChar>?>?) -> R) -> R {
        var bytes: [UInt8] = []
        var offsets: [Int?] = []
        offsets.reserveCapacity(self.parameters.count)
        bytes.reserveCapacity(self.parameters.reduce(0) { $0 + ($1?.utf8.count ?? 0) + 1 })
        for parameter in self.parameters {
            offsets.append(parameter == nil ? nil : bytes.count)
            guard let parameter else { continue }
            bytes.append(contentsOf: parameter.utf8)
            bytes.append(0)
        }
        return bytes.withUnsafeBytes { bytes in
            bytes.withMemoryRebound(to: CChar.self) { buffer in
                let pointers = offsets.map { offset in
                    offset.flatMap { offset in buffer.baseAddress.map { $0 + offset } }
                }
                return pointers.withUnsafeBufferPointer { body($0.baseAddress) }
            }
        }
    }
}
