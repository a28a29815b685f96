/// Reads the values of knobs: in YAML, in a variable, or on the command line, always the same way.
enum KnobText {
    /// As the ledger and `LIMIT` in Ebb's statements have them.
    private static let mostCount = Int(Int32.max)
    static let acceptedCount = "a whole number of at least 1"

    /// `${NAME}`, `${NAME:-value}` or a literal, of which `check` accepts the value or the literal.
    static func knob(
        _ text: String,
        check: (String) throws(RejectedValue) -> Void
    ) throws(RejectedValue) -> Knob {
        if let match = text.wholeMatch(of: /\$\{([A-Za-z_][A-Za-z0-9_]*)(?::-(.*))?\}/) {
            if let otherwise = match.2 { try check(String(otherwise)) }
            return .variable(String(match.1), otherwise: match.2.map(String.init))
        }
        try check(text)
        return .literal(text)
    }

    /// As ``knob(_:check:)``, of an age: a unit may stand behind the variable, which then holds a whole number, `${DAYS:-7}d`.
    static func ageKnob(_ text: String) throws(RejectedValue) -> Knob {
        if let match = text.wholeMatch(of: /\$\{([A-Za-z_][A-Za-z0-9_]*)(?::-(.*))?\}([a-z\u{B5}\u{3BC}]+)/) {
            let unit = String(match.3)
            // The unit, and the number if there is one, have to be an age together.
            _ = try Self.age(match.2.map(String.init) ?? "1", unit: unit)
            return .variable(String(match.1), otherwise: match.2.map(String.init), unit: unit)
        }
        return try Self.knob(text) { (text) throws(RejectedValue) in _ = try Self.age(text) }
    }

    /// A whole number of a unit.
    static func age(_ text: String, unit: String) throws(RejectedValue) -> Duration {
        guard let number = Int(text) else {
            throw RejectedValue(text, "is not a whole number", accepted: Self.acceptedCount)
        }
        guard number > 0 else { throw RejectedValue(text, "is not greater than zero", accepted: Self.acceptedCount) }
        return try DurationText.parsePositive("\(number)\(unit)")
    }

    static func age(_ text: String) throws(RejectedValue) -> Duration {
        try DurationText.parsePositive(text)
    }

    static func count(_ text: String) throws(RejectedValue) -> Int {
        guard let count = Int(text) else {
            throw RejectedValue(text, "is not a whole number", accepted: Self.acceptedCount)
        }
        guard count <= Self.mostCount else {
            throw RejectedValue(text, "is too large", accepted: "at most \(Self.mostCount)")
        }
        guard count >= 0 else { throw RejectedValue(text, "is negative", accepted: Self.acceptedCount) }
        return count
    }
}
