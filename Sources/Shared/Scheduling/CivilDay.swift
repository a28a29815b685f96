/// A day of the Gregorian calendar, as a number that can be counted on.
struct CivilDay: Sendable, Equatable {
    /// Days since 1 January 1970.
    let number: Int

    /// The day and the second in it of a moment, in a zone that is so many seconds east of UTC.
    init(epochSeconds: Int) { self.number = Int((Double(epochSeconds) / 86_400).rounded(.down)) }

    init(number: Int) { self.number = number }

    /// A date, after Howard Hinnant's `days_from_civil`; see `parts`.
    init(year: Int, month: Int, day: Int) {
        let shifted = month > 2 ? year : year - 1
        let era = (shifted >= 0 ? shifted : shifted - 399) / 400
        let yearOfEra = shifted - era * 400
        let dayOfYear = (153 * (month > 2 ? month - 3 : month + 9) + 2) / 5 + day - 1
        self.number = era * 146_097 + yearOfEra * 365 + yearOfEra / 4 - yearOfEra / 100 + dayOfYear - 719_468
    }

    /// The first whole second since 1970 that is not before a moment as `RunRecord.format` writes it; nil for other texts.
    ///
    /// A column of whole seconds is older than the moment when it is less than this.
    static func epochSeconds(_ text: String) -> Int? {
        guard let match = text.wholeMatch(of: /(\d{4,6})-(\d\d)-(\d\d) (\d\d):(\d\d):(\d\d)(?:\.(\d+))?/) else {
            return nil
        }
        let numbers = [match.1, match.2, match.3, match.4, match.5, match.6].compactMap { Int($0) }
        guard numbers.count == 6 else { return nil }
        let day = CivilDay(year: numbers[0], month: numbers[1], day: numbers[2]).number
        let isWhole = match.7?.allSatisfy { $0 == "0" } ?? true
        return day * 86_400 + numbers[3] * 3_600 + numbers[4] * 60 + numbers[5] + (isWhole ? 0 : 1)
    }

    /// 0 is Sunday.
    var weekday: Int { ((self.number + 4) % 7 + 7) % 7 }

    var month: Int { self.parts.month }
    var day: Int { self.parts.day }

    /// Month and day, after Howard Hinnant's `civil_from_days`.
    ///
    /// Years are counted from March here, so that a leap day is the last of its year and months have a regular pattern; eras of
    /// 400 years are all alike.
    private var parts: (month: Int, day: Int) {
        let shifted = self.number + 719_468
        let era = (shifted >= 0 ? shifted : shifted - 146_096) / 146_097
        let dayOfEra = shifted - era * 146_097
        let yearOfEra = (dayOfEra - dayOfEra / 1_460 + dayOfEra / 36_524 - dayOfEra / 146_096) / 365
        let dayOfYear = dayOfEra - (365 * yearOfEra + yearOfEra / 4 - yearOfEra / 100)
        let shiftedMonth = (5 * dayOfYear + 2) / 153
        let day = dayOfYear - (153 * shiftedMonth + 2) / 5 + 1
        return (shiftedMonth < 10 ? shiftedMonth + 3 : shiftedMonth - 9, day)
    }
}
