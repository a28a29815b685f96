/// A day of the Gregorian calendar, as a number that can be counted on.
struct CivilDay: Sendable, Equatable {
    /// Days since 1 January 1970.
    let number: Int

    /// The day and the second in it of a moment, in a zone that is so many seconds east of UTC.
    init(epochSeconds: Int) { self.number = Int((Double(epochSeconds) / 86_400).rounded(.down)) }

    init(number: Int) { self.number = number }

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
