import RedisClient
import Shared

/// Wakes a worker that has nothing to do.
struct Doorbell: Sendable {
    /// With a connection of its own, which it holds up.
    let queue: Queue

    /// A run that was just created, and may be worth getting ready for.
    struct NewRun: Sendable, Equatable {
        let run: String
        let target: String
        /// How many rows it is expected to delete.
        let rows: Int
    }

    /// The longest wait that cannot be cancelled: a worker that is to stop has to be quick.
    private static let longestWait = Duration.milliseconds(200)
    /// How long to wait at most once something was told: behind an event, a batch may have gone unnoticed.
    private static let pauseAfterEvent = Duration.milliseconds(100)

    /// Waits until there may be work, or the pause is over.
    ///
    /// An error of Redis only makes it a pause: batches are found by polling, too.
    ///
    /// - Returns: the large run that it heard of, at once.
    /// - Throws: `CancellationError`.
    func wait(atMost pause: Duration) async throws -> NewRun? {
        var end = ContinuousClock.now + pause
        // After one event, so that a storm of them costs no more.
        var hearsEvents = true
        do {
            while .now < end && !Task.isCancelled {
                let left = ContinuousClock.now.duration(to: end)
                let slice = min(left, Self.longestWait)
                switch try await self.queue.waitForWork(atMost: slice, hearsEvents: hearsEvents) {
                case .batch: return nil
                case .event(let event):
                    let rows = event.counts["estimated"] ?? 0
                    if event.topic == EbbEvent.Topic.runCreated.rawValue, rows >= Preparation.fewestRows {
                        return NewRun(run: event.subject, target: event.target, rows: rows)
                    }
                    hearsEvents = false
                    end = min(end, .now + Self.pauseAfterEvent)
                case nil: break
                }
            }
        } catch is RedisError {
            try await Task.sleep(until: end)
        }
        return nil
    }
}
