import Shared

/// What happens to a run of the procedure, for those who watch.
enum ProcedureNews: Sendable {
    /// It begins, or goes on with a new owner.
    case began(ProcedureRecord, isNew: Bool)
    case stageBegan(ProcedureRecord, StageRecord)
    /// Rows that the stage at work has deleted so far, of about as many as there are.
    case progress(StageRecord, rows: Int, estimated: Int)
    /// No worker has been alive for a while, so the stage's runs do not come along.
    case waits(StageRecord)
    /// Also of one that was switched off when the run began.
    case stageEnded(ProcedureRecord, StageRecord)
    case ended(ProcedureRecord)
}

/// Somebody who watches a run of the procedure; nothing fails for its sake.
protocol ProcedureObserver: Sendable {
    func note(_ news: ProcedureNews) async

    /// The run is over, which must not get lost.
    ///
    /// - Returns: false when somebody who has to know could not be reached; this is asked for again then, possibly of another
    ///   process.
    func end(_ record: ProcedureRecord) async -> Bool
}

extension ProcedureObserver {
    func end(_ record: ProcedureRecord) async -> Bool {
        await self.note(.ended(record))
        return true
    }
}

/// When a stage has to be over, and why.
struct StageLimit: Sendable {
    var instant: ContinuousClock.Instant
    /// What its runs end with.
    var reason: String
    /// Whether runs may end by themselves by then, with a reason of their own.
    var isTimeout: Bool

    /// What a run ends with whose own timeout is over, and so a stage.
    static let timedOut = "timed out"

    var left: Duration { max(.zero, ContinuousClock.now.duration(to: self.instant)) }
}
