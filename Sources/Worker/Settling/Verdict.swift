import PostgresClient
import Shared

/// What the queue is to be told about a batch.
enum Verdict: Sendable, Equatable {
    case done(Settlement)
    case failed(Lease, Queue.Failure)
    /// Nothing: somebody else has the batch.
    case lost(Lease)
}

/// Decides what an error means for a batch: whether it costs an attempt, and when to try again.
struct FailurePolicy: Sendable {
    let limits: EbbConfiguration.Batches

    /// After an outage, and while a predecessor still lives.
    private static let pause = Duration.seconds(1)

    enum Decision: Sendable, Equatable {
        /// Back into the queue, no attempt used.
        case release(after: Duration)
        case retry(after: Duration)
        /// No attempt is left.
        case giveUp
    }

    /// - `attempts`: used before this one.
    /// - `random`: a number between 0 and 1, for the jitter.
    func decide(_ error: any Error, attempts: Int, random: Double = .random(in: 0...1)) -> Decision {
        switch error {
        case is CancellationError: return .release(after: .zero)
        case let error as PostgresError where error.isConnectionProblem || error.code == .timedOut:
            return .release(after: Self.pause)
        case is QueueError: return .giveUp
        case is RunContext.Obstacle: return .release(after: Self.pause)
        default:
            guard attempts + 1 < self.limits.attempts else { return .giveUp }
            return .retry(after: self.backoff(attempts, random: random))
        }
    }

    /// `min(cap, base·2^attempts)`, of which between a half and the whole, so that batches that failed together do not come
    /// back together.
    func backoff(_ attempts: Int, random: Double) -> Duration {
        let doubled = self.limits.backoff * Double(1 << min(attempts, 40))
        return min(self.limits.maxBackoff, doubled) * (0.5 + random / 2)
    }

    /// While another worker is at the very same batch.
    var predecessorAlive: Decision { .release(after: Self.pause) }
}
