/// What one statement returned, copied out of libpq; meant for results that fit in memory comfortably.
package struct PostgresResult: Sendable {
    /// Column names in order; empty for statements that return no rows.
    package let columns: [String]
    /// The rows in the server's order.
    package let rows: [PostgresRow]
    /// The count in the command tag: rows inserted, updated, deleted, selected; 0 if the tag has none.
    package let affectedRows: Int
    /// Primary messages of the notices and warnings that the server sent along.
    ///
    /// In a pipeline a notice of the parser may be attributed to the preceding statement.
    package let notices: [String]
}
