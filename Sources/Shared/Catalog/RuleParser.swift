/// Reads what makes a row of a target expired.
struct RuleParser {
    let columns: ColumnParser

    private static let acceptedAge =
        "\(DurationText.acceptedPositive), or ${NAME} or ${NAME:-value} for a variable, also with a unit behind it"
    private static let acceptedCount = "\(KnobText.acceptedCount), or ${NAME} or ${NAME:-value} for a variable"
    private static let acceptedTime = "a time column of the target's table or of a joined one"

    /// The rule; at least one condition has to be given, or every row would be expired.
    func rule(_ fields: ConfigurationNode.Fields) throws(ConfigurationError) -> Rule {
        var rule = Rule()
        if let node = fields["max_age"] { rule.maxAge = try self.maxAge(node) }
        if let node = fields["expires_at"] { rule.expiresAt = try self.columns.column(node) }
        if let node = fields["keep_newest"] { rule.keepNewest = try self.keepNewest(node) }
        if let node = fields["where"] { rule.where = try self.condition(node) }
        guard rule != Rule() else {
            throw fields.node.error(
                "the target has no rule and would delete every row; "
                    + "accepted: one or more of max_age, expires_at, keep_newest, where"
            )
        }
        return rule
    }

    private func maxAge(_ node: ConfigurationNode) throws(ConfigurationError) -> Rule.MaxAge {
        let fields = try node.fields(["column", "age"])
        let column = try self.columns.column(fields.required("column", accepted: Self.acceptedTime))
        let age = try fields.required("age", accepted: Self.acceptedAge).parse(accepted: Self.acceptedAge) {
            (text) throws(RejectedValue) in
            try KnobText.ageKnob(text)
        }
        return Rule.MaxAge(column: column, age: age)
    }

    private func keepNewest(_ node: ConfigurationNode) throws(ConfigurationError) -> Rule.KeepNewest {
        let fields = try node.fields(["count", "per", "order"])
        let count = try fields.required("count", accepted: Self.acceptedCount).parse(accepted: Self.acceptedCount) {
            (text) throws(RejectedValue) in
            try KnobText.knob(text) { (text) throws(RejectedValue) in _ = try KnobText.count(text) }
        }
        let per = "the column, or the list of columns, that groups rows"
        let order = "the column, or the list of columns, by which the newest row is the greatest"
        return Rule.KeepNewest(
            count: count,
            per: try self.columns.columns(fields.required("per", accepted: per), accepted: per),
            order: try self.columns.ownColumns(fields.required("order", accepted: order), accepted: order)
        )
    }

    private func condition(_ node: ConfigurationNode) throws(ConfigurationError) -> String {
        let accepted = "an SQL condition on the target's columns"
        let text = try node.text(accepted: accepted)
        guard !text.allSatisfy(\.isWhitespace) else {
            throw node.error("\"\(text)\" is empty; accepted: \(accepted)")
        }
        return text
    }
}
