import FoundationEssentials
import PostgresClient

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
