/// Writes a target's rule as SQL conditions.
///
/// **Only a batch's range may use an index.** Every other condition is written so that no index can serve it: columns as
/// `COALESCE(c, c)`, the operator's `where` as a `CASE` or a scalar subquery. Statistics change while a run deletes (autovacuum and
/// ANALYZE come in between), and with plain conditions the last batches of a run flipped to an index full of dead entries.
/// DESIGN section 5 pins plans with `enable_*` settings alone; they hold for a whole statement, though, and the proof of
/// the pivots needs index lookups, so those settings only finish what this rule begins (`TransactionSettings`).
struct RuleSQL: Sendable {
    let resolved: ResolvedTarget
    let terms: RunTerms

    /// The alias of the target's table in every statement.
    static let row = "ebb_row"
    /// The alias of the pivots in every statement.
    static let pivot = "ebb_pivot"

    /// The alias of a joined table.
    static func join(_ position: Int) -> String { "ebb_join\(position + 1)" }

    /// A column of the target's table, open to indexes.
    func plain(_ column: String, of alias: String = Self.row) -> String { "\(alias).\(SQLText.quoted(column))" }

    /// A column of the target's table, closed to indexes.
    func closed(_ column: String, of alias: String = Self.row) -> String {
        "COALESCE(\(self.plain(column, of: alias)), \(self.plain(column, of: alias)))"
    }

    /// The conditions on the row alone: age, expiry, `where`, `protect`.
    ///
    /// NULL times fail them.
    ///
    /// - `isAlone`: as for ``condition(on:isAlone:)``.
    func rowConditions(isAlone: Bool = false, _ sql: inout SQLText) -> [String] {
        self.ages(joined: true, &sql) + self.ownConditions(isAlone: isAlone, &sql) + self.unreferenced()
    }

    /// Those of the conditions on the row that its own columns and the operator's `where` tell.
    ///
    /// - `isAlone`: as for ``condition(on:isAlone:)``.
    func ownConditions(isAlone: Bool, _ sql: inout SQLText) -> [String] {
        var conditions = self.ages(joined: false, &sql)
        // Nothing is kept: only that a row has a place in the order is left of `keep_newest`.
        if self.terms.keep == 0 {
            conditions += self.resolved.order.filter { !$0.isNotNull }.map { "\(self.plain($0.name)) IS NOT NULL" }
        }
        if let condition = self.condition(on: Self.row, isAlone: isAlone) { conditions.append(condition) }
        return conditions
    }

    /// Age and expiry, by columns of joined tables or by the row's own.
    private func ages(joined: Bool, _ sql: inout SQLText) -> [String] {
        let times = [(self.resolved.age, self.terms.cutoff), (self.resolved.expiry, self.terms.createdAt)]
        return times.compactMap { column, limit in
            guard let column, (column.join != nil) == joined else { return nil }
            let name = self.closed(column.facts.name, of: column.join.map(Self.join) ?? Self.row)
            return "\(name) < \(sql.bind(self.moment(limit, column.type), as: column.type))"
        }
    }

    /// The operator's `where`; nil without one.
    ///
    /// The subquery's only table carries the target's name and columns, so that the operator can write the condition as if it
    /// stood alone; the line break ends a trailing comment of theirs.
    ///
    /// A subquery takes 0.5 µs a row, which was an eighth of the time of AYON's logs. Names of columns alone mean the same
    /// without one, where no other table is in sight.
    ///
    /// - `isAlone`: whether the statement selects from the target's table only, at this level.
    func condition(on alias: String, isAlone: Bool = false) -> String? {
        self.freeCondition.map { condition in
            if isAlone, self.namesColumnsOnly(condition) {
                return "CASE WHEN (\(condition)\n) THEN true ELSE false END"
            }
            return """
                (SELECT (\(condition)
                ) FROM (SELECT \(alias).*) AS \(SQLText.quoted(self.resolved.target.table))) IS TRUE
                """
        }
    }

    /// Whether a condition certainly names neither its table nor another one.
    ///
    /// Without parsing it: a mere mention counts, too.
    private func namesColumnsOnly(_ condition: String) -> Bool {
        // A quote in a quoted name is doubled; U&"…" can spell a name in any way.
        let text = condition.lowercased().replacing("\"\"", with: "\"")
        let names = ["select", "u&", self.resolved.target.table.lowercased()]
        return !names.contains { text.contains($0) }
    }

    /// Whether the conditions read nothing but the row, as far as their text tells.
    var readOneTable: Bool {
        self.resolved.target.joins.isEmpty && !self.terms.keepsNewest && self.unreferenced().isEmpty
            && self.freeCondition.map { self.namesColumnsOnly($0) } ?? true
    }

    /// The operator's `where` for this run, as it is to be read; nil without one.
    var freeCondition: String? {
        self.resolved.target.rule.where.map {
            SQLTemplate($0).render(schema: self.resolved.facts.schema, now: self.terms.createdAt)
        }
    }

    /// A moment in the form that its type reads as UTC.
    func moment(_ text: String?, _ type: String) -> String? {
        guard let text else { return nil }
        return switch type {
        case "timestamptz": text + "+00"
        case "bigint": CivilDay.epochSeconds(text).map { String($0) }
        default: text
        }
    }

    /// The upper end of what can be expired in the time column, for windows: the cutoff, or the creation moment.
    func timeLimit() -> (column: ColumnFacts, type: String, value: String)? {
        guard let column = self.resolved.timeColumn, let type = column.timeType else { return nil }
        let isAge = self.resolved.age.map { $0.join == nil } ?? false
        let text = isAge ? self.terms.cutoff : self.terms.createdAt
        return self.moment(text, type).map { (column, type, $0) }
    }

    /// The joined tables as a FROM list, the conditions that tie them to the row, and those among themselves.
    struct Joins {
        var from: [String] = []
        var toRow: [String] = []
        var among: [String] = []

        var conditions: [String] { self.toRow + self.among }
    }

    /// The joined tables.
    ///
    /// - `open`: whether the row's own columns may be looked up by index, as the group strategy does.
    /// - `row`: the alias of the target's own table.
    func joins(open: Bool, row: String = Self.row) -> Joins {
        var joins = Joins()
        for (position, join) in self.resolved.target.joins.enumerated() {
            joins.from.append("\(self.resolved.facts.joined[position].name) AS \(Self.join(position))")
            for equality in join.conditions {
                let sides = [equality.left, equality.right].map { self.reference($0, open: open, row) }
                let condition = "\(sides[0]) = \(sides[1])"
                if equality.left.table == nil || equality.right.table == nil {
                    joins.toRow.append(condition)
                } else {
                    joins.among.append(condition)
                }
            }
        }
        return joins
    }

    private func reference(_ column: Column, open: Bool, _ row: String) -> String {
        if let position = self.resolved.target.joins.firstIndex(where: { $0.table == column.table }) {
            return self.plain(column.name, of: Self.join(position))
        }
        return open ? self.plain(column.name, of: row) : self.closed(column.name, of: row)
    }

    /// The group's value of a row.
    func groupValue(_ position: Int, open: Bool) -> String {
        let column = self.resolved.group[position]
        if let join = column.join { return self.plain(column.facts.name, of: Self.join(join)) }
        return open ? self.plain(column.facts.name) : self.closed(column.facts.name)
    }

    /// That the row belongs to the pivot's group.
    ///
    /// A NULL group is one group. `IS NOT DISTINCT FROM` would say so, but it cannot be hashed: a value of the type takes the
    /// place of NULL, and the rows that are found by it are compared again. Types without such a value are compared as arrays,
    /// whose elements may be NULL, which takes half as long again.
    func sameGroup(open: Bool) -> [String] {
        if open, self.resolved.groupIndex != nil, !self.resolved.group.allSatisfy(\.facts.isNotNull) {
            return [self.sameGroupByIndex()]
        }
        return self.resolved.group.indices.flatMap { position in
            let value = self.groupValue(position, open: open)
            let pivot = "\(Self.pivot).g\(position + 1)"
            if self.resolved.group[position].facts.isNotNull { return ["\(value) = \(pivot)"] }
            if let filler = self.resolved.group[position].facts.filler {
                let plain = self.groupValue(position, open: true)
                return [
                    // Twice the column: no index is on that.
                    "COALESCE(\(plain), \(plain), \(filler)) = COALESCE(\(pivot), \(filler))",
                    // Not `=`, which would be hashed, too.
                    "(\(plain) IS NULL) IS NOT DISTINCT FROM (\(pivot) IS NULL)",
                ]
            }
            // The second condition is for columns that are arrays: there ARRAY[NULL] equals ARRAY['{}'].
            return ["ARRAY[\(value)] = ARRAY[\(pivot)]", "(\(value) IS NULL) = (\(pivot) IS NULL)"]
        }
    }

    /// The same for an index to look up: one alternative for each way in which the pivot's group can be NULL.
    ///
    /// All but one of them compare the order with NULL, so that the index is not even read for them.
    private func sameGroupByIndex() -> String {
        let order = (row: self.plain(self.resolved.order[0].name), pivot: "\(Self.pivot).o1")
        var alternatives: [(conditions: [String], nulls: [String])] = [([], [])]
        for position in self.resolved.group.indices {
            let value = self.groupValue(position, open: true)
            let pivot = "\(Self.pivot).g\(position + 1)"
            let equal = alternatives.map { ($0.conditions + ["\(value) = \(pivot)"], $0.nulls) }
            if self.resolved.group[position].facts.isNotNull {
                alternatives = equal
            } else {
                alternatives = equal + alternatives.map { ($0.conditions + ["\(value) IS NULL"], $0.nulls + [pivot]) }
            }
        }
        let texts = alternatives.map { conditions, nulls in
            let limit =
                nulls.isEmpty
                ? order.pivot
                : "CASE WHEN \(nulls.map { "\($0) IS NULL" }.joined(separator: " AND ")) THEN \(order.pivot) END"
            return (conditions + ["\(order.row) <= \(limit)"]).joined(separator: " AND ")
        }
        return "(" + texts.map { "(\($0))" }.joined(separator: " OR ") + ")"
    }

    /// That the row is strictly older than its pivot, in the order of `keep_newest`.
    func olderThanPivot(open: Bool) -> [String] {
        let columns = self.resolved.order.map { open ? self.plain($0.name) : self.closed($0.name) }
        let pivots = columns.indices.map { "\(Self.pivot).o\($0 + 1)" }
        guard columns.count > 1 else { return ["\(columns[0]) < \(pivots[0])"] }
        // A row comparison is decided by its first difference, so a NULL further back would go unnoticed.
        let present = self.resolved.order.dropFirst().filter { !$0.isNotNull }
            .map { "\(self.plain($0.name)) IS NOT NULL" }
        return ["(\(columns.joined(separator: ", "))) < (\(pivots.joined(separator: ", ")))"] + present
    }
}
