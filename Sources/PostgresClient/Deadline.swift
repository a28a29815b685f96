/// The moment at which a wait gives up.
struct Deadline {
    private let instant: ContinuousClock.Instant?

    /// - Parameter duration: time from now; nil waits for ever.
    init(_ duration: Duration?) {
        self.instant = duration.map { .now + $0 }
    }

    private init(instant: ContinuousClock.Instant?) { self.instant = instant }

    var hasPassed: Bool { self.instant.map { $0 <= .now } ?? false }

    func earlier(_ other: Deadline) -> Deadline {
        guard let mine = self.instant, let theirs = other.instant else {
            return Deadline(instant: self.instant ?? other.instant)
        }
        return Deadline(instant: min(mine, theirs))
    }

    /// Milliseconds for `poll(2)`, rounded up so that a wait never ends just before the deadline; -1 for ever.
    var pollTimeout: CInt {
        guard let instant = self.instant else { return -1 }
        let remaining = instant - .now
        guard remaining > .zero else { return 0 }
        let milliseconds = (remaining / .milliseconds(1)).rounded(.up)
        return CInt(min(milliseconds, Double(CInt.max)))
    }
}
