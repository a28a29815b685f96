import Logging
import RedisClient
import Shared

/// Wakes a worker that has nothing to do, and lets it get ready for a run whose batches are about to come.
struct Doorbell: Sendable {
    /// With a connection of its own, which it holds up.
    let queue: Queue
    let contexts: RunContexts
    let pool: ConnectionPool
    let logger: Logger

    /// The longest wait that cannot be cancelled: a worker that is to stop has to be quick.
    private static let longestWait = Duration.milliseconds(200)
    /// How long whoever has created a run may take to begin planning it, before workers look for its plan to be made.
    private static let headStart = Duration.milliseconds(20)
    /// Expected rows from which a run is worth getting ready for: of a smaller one most workers get no batch.
    private static let fewestRows = 100_000
    /// How long getting ready may hold the worker up.
    private static let patience = Duration.milliseconds(200)

    /// Waits until there may be work, or the pause is over.
    ///
    /// - Throws: `CancellationError`. An error of Redis only ends in a wait: the next poll reports it.
    func wait(atMost pause: Duration) async throws {
        var end = ContinuousClock.now + pause
        do {
            while .now < end && !Task.isCancelled {
                let left = ContinuousClock.now.duration(to: end)
                switch try await self.queue.waitForWork(atMost: min(left, Self.longestWait)) {
                case .batch: return
                case .created(let run, let rows):
                    if rows >= Self.fewestRows { return try await self.prepare(run) }
                    end = min(end, .now + Self.headStart)
                case nil: break
                }
            }
        } catch is RedisError {
            try await Task.sleep(until: end)
        }
    }

    /// Reads what batches of a run will need, while its pivots are being found.
    ///
    /// Beginning with it at the first batch took a third of the time between a run's creation and its first delete.
    private func prepare(_ run: String) async throws {
        try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask {
                do { _ = try await self.pool.withConnection { try await self.contexts.context(run, $0) } } catch {
                    // Its first batch meets the same, and says so.
                    self.logger.log(.debug, "run is not prepared", [.run: "\(run)", .error: "\(error)"])
                }
            }
            group.addTask { try await Task.sleep(for: Self.patience) }
            try await group.next()
            group.cancelAll()
        }
    }
}
