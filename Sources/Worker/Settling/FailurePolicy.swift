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
        /// The run has failed: what it cleans is gone.
        case endRun
        /// Another worker has to do it.
        case decline
    }

    /// - `tries`: on the spot, before this one.
    /// - `mode`: how locked rows were dealt with.
    /// - `isSingle`: whether the batch is a single row, which cannot be left to another.
    func decide(_ fault: Fault, tries: Int, mode: BatchExecutor.Mode, isSingle: Bool = false) -> Decision {
        switch fault {
        case .stopped: .release(after: .zero)
        case .serverAway: .outage
        case .queueAway, .storageAway, .unknownRun: .release(after: Self.pause)
        case .conflict: tries < Self.onTheSpot ? .again : .attempt
        case .locked: isSingle ? .attempt : mode == .waiting ? .withoutLocked : .split
        case .timeout, .row: .split
        case .run: .pauseRun
        case .gone: .endRun
        case .otherDefinition: .decline
        case .malformed: .giveUp
        case .other: .attempt
        }
    }

    /// Whether the next failure is the last.
    ///
    /// - `attempts`: used before this one.
    func isLast(_ attempts: Int) -> Bool { attempts + 1 >= self.limits.attempts }

    func backoff(_ attempts: Int) -> Duration { self.limits.pause(after: attempts) }
}
