package import Foundation

/// When something is due: the five fields of cron, or a word such as `@hourly`, as Distr's scheduler reads them.
///
/// Fields are minute, hour, day of month, month and day of week, with lists, ranges, steps and English names. When both days
/// are restricted, one of them is enough, as in every cron; `*/2` counts as restricted, as in the parser that Distr uses.
package struct CronExpression: Sendable, Hashable {
    /// As it was written, a zone before it included.
    package let text: String
    /// The zone of a `TZ=` or `CRON_TZ=` before the fields.
    package let zone: TimeZone?
    let minutes: CronField
    let hours: CronField
    let days: CronField
    let months: CronField
    let weekdays: CronField

    /// What a schedule's `cron` accepts, for error texts and help.
    package static let accepted =
        "five fields (minute, hour, day of month, month, day of week) such as \"0 3 * * *\", or one of "
        + "@hourly, @daily, @midnight, @weekly, @monthly, @yearly, @annually; TZ=Zone may stand before them; or off"

    private static let words = [
        "@hourly": "0 * * * *", "@daily": "0 0 * * *", "@midnight": "0 0 * * *", "@weekly": "0 0 * * 0",
        "@monthly": "0 0 1 * *", "@yearly": "0 0 1 1 *", "@annually": "0 0 1 1 *",
    ]

    /// Reads an expression.
    ///
    /// - Throws: `RejectedValue` for one that means nothing, or a day that never comes.
    package init(_ text: String) throws(RejectedValue) {
        var parts = text.split(whereSeparator: \.isWhitespace).map(String.init)
        self.text = parts.joined(separator: " ")
        var zone: TimeZone?
        if let prefix = ["TZ=", "CRON_TZ="].first(where: { parts.first?.hasPrefix($0) == true }) {
            zone = try Self.zone(named: String(parts.removeFirst().dropFirst(prefix.count)))
        }
        self.zone = zone
        if let word = parts.first, word.hasPrefix("@") {
            if word.lowercased() == "@every" {
                // Its times depend on when the program was started, so that no two replicas would agree on a slot.
                throw RejectedValue(
                    text,
                    "has no times that several replicas could agree on; write */N in a field instead",
                    accepted: Self.accepted
                )
            }
            guard let fields = Self.words[word.lowercased()], parts.count == 1 else {
                throw RejectedValue(text, "is not a schedule", accepted: Self.accepted)
            }
            parts = fields.split(separator: " ").map(String.init)
        }
        guard parts.count == 5 else {
            let count = parts.count == 1 ? "1 field" : "\(parts.count) fields"
            throw RejectedValue(text, parts.isEmpty ? "is empty" : "has \(count)", accepted: Self.accepted)
        }
        self.minutes = try CronField.minute.parse(parts[0])
        self.hours = try CronField.hour.parse(parts[1])
        self.days = try CronField.dayOfMonth.parse(parts[2])
        self.months = try CronField.month.parse(parts[3])
        self.weekdays = try CronField.dayOfWeek.parse(parts[4])
        guard self.weekdays.isRestricted || Self.hasDay(self.days, in: self.months) else {
            throw RejectedValue(text, "names a day that never comes", accepted: Self.accepted)
        }
    }

    /// Reads the name of a time zone, such as `Europe/Berlin`.
    package static func zone(named name: String) throws(RejectedValue) -> TimeZone {
        guard !name.isEmpty, let zone = TimeZone(identifier: name) else {
            throw RejectedValue(name, "is not a time zone", accepted: "a name such as UTC or Europe/Berlin")
        }
        return zone
    }

    private static func hasDay(_ days: CronField, in months: CronField) -> Bool {
        let lengths = [31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31]
        return lengths.enumerated().contains { index, length in
            months.contains(index + 1) && (1...length).contains { days.contains($0) }
        }
    }

    /// Whether a day has slots.
    func includes(_ day: CivilDay) -> Bool {
        guard self.months.contains(day.month) else { return false }
        let byDate = self.days.contains(day.day)
        let byWeekday = self.weekdays.contains(day.weekday)
        return self.days.isRestricted && self.weekdays.isRestricted ? byDate || byWeekday : byDate && byWeekday
    }

    /// Whether hour and minute are fixed, so that a clock that is put forward or back must neither drop nor double them.
    var isFixedTime: Bool { !self.hours.isWild && !self.minutes.isWild }
}

extension TimeZone {
    /// Its name in words; Foundation calls UTC `GMT`, whichever of the two was asked for.
    package var name: String { self.identifier == "GMT" ? "UTC" : self.identifier }
}
