import Shared

/// Keeps a worker from claiming while PostgreSQL cannot be reached, so that an outage burns no batch and a server that comes
/// back is not met by everybody at once.
///
/// Closed: work goes on. Open: nothing is claimed until the pause is over. Then one piece of work is tried: if it
/// reaches PostgreSQL, the breaker closes; if not, it opens for twice as long.
struct CircuitBreaker: Sendable {
    private let limits: EbbConfiguration.Outages
    private var failures = 0
    private var opensUntil: ContinuousClock.Instant?

    init(_ limits: EbbConfiguration.Outages) { self.limits = limits }

    var isClosed: Bool { self.opensUntil == nil }

    /// How many of the free slots may be filled now.
    func slots(free: Int, running: Int, now: ContinuousClock.Instant = .now) -> Int {
        guard let opensUntil = self.opensUntil else { return free }
        return now >= opensUntil && running == 0 ? min(free, 1) : 0
    }

    /// Work reached PostgreSQL.
    mutating func succeeded() {
        self.failures = 0
        self.opensUntil = nil
    }

    /// Work could not reach PostgreSQL; those that were under way together count once.
    ///
    /// - `random`: a number between 0 and 1, so that workers do not come back together.
    mutating func failed(now: ContinuousClock.Instant = .now, random: Double = .random(in: 0...1)) {
        if let opensUntil = self.opensUntil, now < opensUntil { return }
        let doubled = self.limits.pause * Double(1 << min(self.failures, 40))
        self.opensUntil = now + min(self.limits.maxPause, doubled) * (0.5 + random / 2)
        self.failures += 1
    }
}
