/// Reads a run's pivots inside the statement that uses them, and proves them there.
struct PivotSQL: Sendable {
    let rule: RuleSQL
    /// The ledger's schema.
    let namespace: String

    /// Where the pivots come from.
    enum Source: Sendable {
        /// `ebb.pivot`, generation by generation; with `ordinals`, only those of a group batch.
        case ledger(generation: Int, ordinals: Range<Int>?)
        /// A query that finds them anew: for `plan`, while there is no ledger.
        case query(String)
    }

    /// `ebb_pivot AS MATERIALIZED (…)` with the columns `ordinal`, `g1…`, `o1…`: the pivots whose group still has, in this very
    /// snapshot, its N rows at or above the pivot.
    ///
    /// The proof looks the N rows up by key (the pivot's witnesses). Each lookup is a subquery that `OFFSET 0` keeps from
    /// becoming a join, so that it stays an index lookup whatever the join settings of the statement are.
    func commonTable(_ source: Source, proven: Bool = true, _ sql: inout SQLText) -> String {
        let resolved = self.rule.resolved
        let groups = resolved.group.indices.map { position in
            "(p.group_values[\(position + 1)])::\(resolved.group[position].facts.type) AS g\(position + 1)"
        }
        let orders = resolved.order.indices.map { position in
            "(p.order_values[\(position + 1)])::\(resolved.order[position].type) AS o\(position + 1)"
        }
        let values = (["p.ordinal"] + groups + orders).joined(separator: ", ")
        let from: String
        var conditions: [String] = []
        switch source {
        case .ledger(let generation, let ordinals):
            from = SQLText.quoted(self.namespace, "pivot")
            conditions.append("p.run = \(sql.bind(self.rule.terms.run, as: "text"))")
            conditions.append("p.generation = \(sql.bind(generation, as: "integer"))")
            if let ordinals {
                conditions.append("p.ordinal >= \(sql.bind(ordinals.lowerBound))")
                conditions.append("p.ordinal < \(sql.bind(ordinals.upperBound))")
            }
        case .query(let query): from = "(\(query))"
        }
        let filter = conditions.isEmpty ? "" : " WHERE " + conditions.joined(separator: " AND ")
        let pivots = "SELECT \(values)\(proven ? ", p.witnesses" : "") FROM \(from) AS p\(filter)"
        if !proven { return "\(RuleSQL.pivot) AS MATERIALIZED (\(pivots))" }
        let names =
            ["ordinal"] + resolved.group.indices.map { "g\($0 + 1)" } + resolved.order.indices.map { "o\($0 + 1)" }
        // The inner query reads each text as a value once, instead of at every look at it.
        return """
            \(RuleSQL.pivot) AS MATERIALIZED (
              SELECT \(names.map { "p.\($0)" }.joined(separator: ", ")) FROM (\(pivots) OFFSET 0) AS p
              WHERE \(self.proof())
            )
            """
    }

    /// That the group of pivot `p` still has its N rows: by index, or else that all witnesses of the pivot are still there, in
    /// its group, and not older than it.
    func proof() -> String {
        let resolved = self.rule.resolved
        if let index = resolved.groupIndex { return SkipScan(rule: self.rule, index: index).proof() }
        let count = self.rule.terms.keep ?? 0
        var conditions = resolved.key.indices.map { position in
            "\(self.rule.plain(resolved.key[position].name)) = "
                + "(p.witnesses[ebb_witness.number][\(position + 1)])::\(resolved.key[position].type)"
        }
        let columns = resolved.order.map { self.rule.plain($0.name) }
        let pivots = resolved.order.indices.map { "p.o\($0 + 1)" }
        conditions.append("(\(columns.joined(separator: ", "))) >= (\(pivots.joined(separator: ", ")))")
        conditions += resolved.order.filter { !$0.isNotNull }.map { "\(self.rule.plain($0.name)) IS NOT NULL" }
        let group = resolved.group.indices.map { position in
            let value = self.rule.groupValue(position, open: true)
            return "\(value) IS NOT DISTINCT FROM p.g\(position + 1)"
        }
        return """
            (SELECT count(*) FROM generate_series(1, \(count)) AS ebb_witness (number)
                  WHERE EXISTS (SELECT FROM \(resolved.facts.name) AS \(RuleSQL.row)
                                WHERE \(conditions.joined(separator: " AND "))
                                  AND \(self.nested(group)) OFFSET 0)) = \(count)
            """
    }

    /// The group's conditions inside one subquery per joined table, the last join innermost.
    private func nested(_ group: [String]) -> String {
        var inner = group.joined(separator: " AND ")
        for (position, join) in self.rule.resolved.target.joins.enumerated().reversed() {
            let tied = join.conditions.map { equality in
                [equality.left, equality.right].map { side in
                    let table = self.rule.resolved.target.joins.firstIndex { $0.table == side.table }
                    return self.rule.plain(side.name, of: table.map(RuleSQL.join) ?? RuleSQL.row)
                }.joined(separator: " = ")
            }
            inner = """
                EXISTS (SELECT FROM \(self.rule.resolved.facts.joined[position].name) AS \(RuleSQL.join(position))
                        WHERE \(tied.joined(separator: " AND ")) AND \(inner) OFFSET 0)
                """
        }
        return inner
    }
}
