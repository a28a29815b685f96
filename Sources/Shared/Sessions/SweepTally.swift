import RedisClient

/// What one script has counted; see `session_page.lua` for the order.
struct SweepPage {
    /// Keys that it looked at, from the front of those it was given.
    var looked: Int
    var expired: Int
    var deleted: Int
    var skipped: SweepReport.Skipped
    var events: Int
    var dropped: Int
    var oldest: Int
    var ages: [Int]

    /// - Throws: `LeaseLost`; `RedisError` for a reply of another shape.
    init(_ reply: RESPValue) throws {
        let numbers = (reply.array ?? []).compactMap(\.int)
        if numbers == [0] { throw LeaseLost() }
        guard numbers.count == 13 + SessionSweep.bounds.count + 1, numbers[0] == 1 else {
            throw RedisError(.unexpectedReply, "a script of the sweep returned \(numbers.count) numbers")
        }
        self.looked = numbers[1]
        self.expired = numbers[3]
        self.deleted = numbers[4]
        self.skipped = SweepReport.Skipped(
            markers: numbers[5],
            malformed: numbers[6],
            foreign: numbers[7],
            hasTTL: numbers[8],
            gone: numbers[9]
        )
        self.events = numbers[10]
        self.dropped = numbers[11]
        self.oldest = numbers[12]
        self.ages = Array(numbers[13...])
    }
}

/// Sums pages up.
struct SweepTally {
    private var result: SweepReport
    private var ages = [Int](repeating: 0, count: SessionSweep.bounds.count + 1)

    /// - `isPartial`: whether only sessions that may be over are looked at.
    init(layout: String, isPartial: Bool) {
        self.result = SweepReport(outcome: .stopped, layout: layout)
        self.result.isPartial = isPartial
    }

    mutating func add(_ page: SweepPage) {
        self.result.examined += page.looked
        self.result.expired += page.expired
        self.result.deleted += page.deleted
        self.result.skipped.markers += page.skipped.markers
        self.result.skipped.malformed += page.skipped.malformed
        self.result.skipped.foreign += page.skipped.foreign
        self.result.skipped.hasTTL += page.skipped.hasTTL
        self.result.skipped.gone += page.skipped.gone
        self.result.events.dropped += page.dropped
        if page.oldest >= 0 { self.result.oldestSeconds = max(self.result.oldestSeconds ?? 0, page.oldest) }
        for (index, count) in page.ages.enumerated() { self.ages[index] += count }
    }

    func report(isComplete: Bool) -> SweepReport {
        var report = self.result
        report.outcome = isComplete ? .finished : .stopped
        let bounds = SessionSweep.bounds.map(Optional.some) + [nil]
        report.ages = zip(bounds, self.ages).map { SweepReport.Age(upToSeconds: $0, sessions: $1) }
        return report
    }
}
