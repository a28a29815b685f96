package import PostgresClient

/// Asks the database which keys something refers to.
package struct ReferenceLookup: Sendable {
    /// The schema that holds the tables whose references name none.
    package let schema: String
    let columns: [ReferenceColumn]
    private let target: ObjectTarget

    /// Finds the tables and checks their columns.
    ///
    /// - `schema`: where tables without a schema are, of a run that knows; nil looks along the search path.
    /// - Throws: `PlanningError` for a table or column that does not exist or does not fit; `PostgresError`.
    package static func resolve(
        _ target: ObjectTarget,
        schema: String? = nil,
        _ connection: PostgresConnection
    ) async throws -> ReferenceLookup {
        var found: String? = schema
        var columns: [ReferenceColumn] = []
        for reference in target.references {
            let name =
                (reference.schema ?? schema).map { SQLText.quoted($0, reference.table) }
                ?? SQLText.quoted(reference.table)
            let rows = try await connection.query(ReferenceColumn.query, [name, reference.column]).rows
            guard let row = rows.first else { throw PlanningError.missingTable(target: target.name, table: name) }
            guard let type = row[1] else {
                throw PlanningError.missingColumn(target: target.name, table: name, column: reference.column, known: [])
            }
            guard ["text", "character varying"].contains(type) else {
                throw PlanningError(
                    "target \(target.name): column \(SQLText.quoted(reference.column)) of \(name) has type \(type); "
                        + "accepted: text, character varying"
                )
            }
            let owner = try row.text(0)
            // A run has one schema, in which its workers look whatever their search path is.
            guard reference.schema != nil || found == nil || found == owner else {
                throw PlanningError(
                    "target \(target.name): its tables are in schemas \(found ?? "") and \(owner); "
                        + "say which with schema: beside each table"
                )
            }
            if reference.schema == nil { found = owner }
            columns.append(ReferenceColumn(row, schema: owner, table: reference.table, column: reference.column))
        }
        return ReferenceLookup(schema: found ?? target.references.first?.schema ?? "", columns: columns, target: target)
    }

    /// One index look-up a key and column; a column without an index is read once, with the keys hashed.
    ///
    /// Keys are bound as one array, and one snapshot sees all columns: a reference that moves between them is always in one.
    package func statement(_ keys: [String]) -> PostgresStatement {
        var sql = SQLText()
        let list = sql.bind(SQLText.array(keys), as: "text[]")
        return sql.statement(
            self.columns.map { column in
                column.isIndexed
                    ? "SELECT k.key FROM unnest(\(list)) AS k (key) "
                        + "WHERE EXISTS (SELECT FROM \(column.tableName) WHERE \(column.name) = k.key)"
                    : "SELECT DISTINCT k.key FROM unnest(\(list)) AS k (key) "
                        + "JOIN \(column.tableName) AS r ON r.\(column.name) = k.key"
            }.joined(separator: "\nUNION\n")
        )
    }

    /// Those of the keys that something refers to at this moment.
    ///
    /// Rows that a policy hides would count as none, so a role that does not see all of them gets an error instead. A database
    /// in which nothing refers to any object is taken for a wrong one, or one that is being restored.
    ///
    /// - Throws: `PlanningError` for such a database; `PostgresError`.
    package func referenced(
        among keys: [String],
        limits: TransactionSettings.TimeLimits,
        _ connection: PostgresConnection
    ) async throws -> Set<String> {
        if keys.isEmpty { return [] }
        let settings = self.settings(limits)
        let statement = self.statement(keys)
        return try await connection.transaction(readOnly: true) { connection in
            _ = try connection.run(settings.sql, settings.parameters)
            let found = Set(try connection.run(statement.sql, statement.parameters).rows.map { try $0.text(0) })
            if found.isEmpty, !self.target.mayBeUnreferenced, try !self.holdsAny(connection) {
                throw PlanningError(
                    "target \(self.target.name): nothing at all is in \(self.words), so every object would be deleted; "
                        + "check that DATABASE_URL and the store belong together, or let the setting keep_nothing "
                        + "(EBB_KEEP_NOTHING) name \(self.target.name)"
                )
            }
            return found
        }
    }

    /// Whether anything refers to any object at this moment; for roles as ``referenced(among:limits:_:)``.
    ///
    /// - Throws: `PostgresError`.
    func holdsAny(limits: TransactionSettings.TimeLimits, _ connection: PostgresConnection) async throws -> Bool {
        let settings = self.settings(limits)
        return try await connection.transaction(readOnly: true) { connection in
            _ = try connection.run(settings.sql, settings.parameters)
            return try self.holdsAny(connection)
        }
    }

    /// Its columns, for people.
    var words: String { self.target.references.map { "\($0.table).\($0.column)" }.joined(separator: " and ") }

    /// Whether any of the columns holds anything.
    private func holdsAny(_ connection: isolated PostgresConnection) throws -> Bool {
        let columns = self.columns.map { column in
            "EXISTS (SELECT FROM \(column.tableName) WHERE \(column.name) IS NOT NULL)"
        }
        return try connection.run("SELECT " + columns.joined(separator: " OR ")).rows.first?.bool(0) ?? false
    }

    /// How the database would look keys up.
    package func explain(_ keys: [String], _ connection: PostgresConnection) async throws -> [String] {
        let settings = self.settings(nil)
        let statement = self.statement(keys)
        return try await connection.transaction(readOnly: true) { connection in
            _ = try connection.run(settings.sql, settings.parameters)
            return try connection.run("EXPLAIN \(statement.sql)", statement.parameters).rows.compactMap { $0[0] }
        }
    }

    private func settings(_ limits: TransactionSettings.TimeLimits?) -> PostgresStatement {
        let isHashing = self.columns.contains { !$0.isIndexed }
        return TransactionSettings(for: .objects(.uploads), limits: limits, isHashing: isHashing)
            .statement(returning: "set_config('row_security', 'off', true)")
    }
}
