/// `protect` and `unreferenced` as SQL: the row is referred to by no row of the protected tables, by none of their foreign keys,
/// and its value is in none of the columns that are named.
extension RuleSQL {
    /// The alias of a protected table, one for each of its keys.
    static func guardian(_ position: Int) -> String { "ebb_guard\(position + 1)" }

    /// One `NOT EXISTS` for each key.
    ///
    /// A referring row is found in one of two ways, neither of which reads its table once per row of the target:
    ///
    /// - A small table, and one without an index for its key, is read and hashed once per statement: the subquery becomes a
    ///   join, which the settings of ranges only let be a hash join.
    /// - A large table with an index is looked up for each row that meets everything else: `OFFSET 0` keeps the subquery
    ///   from becoming a join.
    ///
    /// - `row`: the alias of the target's table.
    /// - `open`: whether the row's columns are written so that statistics, and indexes, apply.
    func unreferenced(row: String = Self.row, open: Bool = false) -> [String] {
        self.resolved.guards.enumerated().map { position, key in
            let alias = Self.guardian(position)
            let same = zip(key.columns, key.parentColumns).map { own, referenced in
                let column = open ? self.plain(referenced, of: row) : self.closed(referenced, of: row)
                return "\(self.plain(own, of: alias)) = \(column)"
            }
            let fence = !open && key.isIndexed && key.rows > Self.hashedRows ? " OFFSET 0" : ""
            return "NOT EXISTS (SELECT FROM \(key.name) AS \(alias) WHERE \(same.joined(separator: " AND "))\(fence))"
        } + self.unmentioned(row: row, open: open)
    }

    /// One `NOT EXISTS` for each column of `unreferenced`, over all the schemas in which it is looked for; found as above.
    private func unmentioned(row: String, open: Bool) -> [String] {
        self.resolved.facts.kept.enumerated().compactMap { position, kept in
            if kept.places.isEmpty { return nil }
            let own = open ? self.plain(kept.own, of: row) : self.closed(kept.own, of: row)
            let alias = "ebb_kept\(position + 1)"
            let values = kept.places.map { "SELECT \(SQLText.quoted($0.column)) AS value FROM \($0.name)" }
            let fence = !open && kept.isIndexed && kept.rows > Self.hashedRows ? " OFFSET 0" : ""
            return """
                NOT EXISTS (SELECT FROM (\(values.joined(separator: " UNION ALL "))) AS \(alias) \
                WHERE \(alias).value = \(own)\(fence))
                """
        }
    }

    /// Up to so many rows, hashing all of them costs less than the lookups of a batch: some 20 ms against 10,000 lookups.
    private static let hashedRows = 100_000.0
}
