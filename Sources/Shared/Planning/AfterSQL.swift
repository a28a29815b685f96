package import PostgresClient

/// What follows deleted rows, as SQL.
package struct AfterSQL: Sendable {
    let after: After
    let context: RunContext

    /// nil for a target after which nothing comes.
    package init?(_ context: RunContext) {
        guard let after = context.resolved.target.after else { return nil }
        self.after = after
        self.context = context
    }

    /// A delete that tells of each row its key, the path of its file and its size.
    ///
    /// - `statement`: ends with the delete's condition.
    package func returning(_ statement: PostgresStatement) -> PostgresStatement {
        let rule = RuleSQL(resolved: self.context.resolved, terms: self.context.record.terms)
        let key = "\(rule.plain(self.context.resolved.key[0].name))::text"
        let output = [key, self.path ?? "NULL::text", self.size ?? "NULL::bigint"]
        return PostgresStatement(
            statement.sql + "\nRETURNING " + output.joined(separator: ", "),
            statement.parameters
        )
    }

    /// The path of one file in each folder in which a range's expired rows have any; nil without files.
    package func folders(_ range: BatchRange, generation: Int) -> PostgresStatement? {
        self.path.map { path in
            self.context.statements(generation: generation)
                .select("min(\(path))", range, suffix: "GROUP BY regexp_replace(\(path), '/?[^/]*$', '')")
        }
    }

    /// The update with the deleted keys; nil without one.
    package func update(_ keys: [String]) -> PostgresStatement? {
        guard let update = self.after.update, !keys.isEmpty else { return nil }
        let text = self.rendered(update, keys: "($1::text[])")
        // A parameter that the text does not use has no type.
        return PostgresStatement(text, update.contains(After.keys) ? [SQLText.array(keys)] : [])
    }

    private var path: String? { self.after.unlink.map { "\(self.ofRow($0.path))::text" } }

    private var size: String? { self.after.unlink?.size.map { "\(self.ofRow($0))::bigint" } }

    /// An expression over the row alone, whatever else the statement reads; the line break ends a trailing comment.
    private func ofRow(_ expression: String) -> String {
        """
        (SELECT (\(self.rendered(expression, keys: nil))
        ) FROM (SELECT \(RuleSQL.row).*) AS \(SQLText.quoted(self.context.resolved.target.table)))
        """
    }

    private func rendered(_ text: String, keys: String?) -> String {
        let record = self.context.record
        return SQLTemplate(text).render(schema: record.schema, now: record.createdAt, keys: keys)
    }
}
