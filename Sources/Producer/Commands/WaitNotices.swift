import Logging
import Shared

/// Says once, to whoever waits for a run, that nobody works on it.
struct WaitNotices {
    let logger: Logger
    /// How long workers may take to turn up.
    let patience: Duration
    private let began: ContinuousClock.Instant
    private var hasToldOfPause = false
    private var hasLookedForWorkers = false

    init(logger: Logger, patience: Duration, since began: ContinuousClock.Instant = .now) {
        self.logger = logger
        self.patience = patience
        self.began = began
    }

    /// Warns of a pause at the first look that shows one, and once of workers that are all away when the patience is over.
    ///
    /// - Throws: `RedisError`.
    mutating func look(at status: RunStatus, _ queue: Queue) async throws {
        if status.state == .paused, !self.hasToldOfPause {
            self.hasToldOfPause = true
            self.tell("the run is paused, until: producer resume \(status.run)", status)
        }
        guard !self.hasLookedForWorkers, self.began + self.patience < .now, !status.state.isOver else { return }
        self.hasLookedForWorkers = true
        if try await queue.workersAlive(within: self.patience) == 0 {
            self.tell("no worker is alive, and the run waits for one", status)
        }
    }

    private func tell(_ what: String, _ status: RunStatus) {
        self.logger.log(.warning, "\(what)", [.run: "\(status.run)", .target: "\(status.target)"])
    }
}
