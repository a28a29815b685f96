package import PostgresClient

/// Finds the schemas of a group as they are now.
package enum SchemaLookup {
    /// By name.
    ///
    /// Read-only, whatever the operator's queries do. PostgreSQL's own schemas belong to no group.
    ///
    /// - `skipping`: whether those are left out that the group says to skip.
    /// - Throws: `PlanningError` for a query that the database refuses; `PostgresError` otherwise.
    package static func schemas(
        of group: SchemaGroup,
        skipping: Bool,
        _ connection: PostgresConnection
    ) async throws -> [String] {
        let settings = TransactionSettings.readingFacts.statement()
        let statement = Self.statement(group, skipping: skipping)
        do {
            return try await connection.transaction(readOnly: true) { connection in
                _ = try connection.run(settings.sql, settings.parameters)
                return try connection.run(statement.sql, statement.parameters).rows.map { try $0.text(0) }
            }
        } catch let error as PostgresError where Fault(error) == .run {
            throw PlanningError("the group of schemas \(group.name) cannot be read: \(error)")
        }
    }

    /// The same inside a transaction that reads a table's facts: what refers to rows does so in skipped schemas, too.
    static func all(of group: SchemaGroup, _ connection: isolated PostgresConnection) throws -> [String] {
        let statement = Self.statement(group, skipping: false)
        return try connection.run(statement.sql, statement.parameters).rows.map { try $0.text(0) }
    }

    /// The line breaks end trailing comments of the operator's.
    private static func statement(_ group: SchemaGroup, skipping: Bool) -> PostgresStatement {
        func listed(_ query: String) -> String {
            """
            EXISTS (SELECT FROM (\(query)
              ) AS ebb_listed (name) WHERE ebb_listed.name::text = n.nspname::text)
            """
        }
        var conditions = [
            "n.nspname::text LIKE $1 ESCAPE '\\'", "n.nspname::text !~ '^pg_'", "n.nspname <> 'information_schema'",
        ]
        if let query = group.query { conditions.append(listed(query)) }
        if skipping, let skip = group.skip { conditions.append("NOT \(listed(skip.query))") }
        return PostgresStatement(
            """
            SELECT n.nspname FROM pg_catalog.pg_namespace AS n
            WHERE \(conditions.joined(separator: "\n  AND "))
            ORDER BY n.nspname::text COLLATE "C"
            """,
            [group.pattern]
        )
    }
}
