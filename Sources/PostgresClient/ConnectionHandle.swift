import CLibPQ

/// Owns a `PGconn *`, whatever its state: failed and broken connections hold memory and a socket too.
struct ConnectionHandle: ~Copyable {
    /// Nil before connecting and after ``close()``.
    ///
    /// Only for calls on the connection's thread.
    private(set) var pointer: OpaquePointer?
    /// Stored beside the pointer, so that it outlives the `PGconn` that refers to it.
    let notices = NoticeCollector()

    init() { self.pointer = nil }

    deinit { PQfinish(self.pointer) }

    /// Takes ownership of a connection that libpq has just allocated.
    mutating func adopt(_ pointer: OpaquePointer) {
        self.close()
        self.pointer = pointer
        self.notices.attach(to: pointer)
    }

    mutating func close() {
        PQfinish(self.pointer)
        self.pointer = nil
    }

    /// Asks the server to cancel what this connection is running; blocks until the request has been delivered.
    ///
    /// Opens a second connection for it. Neither outcome changes what the caller does next (wait on, or close), so a
    /// failure to deliver is not reported.
    func requestCancel() {
        guard let cancel = PQgetCancel(self.pointer) else { return }
        defer { PQfreeCancel(cancel) }
        withUnsafeTemporaryAllocation(of: CChar.self, capacity: 256) { buffer in
            _ = PQcancel(cancel, buffer.baseAddress, CInt(buffer.count))
        }
    }
}
