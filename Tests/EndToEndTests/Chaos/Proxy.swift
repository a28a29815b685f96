import Glibc
import Synchronization
import Testing

/// A TCP proxy that does to its connections what networks do.
///
/// Listens on a free port of 127.0.0.1 and forwards to one address. One thread of its own does all of it, since a test's
/// task that held a thread of Swift's pool would hold up the others.
final class Proxy: Sendable {
    enum Address: Sendable {
        case unix(path: String)
        case tcp(port: UInt16)
    }

    enum Direction: String, Sendable, CaseIterable {
        case toServer
        case toClient
    }

    /// What is done to the connections.
    enum Fault: Sendable, Equatable {
        /// Resets all there are.
        case cut
        /// Stops forwarding in one direction, with all sockets left open; those that were caught are reset in the end.
        case blackHole(Direction, for: Duration)
        /// Holds up everything, in both directions.
        case delay(Duration, for: Duration)
        /// Resets all there are and refuses new ones.
        case refuse(for: Duration)
        /// Lets so many more bytes pass in one direction, and resets the connection that would have got the next one.
        case cutAfter(bytes: Int, Direction)
    }

    enum Order: Sendable {
        case inflict(Fault)
        case heal
        case stop
    }

    /// Where the proxy listens.
    let port: UInt16
    private let mailbox = Mailbox()

    /// Starts listening.
    init(to address: Address) throws {
        let listener = try Sockets.listener()
        self.port = Sockets.port(of: listener)
        let mailbox = self.mailbox
        let thread = Self.thread { ProxyLoop(listener: listener, address: address, mailbox: mailbox).run() }
        try #require(thread == 0, "no thread for a proxy: errno \(thread)")
    }

    deinit { self.mailbox.send(.stop) }

    func inflict(_ fault: Fault) { self.mailbox.send(.inflict(fault)) }

    /// Ends all faults; what was caught in a black hole is reset.
    func heal() { self.mailbox.send(.heal) }

    /// Resets all connections and ends; returns at once.
    func stop() { self.mailbox.send(.stop) }

    private static func thread(_ body: @escaping @Sendable () -> Void) -> CInt {
        var thread = pthread_t()
        let context = Unmanaged.passRetained(Body(body))
        let code = pthread_create(
            &thread,
            nil,
            { context in
                guard let context else { return nil }
                Unmanaged<Body>.fromOpaque(context).takeRetainedValue().body()
                return nil
            },
            context.toOpaque()
        )
        if code == 0 { pthread_detach(thread) } else { context.release() }
        return code
    }

    private final class Body: Sendable {
        let body: @Sendable () -> Void

        init(_ body: @escaping @Sendable () -> Void) { self.body = body }
    }
}

extension Proxy.Fault: CustomStringConvertible {
    var description: String {
        switch self {
        case .cut: "cut"
        case .blackHole(let direction, let time): "black hole \(direction.rawValue) for \(time)"
        case .delay(let delay, let time): "slow by \(delay) for \(time)"
        case .refuse(let time): "refused for \(time)"
        case .cutAfter(let bytes, let direction): "cut after \(bytes) bytes \(direction.rawValue)"
        }
    }
}

/// Orders for the loop, with a pipe that wakes it.
final class Mailbox: Sendable {
    private let orders = Mutex<[Proxy.Order]>([])
    /// Becomes readable when there are orders.
    let wakeup: CInt
    private let waker: CInt

    init() {
        var ends: [CInt] = [-1, -1]
        _ = pipe(&ends)
        (self.wakeup, self.waker) = (ends[0], ends[1])
    }

    deinit {
        close(self.wakeup)
        close(self.waker)
    }

    func send(_ order: Proxy.Order) {
        self.orders.withLock { $0.append(order) }
        var byte: UInt8 = 0
        _ = write(self.waker, &byte, 1)
    }

    /// What was ordered since the last call.
    func take() -> [Proxy.Order] {
        self.orders.withLock { orders in
            // Below the lock, so that no byte is taken whose order is not.
            var bytes = [UInt8](repeating: 0, count: max(orders.count, 1))
            if !orders.isEmpty { _ = read(self.wakeup, &bytes, orders.count) }
            defer { orders.removeAll() }
            return orders
        }
    }
}
