import FoundationEssentials
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

/// What the database expects of a statement.
struct Explained {
    /// Rows of the result.
    let rows: Double
    /// In the database's own units.
    let cost: Double

    /// - `rows`: the answer to `EXPLAIN (FORMAT JSON)`.
    init(_ rows: [PostgresRow]) throws {
        struct Document: Decodable {
            struct Node: Decodable {
                var rows: Double
                var cost: Double
                private enum CodingKeys: String, CodingKey {
                    case rows = "Plan Rows"
                    case cost = "Total Cost"
                }
            }
            var plan: Node
            private enum CodingKeys: String, CodingKey { case plan = "Plan" }
        }
        let text = rows.compactMap { $0[0] }.joined(separator: "\n")
        let plan = try JSONDecoder().decode([Document].self, from: Data(text.utf8)).first?.plan
        (self.rows, self.cost) = (plan?.rows ?? 0, plan?.cost ?? 0)
    }
}
