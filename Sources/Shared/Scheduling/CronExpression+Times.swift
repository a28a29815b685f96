package import Foundation

/// The moments that an expression names.
///
/// Where clocks are put forward or back, a fixed time neither gets lost nor doubled: one that is skipped is due when the gap
/// ends, one that comes twice is due the first time. An expression with `*` in its hours or minutes goes along with the clock.
extension CronExpression {
    /// How far to look: 29 February may be eight years away.
    private static let horizon = 9 * 366

    /// The first moment after `moment`.
    ///
    /// - `zone`: for an expression that names none.
    package func next(after moment: Date, in zone: TimeZone) -> Date? {
        self.search(from: moment, in: zone, step: 1) { $0.filter { $0 > moment }.min() }
    }

    /// The last moment that is not after `moment`.
    ///
    /// - `zone`: for an expression that names none.
    package func previous(atOrBefore moment: Date, in zone: TimeZone) -> Date? {
        self.search(from: moment, in: zone, step: -1) { $0.filter { $0 <= moment }.max() }
    }

    /// Goes from day to day, one beyond the first that has what is looked for: where a clock is put back at midnight, the
    /// slots of two days are interleaved.
    private func search(
        from moment: Date,
        in defaultZone: TimeZone,
        step: Int,
        _ best: ([Date]) -> Date?
    ) -> Date? {
        let zone = self.zone ?? defaultZone
        let local = Int(moment.timeIntervalSince1970.rounded(.down)) + zone.secondsFromGMT(for: moment)
        let today = CivilDay(epochSeconds: local).number
        var found: [Date] = []
        // A zone that has skipped a whole day has this day's slots, by another name, on the one before or after.
        for distance in -2...Self.horizon {
            let day = CivilDay(number: today + distance * step)
            let isLast = !found.isEmpty && distance > 0
            if self.includes(day), let moment = best(self.moments(of: day, in: zone)) { found.append(moment) }
            if isLast { break }
        }
        return best(found)
    }

    private func moments(of day: CivilDay, in zone: TimeZone) -> [Date] {
        var moments: [Date] = []
        for hour in 0...23 where self.hours.contains(hour) {
            for minute in 0...59 where self.minutes.contains(minute) {
                let reading = WallClock(zone: zone, seconds: day.number * 86_400 + hour * 3_600 + minute * 60)
                switch reading.moments {
                case .skipped(let end): if self.isFixedTime { moments.append(end) }
                case .once(let moment): moments.append(moment)
                case .twice(let first, let second): moments += self.isFixedTime ? [first] : [first, second]
                }
            }
        }
        return moments
    }
}

/// What clocks on the wall show, and when they do.
private struct WallClock {
    var zone: TimeZone
    /// Seconds since 1970 as if the zone were UTC.
    var seconds: Int

    enum Moments {
        /// Clocks jump over it; where they jump to.
        case skipped(Date)
        case once(Date)
        case twice(Date, Date)
    }

    /// No zone is further from UTC than 14 hours, and none changes its clocks twice in two days.
    var moments: Moments {
        let before = self.offset(at: self.seconds - 86_400)
        let after = self.offset(at: self.seconds + 86_400)
        let early = self.seconds - max(before, after)
        let late = self.seconds - min(before, after)
        if before == after { return .once(Self.date(early)) }
        let isEarly = self.shows(early)
        let isLate = self.shows(late)
        if isEarly && isLate { return .twice(Self.date(early), Self.date(late)) }
        if isEarly || isLate { return .once(Self.date(isEarly ? early : late)) }
        return .skipped(Self.date(self.change(after: early, by: late)))
    }

    private func shows(_ moment: Int) -> Bool { moment + self.offset(at: moment) == self.seconds }

    /// The second at which the offset changes.
    private func change(after early: Int, by late: Int) -> Int {
        let old = self.offset(at: early)
        var (low, high) = (early, late)
        while high - low > 1 {
            let middle = (low + high) / 2
            if self.offset(at: middle) == old { low = middle } else { high = middle }
        }
        return high
    }

    private func offset(at seconds: Int) -> Int { self.zone.secondsFromGMT(for: Self.date(seconds)) }

    private static func date(_ seconds: Int) -> Date { Date(timeIntervalSince1970: TimeInterval(seconds)) }
}
