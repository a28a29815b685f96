import CLibPQ

/// Owns a `PGresult *`; cleared exactly once.
///
/// Never leaves the connection's thread.
struct ResultHandle: ~Copyable {
    private let pointer: OpaquePointer

    init(takingOwnership pointer: OpaquePointer) { self.pointer = pointer }

    deinit { PQclear(self.pointer) }

    var status: ExecStatusType { PQresultStatus(self.pointer) }

    func copyOut(notices: [String]) -> PostgresResult {
        let columnCount = PQnfields(self.pointer)
        let columns = (0..<columnCount).map { column in
            PQfname(self.pointer, column).map { String(cString: $0) } ?? ""
        }
        let rows = (0..<PQntuples(self.pointer)).map { row in
            PostgresRow(values: (0..<columnCount).map { self.text(row: row, column: $0) }, columns: columns)
        }
        let count = PQcmdTuples(self.pointer).flatMap { Int(String(cString: $0)) } ?? 0
        return PostgresResult(columns: columns, rows: rows, affectedRows: count, notices: notices)
    }

    private func text(row: CInt, column: CInt) -> String? {
        guard PQgetisnull(self.pointer, row, column) == 0 else { return nil }
        let bytes = UnsafeRawBufferPointer(
            start: PQgetvalue(self.pointer, row, column),
            count: Int(PQgetlength(self.pointer, row, column))
        )
        return String(decoding: bytes, as: UTF8.self)
    }

    /// The error in this result.
    ///
    /// A FATAL severity means that the server ends the session after it. Errors that libpq makes up when the connection
    /// breaks have no SQLSTATE, and the session is gone as well.
    func error(statementIndex: Int?) -> PostgresError {
        let severity = self.field(EBB_DIAG_SEVERITY_NONLOCALIZED)
        let sqlState = self.field(EBB_DIAG_SQLSTATE).map { SQLState(rawValue: $0) }
        let sessionEnded = sqlState == nil || severity == "FATAL" || severity == "PANIC"
        return PostgresError(
            sessionEnded ? .connectionLost : .server,
            self.field(EBB_DIAG_MESSAGE_PRIMARY) ?? String(cString: PQresultErrorMessage(self.pointer)).firstLine,
            sqlState: sqlState,
            detail: self.field(EBB_DIAG_MESSAGE_DETAIL),
            constraint: self.field(EBB_DIAG_CONSTRAINT_NAME),
            statementIndex: statementIndex
        )
    }

    private func field(_ code: CInt) -> String? {
        PQresultErrorField(self.pointer, code).map { String(cString: $0) }
    }
}
