import RedisClient
import Shared

/// How long to leave a server alone that cannot be reached: longer each time, and not all replicas alike.
struct Outage: Sendable {
    private let limits: EbbConfiguration.Outages
    private var failures = 0

    init(_ limits: EbbConfiguration.Outages) { self.limits = limits }

    /// Whether the last try failed.
    var isOn: Bool { self.failures > 0 }

    /// The server did not answer; returns when to try again.
    mutating func failed() -> Duration {
        let doubled = self.limits.pause * Double(1 << min(self.failures, 40))
        self.failures += 1
        return min(self.limits.maxPause, doubled) * Double.random(in: 0.5...1)
    }

    /// The server answered.
    mutating func ended() { self.failures = 0 }

    /// Whether an error means that Redis is away, or full: runs wait in the ledger then.
    static func isOfQueue(_ error: any Error) -> Bool {
        Fault(error) == .queueAway || (error as? RedisError)?.isFull == true
    }
}
