package import FoundationEssentials

/// Moments as object storages write them.
///
/// `Date`'s own styles would read them, too, but each listing has a thousand, and the signature needs a form that none has.
package enum StorageTime {
    /// A `Date` header, `Sun, 06 Nov 1994 08:49:37 GMT`; nil for anything else.
    package static func header(_ text: String) -> Date? {
        let parts = text.split(whereSeparator: { $0 == " " || $0 == ":" })
        guard parts.count == 8, parts[7] == "GMT", let month = Self.months.firstIndex(of: String(parts[2])) else {
            return nil
        }
        return Self.date([parts[3], "\(month + 1)", parts[1], parts[4], parts[5], parts[6]])
    }

    /// A `LastModified`, `2026-11-21T09:30:00.000Z`, with or without a fraction; nil for anything else.
    package static func iso(_ text: String) -> Date? {
        guard text.hasSuffix("Z") else { return nil }
        let parts = text.dropLast().split(whereSeparator: { "-T:".contains($0) })
        guard parts.count == 6 else { return nil }
        let seconds = parts[5].split(separator: ".", maxSplits: 1)
        guard let whole = seconds.first else { return nil }
        let fraction = seconds.count == 2 ? Double("0.\(seconds[1])") : 0
        guard let fraction else { return nil }
        return Self.date(Array(parts[..<5]) + [whole])?.addingTimeInterval(fraction)
    }

    /// `20130524T000000Z`, as signatures want it.
    static func compact(_ date: Date) -> String {
        let seconds = Int(date.timeIntervalSince1970.rounded(.down))
        let days = Int((Double(seconds) / 86_400).rounded(.down))
        let (year, month, day) = Self.civil(days)
        let rest = seconds - days * 86_400
        return Self.padded(year, 4) + Self.padded(month, 2) + Self.padded(day, 2) + "T"
            + Self.padded(rest / 3_600, 2) + Self.padded(rest / 60 % 60, 2) + Self.padded(rest % 60, 2) + "Z"
    }

    private static let months = [
        "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec",
    ]

    private static func padded(_ number: Int, _ width: Int) -> String {
        let digits = String(number)
        return String(repeating: "0", count: max(0, width - digits.count)) + digits
    }

    /// Year, month, day, hour, minute, second.
    private static func date(_ parts: [Substring]) -> Date? {
        let numbers = parts.compactMap { part in part.allSatisfy(\.isNumber) ? Int(part) : nil }
        guard numbers.count == 6, (1...12).contains(numbers[1]), (1...31).contains(numbers[2]) else { return nil }
        guard numbers[3] < 24, numbers[4] < 60, numbers[5] <= 60 else { return nil }
        let days = Self.days(numbers[0], numbers[1], numbers[2])
        return Date(timeIntervalSince1970: Double(((days * 24 + numbers[3]) * 60 + numbers[4]) * 60 + numbers[5]))
    }

    /// Days since 1970 in the Gregorian calendar; years begin in March here, so that a leap day is a year's last.
    private static func days(_ year: Int, _ month: Int, _ day: Int) -> Int {
        let shifted = month > 2 ? year : year - 1
        let era = shifted / 400
        let yearOfEra = shifted - era * 400
        let dayOfYear = (153 * (month > 2 ? month - 3 : month + 9) + 2) / 5 + day - 1
        return era * 146_097 + yearOfEra * 365 + yearOfEra / 4 - yearOfEra / 100 + dayOfYear - 719_468
    }

    /// The other way round.
    private static func civil(_ days: Int) -> (year: Int, month: Int, day: Int) {
        let shifted = days + 719_468
        let era = shifted / 146_097
        let dayOfEra = shifted - era * 146_097
        let yearOfEra = (dayOfEra - dayOfEra / 1_460 + dayOfEra / 36_524 - dayOfEra / 146_096) / 365
        let dayOfYear = dayOfEra - (365 * yearOfEra + yearOfEra / 4 - yearOfEra / 100)
        let shiftedMonth = (5 * dayOfYear + 2) / 153
        let month = shiftedMonth < 10 ? shiftedMonth + 3 : shiftedMonth - 9
        return (yearOfEra + era * 400 + (month <= 2 ? 1 : 0), month, dayOfYear - (153 * shiftedMonth + 2) / 5 + 1)
    }
}
