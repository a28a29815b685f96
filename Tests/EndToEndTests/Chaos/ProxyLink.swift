import Glibc

/// One connection through the proxy: two sockets and what is on its way between them.
struct ProxyLink {
    private let client: CInt
    private let server: CInt
    private var toServer = Flow()
    private var toClient = Flow()
    private(set) var isClosed = false
    /// Whether it was there when a black hole opened.
    var isCaught = false

    /// Bytes under way in one direction.
    private struct Flow {
        /// Chunks with the moment from which on they may be passed on.
        var chunks: [(due: ContinuousClock.Instant, bytes: ArraySlice<UInt8>)] = []
        var count = 0
        var hasEnded = false
    }

    /// No more is read while so much waits to be written.
    private static let mostWaiting = 1 << 18
    private static let chunk = 1 << 16

    init(client: CInt, server: CInt) {
        self.client = client
        self.server = server
    }

    private subscript(direction: Proxy.Direction) -> Flow {
        get { direction == .toServer ? self.toServer : self.toClient }
        _modify {
            if direction == .toServer { yield &self.toServer } else { yield &self.toClient }
        }
    }

    func source(_ direction: Proxy.Direction) -> CInt { direction == .toServer ? self.client : self.server }

    func sink(_ direction: Proxy.Direction) -> CInt { direction == .toServer ? self.server : self.client }

    func wantsToRead(_ direction: Proxy.Direction) -> Bool {
        !self[direction].hasEnded && self[direction].count < Self.mostWaiting
    }

    /// When the next bytes may be passed on; nil when none wait.
    func due(_ direction: Proxy.Direction) -> ContinuousClock.Instant? { self[direction].chunks.first?.due }

    /// Reads what is there, up to `limit` bytes, and returns how many those were.
    mutating func read(_ direction: Proxy.Direction, limit: Int, delay: Duration) -> Int {
        guard self.wantsToRead(direction) else { return 0 }
        var bytes = [UInt8](repeating: 0, count: min(Self.chunk, limit))
        guard !bytes.isEmpty else { return 0 }
        let count = recv(self.source(direction), &bytes, bytes.count, 0)
        if count > 0 {
            self[direction].chunks.append((.now + delay, bytes[..<count]))
            self[direction].count += count
            return count
        }
        if count == 0 {
            self[direction].hasEnded = true
        } else if errno != EAGAIN && errno != EINTR {
            // What one side learns by an error, the other shall, too.
            self.close(reset: true)
        }
        return 0
    }

    /// Writes what is due, as far as the socket takes it.
    mutating func write(_ direction: Proxy.Direction) {
        while !self.isClosed, let (due, bytes) = self[direction].chunks.first, due <= .now {
            let count = bytes.withUnsafeBytes {
                send(self.sink(direction), $0.baseAddress, $0.count, CInt(MSG_NOSIGNAL))
            }
            guard count >= 0 else {
                if errno != EAGAIN && errno != EINTR { self.close(reset: true) }
                return
            }
            self[direction].count -= count
            if count == bytes.count {
                self[direction].chunks.removeFirst()
            } else {
                self[direction].chunks[0].bytes = bytes.dropFirst(count)
            }
        }
    }

    /// Closes both sides once one has ended and all it sent is passed on: neither protocol uses half a connection.
    mutating func closeIfOver() {
        guard !self.isClosed else { return }
        if Proxy.Direction.allCases.contains(where: { self[$0].hasEnded && self[$0].chunks.isEmpty }) {
            self.close(reset: false)
        }
    }

    mutating func close(reset: Bool) {
        guard !self.isClosed else { return }
        Sockets.close(self.client, reset: reset)
        Sockets.close(self.server, reset: reset)
        self.isClosed = true
    }
}
