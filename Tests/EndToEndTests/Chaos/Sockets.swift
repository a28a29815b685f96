import Glibc

/// The few socket calls that the proxy needs.
enum Sockets {
    /// A socket that listens on a free port of 127.0.0.1.
    ///
    /// The port is bound by its number: one that the kernel has chosen would be another one after a pause in listening.
    static func listener() throws -> CInt {
        for _ in 1...10 {
            let scout = self.bound(to: 0)
            let port = self.port(of: scout)
            let descriptor = self.bound(to: port, over: scout)
            if listen(descriptor, 128) == 0 && self.port(of: descriptor) == port {
                self.makeNonBlocking(descriptor)
                return descriptor
            }
            close(descriptor)
        }
        throw NoPort(description: "cannot listen on 127.0.0.1: errno \(errno)")
    }

    private struct NoPort: Error, CustomStringConvertible { var description: String }

    /// A socket that has the port, or is at least a socket; closes `other` before.
    private static func bound(to port: UInt16, over other: CInt? = nil) -> CInt {
        if let other { close(other) }
        let descriptor = socket(AF_INET, CInt(SOCK_STREAM.rawValue), 0)
        var on: CInt = 1
        setsockopt(descriptor, SOL_SOCKET, SO_REUSEADDR, &on, socklen_t(MemoryLayout<CInt>.size))
        _ = self.withLoopback(port: port) { bind(descriptor, $0, $1) }
        return descriptor
    }

    static func port(of descriptor: CInt) -> UInt16 {
        var address = sockaddr_in()
        var length = socklen_t(MemoryLayout<sockaddr_in>.size)
        _ = withUnsafeMutablePointer(to: &address) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { getsockname(descriptor, $0, &length) }
        }
        return UInt16(bigEndian: address.sin_port)
    }

    /// A connection to an address, or nil when nobody listens there.
    ///
    /// Blocks, but only for as long as the kernel takes: all addresses are on this machine.
    static func connect(to address: Proxy.Address) -> CInt? {
        let descriptor: CInt
        let code: CInt
        switch address {
        case .tcp(let port):
            descriptor = socket(AF_INET, CInt(SOCK_STREAM.rawValue), 0)
            code = self.withLoopback(port: port) { Glibc.connect(descriptor, $0, $1) }
        case .unix(let path):
            descriptor = socket(AF_UNIX, CInt(SOCK_STREAM.rawValue), 0)
            code = self.withUnix(path: path) { Glibc.connect(descriptor, $0, $1) }
        }
        guard code == 0 else {
            close(descriptor)
            return nil
        }
        self.prepare(descriptor)
        return descriptor
    }

    /// The next connection that waits at a listener; nil when none does.
    static func accept(at listener: CInt) -> CInt? {
        let descriptor = Glibc.accept(listener, nil, nil)
        guard descriptor >= 0 else { return nil }
        self.prepare(descriptor)
        return descriptor
    }

    /// Closes a connection; with `reset`, so that the peer gets an error where it may have expected the end.
    static func close(_ descriptor: CInt, reset: Bool = false) {
        if reset {
            var linger = linger(l_onoff: 1, l_linger: 0)
            setsockopt(descriptor, SOL_SOCKET, SO_LINGER, &linger, socklen_t(MemoryLayout<linger>.size))
        }
        Glibc.close(descriptor)
    }

    private static func close(_ descriptor: CInt) { Glibc.close(descriptor) }

    private static func prepare(_ descriptor: CInt) {
        self.makeNonBlocking(descriptor)
        // Fails on a unix socket, which has nothing to delay.
        var on: CInt = 1
        setsockopt(descriptor, CInt(IPPROTO_TCP), TCP_NODELAY, &on, socklen_t(MemoryLayout<CInt>.size))
    }

    private static func makeNonBlocking(_ descriptor: CInt) {
        _ = fcntl(descriptor, F_SETFL, fcntl(descriptor, F_GETFL) | O_NONBLOCK)
        // A worker that inherited it would keep the connection open.
        _ = fcntl(descriptor, F_SETFD, FD_CLOEXEC)
    }

    private static func withLoopback(port: UInt16, _ body: (UnsafePointer<sockaddr>, socklen_t) -> CInt) -> CInt {
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_addr.s_addr = inet_addr("127.0.0.1")
        address.sin_port = port.bigEndian
        return withUnsafePointer(to: &address) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                body($0, socklen_t(MemoryLayout<sockaddr_in>.size))
            }
        }
    }

    private static func withUnix(path: String, _ body: (UnsafePointer<sockaddr>, socklen_t) -> CInt) -> CInt {
        var address = sockaddr_un()
        address.sun_family = sa_family_t(AF_UNIX)
        withUnsafeMutableBytes(of: &address.sun_path) { $0.copyBytes(from: path.utf8.prefix($0.count - 1)) }
        return withUnsafePointer(to: &address) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                body($0, socklen_t(MemoryLayout<sockaddr_un>.size))
            }
        }
    }
}
