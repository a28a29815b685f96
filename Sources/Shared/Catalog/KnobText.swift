/// Reads the values of knobs: in YAML, in a variable, or on the command line, always the same way.
enum KnobText {
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

    static func age(_ text: String) throws(RejectedValue) -> Duration {
        try DurationText.parsePositive(text)
    }

    static func count(_ text: String) throws(RejectedValue) -> Int {
        guard let count = Int(text) else {
            throw RejectedValue(text, "is not a whole number", accepted: Self.acceptedCount)
        }
        guard count >= 0 else { throw RejectedValue(text, "is negative", accepted: Self.acceptedCount) }
        return count
    }
}
