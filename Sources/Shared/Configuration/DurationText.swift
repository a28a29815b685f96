/// Durations as Go writes them (`90s`, `1h30m`, `1.5h`, `250ms`), and days (`7d`).
///
/// Distr's variables hold Go durations and must work unchanged. Days are an addition, and exactly 24 hours: an age is a
/// distance in time, not a calendar date.
package enum DurationText {
    /// What ``parse(_:)`` accepts, for error texts and help.
    package static let accepted = "a number and a unit (ns, us, ms, s, m, h, d), or several, such as 90s, 1h30m or 7d"

    /// What ``parsePositive(_:)`` accepts.
    package static let acceptedPositive = "a duration greater than zero, such as 90s, 1h30m or 7d"

    private static let nanosecondsPerUnit: [String: Int128] = [
        "ns": 1,
        "us": 1_000,
        "\u{B5}s": 1_000,  // micro sign
        "\u{3BC}s": 1_000,  // Greek letter mu
        "ms": 1_000_000,
        "s": 1_000_000_000,
        "m": 60_000_000_000,
        "h": 3_600_000_000_000,
        "d": 86_400_000_000_000,
    ]

    /// Reads a duration, which may be negative.
    package static func parse(_ text: String) throws(RejectedValue) -> Duration {
        var rest = text[...]
        var sign: Int128 = 1
        if let first = rest.first, first == "-" || first == "+" {
            sign = first == "-" ? -1 : 1
            rest.removeFirst()
        }
        if rest == "0" { return .zero }
        var total: Int128 = 0
        repeat {
            guard let nanoseconds = Self.takeTerm(&rest) else {
                throw RejectedValue(text, "is not a duration", accepted: Self.accepted)
            }
            total += nanoseconds
            // Go's own limit, about 292 years; it also keeps every later sum of a date and a duration inside Int64.
            guard total <= Int128(Int64.max) else {
                throw RejectedValue(text, "is too long", accepted: "a duration of at most 106751d")
            }
        } while !rest.isEmpty
        return .nanoseconds(Int64(sign * total))
    }

    /// Reads a duration that must be greater than zero, as every age must: with a zero or negative age, rows would expire
    /// before they are written.
    package static func parsePositive(_ text: String) throws(RejectedValue) -> Duration {
        let duration = try Self.parse(text)
        guard duration > .zero else {
            throw RejectedValue(text, "is not greater than zero", accepted: Self.acceptedPositive)
        }
        return duration
    }

    /// Writes a duration so that ``parse(_:)`` reads the same again, down to the nanosecond.
    package static func format(_ duration: Duration) -> String {
        let (seconds, attoseconds) = duration.components
        let signed = Int128(seconds) * 1_000_000_000 + Int128(attoseconds / 1_000_000_000)
        let total = signed.magnitude
        let sign = signed < 0 ? "-" : ""
        switch total {
        case 0: return "0s"
        case ..<1_000: return "\(sign)\(total)ns"
        case ..<1_000_000: return sign + Self.decimal(total, unit: 1_000) + "us"
        case ..<1_000_000_000: return sign + Self.decimal(total, unit: 1_000_000) + "ms"
        default: break
        }
        let day: UInt128 = 86_400_000_000_000
        // "24h" and "36h" read better than "1d" and "1d12h"; from two whole days on, days do.
        if total >= 2 * day, total % day == 0 { return "\(sign)\(total / day)d" }
        let hours = total / 3_600_000_000_000
        let minutes = total / 60_000_000_000 % 60
        let rest = total % 60_000_000_000
        return sign
            + (hours > 0 ? "\(hours)h" : "")
            + (minutes > 0 ? "\(minutes)m" : "")
            + (rest > 0 ? Self.decimal(rest, unit: 1_000_000_000) + "s" : "")
    }

    /// Takes one number with its unit, in nanoseconds; what is finer is cut off, as Go does.
    private static func takeTerm(_ rest: inout Substring) -> Int128? {
        let whole = Self.takeDigits(&rest)
        var fraction = ""
        if rest.first == "." {
            rest.removeFirst()
            fraction = Self.takeDigits(&rest)
        }
        guard !whole.isEmpty || !fraction.isEmpty else { return nil }
        let unit = String(rest.prefix { $0.isLetter })
        guard let nanoseconds = Self.nanosecondsPerUnit[unit] else { return nil }
        rest.removeFirst(unit.count)
        // 20 digits are beyond the limit whatever the unit, and with it still inside Int128.
        let wholeValue = Int128(String(whole.drop { $0 == "0" }.prefix(20))) ?? 0
        let digits = String(fraction.prefix(15))
        let scale = digits.reduce(into: Int128(1)) { scale, _ in scale *= 10 }
        return wholeValue * nanoseconds + (Int128(digits) ?? 0) * nanoseconds / scale
    }

    private static func takeDigits(_ rest: inout Substring) -> String {
        let digits = rest.prefix { $0.isASCII && $0.isNumber }
        rest.removeFirst(digits.count)
        return String(digits)
    }

    private static func decimal(_ nanoseconds: UInt128, unit: UInt128) -> String {
        let fraction = nanoseconds % unit
        guard fraction > 0 else { return "\(nanoseconds / unit)" }
        let digits = String(String(unit + fraction).dropFirst())
        let kept = digits.reversed().drop { $0 == "0" }.reversed()
        return "\(nanoseconds / unit).\(String(kept))"
    }
}
