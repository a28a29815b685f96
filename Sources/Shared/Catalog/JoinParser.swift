/// Reads the joins of a target.
struct JoinParser {
    /// The target's own table.
    let table: String

    /// `joins: {other: other.id = table.other_id}`, in the order written, which is the order of SQL's JOINs.
    func joins(_ node: ConfigurationNode?) throws(ConfigurationError) -> [Join] {
        var joins: [Join] = []
        for entry in try node?.entries() ?? [] {
            let name: String
            do {
                name = try NameScanner.name(entry.key)
            } catch {
                throw ConfigurationError(name: entry.value.place.description, rejected: error)
            }
            guard name != self.table, !joins.contains(where: { $0.table == name }) else {
                throw entry.value.error("\"\(name)\" is already part of the rule; accepted: each table once")
            }
            joins.append(try self.join(name, entry.value, after: joins))
        }
        return joins
    }

    private func join(
        _ name: String,
        _ node: ConfigurationNode,
        after joins: [Join]
    ) throws(ConfigurationError) -> Join {
        let columns = ColumnParser(table: self.table, joins: joins + [Join(table: name, conditions: [])])
        let written = try node.parse(accepted: NameScanner.acceptedConditions, NameScanner.conditions)
        var conditions: [Join.Equality] = []
        for condition in written {
            let left = try columns.resolve(condition.left, node)
            let right = try columns.resolve(condition.right, node)
            // Anything else leaves the joined table loose, and every row would meet every row of it.
            guard (left.table == name) != (right.table == name) else {
                throw node.error(
                    "\"\(condition.left) = \(condition.right)\" does not tie \(name) to another table; "
                        + "accepted: a column of \(name) on one side only"
                )
            }
            conditions.append(Join.Equality(left: left, right: right))
        }
        return Join(table: name, conditions: conditions)
    }
}
