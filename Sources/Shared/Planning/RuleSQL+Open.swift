extension RuleSQL {
    /// What the rows that meet the conditions on the row are selected from, and by what, open to indexes and statistics: for all
    /// that is no batch.
    ///
    /// The table goes by its own name, as the operator's condition may call it.
    func openRows(_ sql: inout SQLText) -> (alias: String, from: String, condition: String) {
        let alias = SQLText.quoted(self.resolved.facts.table)
        var conditions: [String] = []
        var tables = ["\(self.resolved.facts.name) AS \(alias)"]
        let times = [(self.resolved.age, self.terms.cutoff), (self.resolved.expiry, self.terms.createdAt)]
        for case (let time?, let limit) in times {
            let column = self.plain(time.facts.name, of: time.join.map(Self.join) ?? alias)
            conditions.append("\(column) < \(sql.bind(self.moment(limit, time.type), as: time.type))")
        }
        if [self.resolved.age, self.resolved.expiry].contains(where: { $0?.join != nil }) {
            let joins = self.joins(open: true, row: alias)
            tables += joins.from
            conditions += joins.conditions
            if let condition = self.condition(on: alias) { conditions.append(condition) }
        } else if let condition = self.freeCondition {
            conditions.append("(\(condition)\n)")
        }
        conditions += self.unreferenced(row: alias, open: true)
        let condition = conditions.isEmpty ? "true" : conditions.joined(separator: " AND ")
        return (alias, tables.joined(separator: ", "), condition)
    }
}
