/// One field of a cron expression: the numbers that it selects.
struct CronField: Sendable, Hashable {
    /// Bit n: the number n is selected.
    private var bits: UInt64 = 0
    /// Whether it leaves anything out, by its form: `*` and `?` do not, `*/2` and `0-59` do.
    private(set) var isRestricted = true
    /// Whether a `*` or `?` is in it, with a step or without: it then goes along with the clock.
    private(set) var isWild = false

    func contains(_ number: Int) -> Bool { self.bits >> UInt64(number) & 1 == 1 }

    /// What may stand in a field.
    struct Kind: Sendable {
        var name: String
        var range: ClosedRange<Int>
        /// For the first number of `range` and those after it.
        var names: [String] = []

        private var accepted: String {
            let names =
                self.names.isEmpty ? "" : " or \(self.names.first ?? "") to \(self.names.last ?? "")"
            return
                "\(self.range.lowerBound) to \(self.range.upperBound)\(names), *, lists (1,3), ranges (1-5) and steps (*/2)"
        }

        func parse(_ text: String) throws(RejectedValue) -> CronField {
            var field = CronField()
            for item in text.split(separator: ",", omittingEmptySubsequences: false) {
                guard self.add(item, to: &field) else {
                    throw RejectedValue(text, "is not a cron field for the \(self.name)", accepted: self.accepted)
                }
            }
            return field
        }

        /// `*`, `N`, `N-M`, each with `/STEP`; false for anything else.
        private func add(_ item: Substring, to field: inout CronField) -> Bool {
            let parts = item.split(separator: "/", omittingEmptySubsequences: false)
            guard parts.count <= 2 else { return false }
            var step = 1
            if parts.count == 2 {
                guard let number = Self.number(parts[1]), number > 0 else { return false }
                step = number
            }
            let span: ClosedRange<Int>
            if parts[0] == "*" || parts[0] == "?" {
                span = self.range
                field.isWild = true
                if step == 1 { field.isRestricted = false }
            } else {
                let ends = parts[0].split(separator: "-", omittingEmptySubsequences: false)
                guard ends.count <= 2, let first = self.value(ends[0]) else { return false }
                // "5/15" goes on to the end, as in the parser that Distr uses.
                var last = parts.count == 2 ? self.range.upperBound : first
                if ends.count == 2 {
                    guard let end = self.value(ends[1]) else { return false }
                    // "fri-sun": Sunday is 0 and 7; "sun-sun" is one day.
                    last = end == 0 && first > 0 && self.hasTwoSundays ? 7 : end
                }
                guard first <= last else { return false }
                span = first...last
            }
            for number in stride(from: span.lowerBound, through: span.upperBound, by: step) {
                field.bits |= 1 << UInt64(number == 7 && self.hasTwoSundays ? 0 : number)
            }
            return true
        }

        private var hasTwoSundays: Bool { self.range == CronField.dayOfWeek.range }

        private func value(_ text: Substring) -> Int? {
            if let index = self.names.firstIndex(of: text.lowercased()) { return self.range.lowerBound + index }
            guard let number = Self.number(text) else { return nil }
            return self.range.contains(number) || number == 7 && self.hasTwoSundays ? number : nil
        }

        /// Digits only: `Int` would take a sign.
        private static func number(_ text: Substring) -> Int? {
            text.allSatisfy { $0.isASCII && $0.isNumber } ? Int(text) : nil
        }
    }

    static let minute = Kind(name: "minute", range: 0...59)
    static let hour = Kind(name: "hour", range: 0...23)
    static let dayOfMonth = Kind(name: "day of month", range: 1...31)
    static let month = Kind(
        name: "month",
        range: 1...12,
        names: ["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"]
    )
    static let dayOfWeek = Kind(
        name: "day of week",
        range: 0...6,
        names: ["sun", "mon", "tue", "wed", "thu", "fri", "sat"]
    )
}
