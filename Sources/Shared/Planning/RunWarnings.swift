package import PostgresClient

/// What an operator should know before a run of a target, though nothing keeps it from beginning.
package enum RunWarnings {
    /// One sentence each.
    ///
    /// - Throws: `PostgresError`.
    package static func read(_ resolved: ResolvedTarget, _ connection: PostgresConnection) async throws -> [String] {
        try await self.hiddenRows(resolved, connection)
            + TimeZoneDefaults.read(connection).warnings(resolved)
    }

    /// Of the tables that the rule reads, those of which row security hides rows from this role: neither batches nor the look
    /// at the end see them, so that a run finishes with them in place.
    private static func hiddenRows(
        _ resolved: ResolvedTarget,
        _ connection: PostgresConnection
    ) async throws -> [String] {
        let tables = [resolved.facts.name] + resolved.facts.joined.map(\.name)
        return try await connection.query(
            """
            SELECT DISTINCT quote_ident(current_user), name FROM unnest($1::text[]) AS name
            WHERE row_security_active(name) ORDER BY name
            """,
            [SQLText.array(tables)]
        ).rows.map { Self.hidden(of: try $0.text(1), from: try $0.text(0)) }
    }

    /// The sentence, of a table and a role.
    package static func hidden(of table: String, from role: String) -> String {
        "row security hides rows of \(table) from \(role), which are neither seen nor deleted"
    }
}
