package import Foundation

/// A time of every day, such as `22:00-06:00`, which ends on the next day.
package struct DailyWindow: Sendable, Hashable, CustomStringConvertible {
    /// Minutes after midnight.
    let start: Int
    let end: Int

    static let accepted = "a time of day such as 22:00-06:00, of which the end may be on the next day"
    private static let minutesOfDay = 1_440

    init(_ text: String) throws(RejectedValue) {
        guard let match = text.wholeMatch(of: /([0-9]{1,2}):([0-9]{2})\s*-\s*([0-9]{1,2}):([0-9]{2})/),
            let start = Self.minute(match.1, match.2), let end = Self.minute(match.3, match.4),
            start < Self.minutesOfDay
        else { throw RejectedValue(text, "is no time of day", accepted: Self.accepted) }
        guard start != end % Self.minutesOfDay || end - start == Self.minutesOfDay else {
            throw RejectedValue(text, "ends when it begins", accepted: "\(Self.accepted); 00:00-24:00 is the whole day")
        }
        self.start = start
        self.end = end % Self.minutesOfDay
    }

    private static func minute(_ hour: Substring, _ minute: Substring) -> Int? {
        guard let hour = Int(hour), let minute = Int(minute), minute < 60 else { return nil }
        let total = hour * 60 + minute
        return total <= Self.minutesOfDay ? total : nil
    }

    /// Until when it is open; nil while it is closed.
    ///
    /// Begins and ends with what clocks in the zone show: where they are put forward or back, it is an hour shorter or longer.
    package func closes(after now: Date, in zone: TimeZone) -> Date? {
        // The whole day.
        if self.start == self.end { return .distantFuture }
        var calendar = Calendar(identifier: .gregorian)
        calendar.timeZone = zone
        let parts = calendar.dateComponents([.hour, .minute], from: now)
        let minute = (parts.hour ?? 0) * 60 + (parts.minute ?? 0)
        let isOpen =
            self.start < self.end
            ? minute >= self.start && minute < self.end : minute >= self.start || minute < self.end
        guard isOpen else { return nil }
        return calendar.nextDate(
            after: now,
            matching: DateComponents(hour: self.end / 60, minute: self.end % 60),
            matchingPolicy: .nextTime
        )
    }

    package var description: String { "\(Self.text(self.start))-\(Self.text(self.end))" }

    private static func text(_ minute: Int) -> String {
        func two(_ number: Int) -> String { number < 10 ? "0\(number)" : "\(number)" }
        return "\(two(minute / 60)):\(two(minute % 60))"
    }
}
