/// Reads `drain_first`: children of a target's table that lose their rows before it does, in runs of their own.
///
/// A child names how it is joined to its parent; which of its rows go is the parent's rule, read through the join.
struct DrainParser {
    let parent: Target

    private static let acceptedKey = "the column, or the list of columns, that identifies a row"

    /// `drain_first: {child: {key: …, joins: {…}, if_exists: …}}`, as targets named `Parent.child`, which no operator can name.
    func drains(_ node: ConfigurationNode) throws(ConfigurationError) -> [Target] {
        guard self.parent.rule.where == nil, self.parent.rule.keepNewest == nil, self.parent.joins.isEmpty else {
            throw node.error("children can only follow a rule of max_age and expires_at by own columns; accepted: that")
        }
        var drains: [Target] = []
        for entry in try node.entries() { drains.append(try self.drain(entry)) }
        return drains
    }

    private func drain(_ entry: ConfigurationNode.Entry) throws(ConfigurationError) -> Target {
        let table: String
        do { table = try NameScanner.name(entry.key) } catch {
            throw ConfigurationError(name: entry.value.place.description, rejected: error)
        }
        let fields = try entry.value.fields(["key", "joins", "if_exists"])
        let joins = try JoinParser(table: table).joins(fields["joins"])
        guard joins.contains(where: { $0.table == self.parent.table }) else {
            throw entry.value.error(
                "the child \(table) is not joined to \(self.parent.table); accepted: joins that lead from \(table) to it"
            )
        }
        let columns = ColumnParser(table: table, joins: joins)
        let key = try columns.ownColumns(
            fields.required("key", accepted: Self.acceptedKey),
            accepted: Self.acceptedKey
        )
        var rule = self.parent.rule
        rule.maxAge?.column.table = self.parent.table
        rule.expiresAt?.table = self.parent.table
        var child = Target(
            name: "\(self.parent.name).\(table)",
            schema: self.parent.schema,
            table: table,
            key: key,
            joins: joins,
            rule: rule
        )
        child.isOptional = try fields["if_exists"]?.parse(accepted: FlagText.accepted, FlagText.parse) ?? false
        return child
    }
}
