import PostgresClient

/// Looks rows up by whatever index the database chooses, where it expects that to cost next to nothing.
///
/// The plans of batches are pinned, and read all of a range. Rows of a rare kind, such as jobs in one state, often have an index
/// of their own; a run every few minutes should not read a table's history to find none of them.
struct OpenLookup: Sendable {
    let rule: RuleSQL

    /// What the database may expect of a look-up, in its own units: some hundred pages here and there.
    private static let mostCost = 1_000.0

    init(_ statements: RangeStatement) {
        self.rule = RuleSQL(resolved: statements.resolved, terms: statements.terms)
    }

    /// Whether certainly no row meets the conditions on the row; false when the look-up would be no small matter, or fails.
    ///
    /// For targets with an operator's `where`: of others, the range of a batch says as much.
    ///
    /// - Throws: `PostgresError` for what ends any other statement, too.
    func findsNothing(_ connection: PostgresConnection) async throws -> Bool {
        guard self.rule.resolved.target.rule.where != nil else { return false }
        var sql = SQLText()
        let rows = self.rule.openRows(&sql)
        let all = sql.statement("SELECT FROM \(rows.from) WHERE \(rows.condition)")
        let found = sql.statement("\(all.sql) LIMIT 1")
        let settings = TransactionSettings.looking.statement()
        do {
            return try await connection.transaction(readOnly: true) { connection in
                _ = try connection.run(settings.sql, settings.parameters)
                // Of many rows the first is expected near by, and is far when they have just been deleted.
                guard try Self.isCheap(all, connection) else { return false }
                return try connection.run(found.sql, found.parameters).rows.isEmpty
            }
        } catch let error as PostgresError where Self.mayFail(error) {
            return false
        }
    }

    /// The first value of a column, not less than `value`, among the rows that meet the conditions on the row, as an expression; it
    /// reads all of these rows.
    ///
    /// - `column`: its quoted name.
    func first(_ column: String, as type: String, from value: String, _ sql: inout SQLText) -> String {
        let rows = self.rule.openRows(&sql)
        let name = "\(rows.alias).\(column)"
        return """
            (SELECT min(ebb_found.value)
             FROM (SELECT \(name)::\(type) AS value FROM \(rows.from)
                   WHERE \(rows.condition) AND \(name) >= \(value) OFFSET 0) AS ebb_found)
            """
    }

    /// Whether the database expects little work of a statement, under the settings of the transaction.
    static func isCheap(_ statement: PostgresStatement, _ connection: isolated PostgresConnection) throws -> Bool {
        let rows = try connection.run("EXPLAIN (FORMAT JSON) \(statement.sql)", statement.parameters).rows
        return try Explained(rows).cost <= Self.mostCost
    }

    /// Whether an error is about the conditions and says nothing about the rest: batches meet them one row at a time.
    static func mayFail(_ error: PostgresError) -> Bool { [.row, .timeout, .other].contains(Fault(error)) }
}
