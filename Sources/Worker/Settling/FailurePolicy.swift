import Shared

/// Decides what a fault means for a batch: whether it costs an attempt, and when to try again.
struct FailurePolicy: Sendable {
    let limits: EbbConfiguration.Batches

    /// After an outage, while a predecessor still lives, and while a whole table is locked.
    static let pause = Duration.seconds(1)
    /// Deadlocks and the like are tried again on the spot so many times.
    private static let onTheSpot = 3

    enum Decision: Sendable, Equatable {
        /// Back into the queue, no attempt used.
        case release(after: Duration)
        /// Back into the queue, no attempt used, and no more work for a while.
        case outage
        /// Again at once.
        case again
        /// Again at once, without the rows that somebody has locked.
        case withoutLocked
        /// Two halves instead.
        case split
        /// One attempt used; given up on when none is left.
        case attempt
        /// Given up on, whatever is left.
        case giveUp
        /// The run has to wait for an operator.
        case pauseRun
        /// Another worker has to do it.
        case decline
    }

    /// - `tries`: on the spot, before this one.
    /// - `mode`: how locked rows were dealt with.
    func decide(_ fault: Fault, tries: Int, mode: BatchExecutor.Mode) -> Decision {
        switch fault {
        case .stopped: .release(after: .zero)
        case .serverAway: .outage
        case .queueAway, .unknownRun: .release(after: Self.pause)
        case .conflict: tries < Self.onTheSpot ? .again : .attempt
        case .locked: mode == .waiting ? .withoutLocked : .attempt
        case .timeout, .row: .split
        case .run: .pauseRun
        case .otherDefinition: .decline
        case .malformed: .giveUp
        case .other: .attempt
        }
    }

    /// Whether the next failure is the last.
    ///
    /// - `attempts`: used before this one.
    func isLast(_ attempts: Int) -> Bool { attempts + 1 >= self.limits.attempts }

    /// `min(cap, base·2^attempts)`, of which between a half and the whole, so that batches that failed together do not come
    /// back together.
    ///
    /// - `random`: a number between 0 and 1.
    func backoff(_ attempts: Int, random: Double = .random(in: 0...1)) -> Duration {
        let doubled = self.limits.backoff * Double(1 << min(attempts, 40))
        return min(self.limits.maxBackoff, doubled) * (0.5 + random / 2)
    }
}
