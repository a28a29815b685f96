extension Target {
    /// The rule for people: `older than 24h by created_at, but never the newest 1 per device_id (by created_at)`.
    ///
    /// Without `values`, a knob shows as the variable that sets it.
    package func ruleInWords(_ values: KnobValues? = nil) -> String {
        let rule = self.rule
        var expired: [String] = []
        if let maxAge = rule.maxAge {
            let age = Self.words(maxAge.age, values?.maxAge.map(DurationText.format))
            expired.append("older than \(age) by \(maxAge.column)")
        }
        if let expiresAt = rule.expiresAt { expired.append("past their \(expiresAt)") }
        if let condition = rule.where {
            // A block of YAML ends with a line break.
            let end =
                condition.lastIndex { !$0.isWhitespace }.map { condition.index(after: $0) } ?? condition.startIndex
            expired.append("where \(condition[..<end])")
        }
        let words = expired.joined(separator: " and ")
        let referring =
            self.protect
            + self.unreferenced.map { column in
                switch column.place {
                case .schema(let schema): "\(schema.map { "\($0)." } ?? "")\(column.table).\(column.column)"
                case .group(let group): "\(column.table).\(column.column) in \(group.name)"
                }
            }
        let unless =
            (referring.isEmpty ? "" : ", unless \(referring.joined(separator: " or ")) refers to it")
            + (self.leafFirst.map { ", leaf first by \($0)" } ?? "")
        guard let keepNewest = rule.keepNewest else { return (words.isEmpty ? "all" : words) + unless }
        let count = Self.words(keepNewest.count, values?.keep.map { "\($0)" })
        let per = keepNewest.per.map(\.description).joined(separator: ", ")
        let newest = "the newest \(count) per \(per) (by \(keepNewest.order.joined(separator: ", ")))"
        return (expired.isEmpty ? "all but \(newest)" : "\(words), but never \(newest)") + unless
    }

    private static func words(_ knob: Knob, _ value: String?) -> String {
        value ?? knob.words
    }
}

extension Knob {
    /// For people: the literal, the value while the variable is unset, or else the variable: `7d`, `DAYS days`.
    var words: String {
        switch self {
        case .literal(let text): text
        case .variable(let name, nil, let unit?): "\(name) \(Self.units[unit] ?? unit)"
        case .variable(let name, let text, let unit): (text ?? name) + (unit ?? "")
        }
    }

    private static let units = ["s": "seconds", "m": "minutes", "h": "hours", "d": "days"]
}
