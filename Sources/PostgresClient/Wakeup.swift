import Glibc

/// A socket pair whose one end ends a `poll(2)` from another thread.
///
/// A signal that comes after the call it was meant for has ended only makes the next wait look once more.
final class Wakeup: Sendable {
    private let readEnd: CInt
    private let writeEnd: CInt

    /// - Throws: ``PostgresError/Code/connectionFailed`` when the process is out of file descriptors.
    init() throws(PostgresError) {
        var ends: [CInt] = [-1, -1]
        let type = SOCK_STREAM.rawValue | SOCK_CLOEXEC.rawValue | SOCK_NONBLOCK.rawValue
        // A pipe would do, but Swift does not import `pipe2`, and without it a child process could inherit the ends.
        guard socketpair(AF_UNIX, CInt(type), 0, &ends) == 0 else {
            throw PostgresError(.connectionFailed, "cannot create a socket pair: errno \(errno)")
        }
        self.readEnd = ends[0]
        self.writeEnd = ends[1]
    }

    deinit {
        close(self.readEnd)
        close(self.writeEnd)
    }

    /// Ends the current or next wait; may be called from any thread.
    func signal() {
        var byte: UInt8 = 1
        // If the buffer is full, enough signals are waiting in it: the result does not matter.
        _ = write(self.writeEnd, &byte, 1)
    }

    /// Waits for `events` on `socket`, for a signal, or until `deadline`; returns what the socket is ready for.
    ///
    /// Zero means a signal, the deadline, or EINTR: the caller looks at its own state and decides.
    func wait(for events: CInt, on socket: CInt, until deadline: Deadline) throws(PostgresError) -> CInt {
        // poll(2) ignores a negative descriptor, and would then wait for something that cannot come.
        guard socket >= 0 else { throw PostgresError(.connectionLost, "the socket is closed") }
        var descriptors = [
            pollfd(fd: socket, events: Int16(events), revents: 0),
            pollfd(fd: self.readEnd, events: Int16(POLLIN), revents: 0),
        ]
        guard poll(&descriptors, 2, deadline.pollTimeout) >= 0 else {
            if errno == EINTR { return 0 }
            throw PostgresError(.connectionLost, "poll failed with errno \(errno)")
        }
        if descriptors[1].revents != 0 { self.drain() }
        return CInt(descriptors[0].revents)
    }

    private func drain() {
        withUnsafeTemporaryAllocation(byteCount: 64, alignment: 1) { buffer in
            while read(self.readEnd, buffer.baseAddress, buffer.count) == buffer.count {}
        }
    }
}
