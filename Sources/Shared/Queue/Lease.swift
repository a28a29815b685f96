import RedisClient

/// A batch as its message names it.
///
/// It never carries SQL; what may be deleted is in the ledger.
package struct BatchMessage: Sendable, Hashable {
    package var run: String
    /// `<plan generation>.<sequence>`.
    package var batch: String
    /// Attempts used so far.
    package var attempts: Int
    /// nil when the message holds none that Ebb wrote; the batch is then given up on.
    package var range: BatchRange?
    /// How much planning meant it to hold, in blocks or rows; 0 when its time must not count for sizing.
    package var units: Int

    /// The plan generation, whose pivots the batch uses.
    package var generation: Int { Int(self.batch.prefix { $0 != "." }) ?? 0 }
}

/// A worker's time-limited claim on a batch.
package struct Lease: Sendable, Hashable {
    package var stream: String
    package var entry: String
    /// How often the entry was delivered: with entry and consumer it fences every change.
    package var token: Int
    package var message: BatchMessage
    /// How often it was begun again after whoever held it had vanished.
    package var restarts: Int

    /// Whether another worker held it before and vanished.
    package var isRedelivered: Bool { self.token > 1 }

    /// Whether two who held it have vanished: it may be what takes its process down, so it should run alone.
    package var isSuspect: Bool { self.isRedelivered && self.restarts >= 1 }

    /// - Throws: `QueueError` for an entry that is no batch.
    init(_ value: RESPValue) throws(QueueError) {
        let parts = value.array ?? []
        guard parts.count == 9, let stream = parts[0].string, let entry = parts[1].string, let token = parts[2].int,
            let run = parts[3].string, let batch = parts[4].string, let attempts = parts[5].int,
            let range = parts[6].string, let units = parts[7].int,
            let starts = parts[8].int
        else { throw .malformed("stream entry", accepted: "the fields r, b, a, u, f and v") }
        self.stream = stream
        self.entry = entry
        self.token = token
        self.restarts = starts
        self.message = BatchMessage(
            run: run,
            batch: batch,
            attempts: attempts,
            range: Self.range(range),
            units: units
        )
    }

    private static func range(_ text: String) -> BatchRange? {
        do { return try BatchRange(encoded: text) } catch { return nil }
    }
}

/// A worker's time-limited claim on a step of a run.
package struct StepLease: Sendable, Hashable {
    package var run: String
    package var step: Step
    package var token: Int

    /// The pieces of a run's own work, in their order; see the contract of `take_step.lua`.
    package enum Step: String, Sendable, Hashable, CaseIterable {
        case plan
        case verify
        case vacuum
        case reconcile
    }
}

/// What became of a batch.
package struct Settlement: Sendable, Hashable {
    package var lease: Lease
    package var rows: Int
    package var cascaded: Int
    /// Of objects.
    package var bytes: Int
    /// Whether its time counts for the size of later batches; not when it was only found settled.
    package var isMeasured: Bool
    package var microseconds: Int

    package init(lease: Lease, rows: Int, cascaded: Int, bytes: Int = 0, isMeasured: Bool, microseconds: Int) {
        self.lease = lease
        self.rows = rows
        self.cascaded = cascaded
        self.bytes = bytes
        self.isMeasured = isMeasured
        self.microseconds = microseconds
    }
}
