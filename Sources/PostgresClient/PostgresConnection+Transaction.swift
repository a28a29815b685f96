import CLibPQ

extension PostgresConnection {
    /// See ``transaction(isolation:readOnly:_:)``.
    func runTransaction<T>(_ mode: String, _ body: (isolated PostgresConnection) throws -> T) throws -> T {
        try self.run("BEGIN ISOLATION LEVEL \(mode)")
        do {
            let value = try body(self)
            // COMMIT of a failed transaction rolls back and reports success.
            guard PQtransactionStatus(self.handle.pointer) == PQTRANS_INTRANS else {
                throw PostgresError(
                    .unexpectedResult,
                    "the transaction was already over or had failed before COMMIT",
                    sqlState: .failedTransaction
                )
            }
            try self.run("COMMIT")
            return value
        } catch {
            self.leaveTransaction()
            throw error
        }
    }

    /// Rolls back if a transaction is open; closes the session if that fails, as its state is then unknown.
    func leaveTransaction() {
        guard let pointer = self.handle.pointer, PQtransactionStatus(pointer) != PQTRANS_IDLE else { return }
        let interruption = self.interruption
        self.interruption = nil
        defer { self.interruption = interruption }
        do {
            // A server that takes longer than a new session may take is not worth waiting for.
            try self.run("ROLLBACK", deadline: self.configuration.connectTimeout)
        } catch {
            self.close()
        }
    }
}
