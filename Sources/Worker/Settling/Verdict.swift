import Shared

/// What the queue is to be told about a batch.
enum Verdict: Sendable, Equatable {
    case done(Settlement)
    case back(Lease, Queue.Return)
    /// Back into the queue, no attempt used; PostgreSQL is to be left alone for a while.
    case outage(Lease, after: Duration)
    /// Back into the queue of a run that is paused until an operator has seen to it.
    case paused(Lease, reason: String)
    /// For another worker, which knows the target as the run does.
    case declined(Lease, reason: String)
    /// Nothing: somebody else has the batch.
    case lost(Lease)

    var lease: Lease {
        switch self {
        case .done(let settlement): settlement.lease
        case .back(let lease, _), .outage(let lease, _), .paused(let lease, _), .declined(let lease, _),
            .lost(let lease):
            lease
        }
    }
}
