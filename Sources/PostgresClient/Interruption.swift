import Synchronization

/// Tells one call that its task was cancelled.
///
/// The cancelling thread only raises a flag and wakes the connection's thread, which itself sends the cancel request
/// while the statement is running. So the canceller never blocks, and a later statement cannot be hit.
final class Interruption: Sendable {
    private let cancelled = Atomic<Bool>(false)
    private let wakeup: Wakeup

    /// - Parameter wakeup: that of the connection on which the call runs.
    init(wakeup: Wakeup) { self.wakeup = wakeup }

    var isCancelled: Bool { self.cancelled.load(ordering: .acquiring) }

    func cancel() {
        self.cancelled.store(true, ordering: .releasing)
        self.wakeup.signal()
    }
}
