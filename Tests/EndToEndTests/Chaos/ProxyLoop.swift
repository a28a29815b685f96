import Glibc

/// The proxy's thread: waits for readiness, moves bytes, and does as it is told.
///
/// All state is the thread's own.
struct ProxyLoop {
    private let listener: CInt
    private let address: Proxy.Address
    private let mailbox: Mailbox
    private var links: [ProxyLink] = []
    private var isStopped = false

    private var refusedUntil: ContinuousClock.Instant?
    private var delay: (by: Duration, until: ContinuousClock.Instant)?
    private var hole: (direction: Proxy.Direction, until: ContinuousClock.Instant)?
    private var allowance: (bytes: Int, direction: Proxy.Direction)?

    init(listener: CInt, address: Proxy.Address, mailbox: Mailbox) {
        self.listener = listener
        self.address = address
        self.mailbox = mailbox
    }

    consuming func run() {
        while !self.isStopped {
            self.wait()
            for order in self.mailbox.take() { self.obey(order) }
            self.endFaults(at: .now)
            self.accept()
            for index in self.links.indices { self.serve(index) }
            self.links.removeAll { $0.isClosed }
        }
        for index in self.links.indices { self.links[index].close(reset: true) }
        Sockets.close(self.listener)
    }

    // MARK: Orders

    private mutating func obey(_ order: Proxy.Order) {
        switch order {
        case .stop: self.isStopped = true
        case .heal:
            (self.refusedUntil, self.delay, self.allowance) = (self.refusedUntil.map { _ in .now }, nil, nil)
            if self.hole != nil { self.hole?.until = .now }
        case .inflict(.cut): self.reset { _ in true }
        case .inflict(.blackHole(let direction, let time)):
            self.hole = (direction, .now + time)
            for index in self.links.indices { self.links[index].isCaught = true }
        case .inflict(.delay(let delay, let time)): self.delay = (delay, .now + time)
        case .inflict(.refuse(let time)):
            self.reset { _ in true }
            // The port stays bound while nobody listens, so that it cannot become another's meanwhile. Only once: a second
            // time would be inherited by the connections of the next time it listens, as their own shutdown.
            if self.refusedUntil == nil { shutdown(self.listener, CInt(SHUT_RDWR)) }
            self.refusedUntil = .now + time
        case .inflict(.cutAfter(let bytes, let direction)): self.allowance = (bytes, direction)
        }
    }

    private mutating func endFaults(at now: ContinuousClock.Instant) {
        if let until = self.refusedUntil, until <= now {
            self.refusedUntil = nil
            listen(self.listener, 128)
        }
        if let delay, delay.until <= now { self.delay = nil }
        if let hole, hole.until <= now {
            self.hole = nil
            self.reset(where: \.isCaught)
        }
    }

    private mutating func reset(where condition: (ProxyLink) -> Bool) {
        for index in self.links.indices where condition(self.links[index]) { self.links[index].close(reset: true) }
        self.links.removeAll { $0.isClosed }
    }

    // MARK: Traffic

    private mutating func accept() {
        guard self.refusedUntil == nil else { return }
        while let client = Sockets.accept(at: self.listener) {
            guard let server = Sockets.connect(to: self.address) else {
                Sockets.close(client, reset: true)
                continue
            }
            self.links.append(ProxyLink(client: client, server: server))
        }
    }

    private func isBlocked(_ link: ProxyLink, _ direction: Proxy.Direction) -> Bool {
        link.isCaught && self.hole?.direction == direction
    }

    private mutating func serve(_ index: Int) {
        for direction in Proxy.Direction.allCases where !self.links[index].isClosed {
            guard !self.isBlocked(self.links[index], direction) else { continue }
            var limit = Int.max
            if let allowance, allowance.direction == direction { limit = allowance.bytes }
            let read = self.links[index].read(direction, limit: limit, delay: self.delay?.by ?? .zero)
            self.links[index].write(direction)
            guard limit < .max else { continue }
            if read < limit { self.allowance?.bytes -= read } else { self.allowance = nil }
            if read >= limit { self.links[index].close(reset: true) }
        }
        self.links[index].closeIfOver()
    }

    private func wait() {
        var descriptors = [pollfd(fd: self.mailbox.wakeup, events: Int16(POLLIN), revents: 0)]
        var deadlines = [self.refusedUntil, self.delay?.until, self.hole?.until]
        if self.refusedUntil == nil {
            descriptors.append(pollfd(fd: self.listener, events: Int16(POLLIN), revents: 0))
        }
        for link in self.links {
            for direction in Proxy.Direction.allCases where !self.isBlocked(link, direction) {
                if link.wantsToRead(direction) {
                    descriptors.append(pollfd(fd: link.source(direction), events: Int16(POLLIN), revents: 0))
                }
                guard let due = link.due(direction) else { continue }
                if due > .now {
                    deadlines.append(due)
                } else {
                    descriptors.append(pollfd(fd: link.sink(direction), events: Int16(POLLOUT), revents: 0))
                }
            }
        }
        let next = deadlines.compactMap(\.self).min()
        let milliseconds = next.map { max(0, ContinuousClock.now.duration(to: $0) / .milliseconds(1)) }
        poll(&descriptors, nfds_t(descriptors.count), milliseconds.map { CInt($0.rounded(.up)) } ?? -1)
    }
}
