package import PostgresClient

/// A run together with what this process knows of its target: enough to build its statements.
package struct RunContext: Sendable {
    package let record: RunRecord
    package let resolved: ResolvedTarget
    package let namespace: String

    /// Statements for the batches of one plan generation.
    package func statements(generation: Int) -> RangeStatement {
        RangeStatement(self.resolved, terms: self.record.terms, namespace: self.namespace, generation: generation)
    }

    /// Why a run cannot be worked on here.
    package enum Obstacle: Error, Sendable, Equatable, CustomStringConvertible {
        /// The ledger of this database has no such run.
        case unknownRun(String)
        /// This process has no such target, or one with another definition.
        case otherDefinition(run: String, target: String)
        /// This process has no such store, or one in another place.
        case otherStore(run: String, location: String, problem: String)
        /// The schema that the run cleans, one of a group, has been dropped since.
        case schemaGone(run: String, schema: String)
        /// The table of a child that may be missing has been dropped since.
        case tableGone(run: String, table: String)
        /// The database is another one than the run was created in, by system identifier or timeline.
        case otherServer(run: String)

        package var description: String {
            switch self {
            case .unknownRun(let run):
                "run \(run) is not in this database's ledger; check that DATABASE_URL and REDIS_URL belong together"
            case .otherDefinition(let run, let target):
                "run \(run) was made with another definition of \(target) than this process has; "
                    + "give every process the same ebb.yaml and version, or end that run: producer cancel \(run)"
            case .otherStore(let run, let location, let problem):
                "run \(run) cleans \(location), and this process \(problem); give every process the same ebb.yaml and variables"
            case .schemaGone(_, let schema): "the schema \(schema) is gone"
            case .tableGone(_, let table): "the table \(table) is gone"
            case .otherServer(let run):
                "the database server is another one than when run \(run) was created: restored, promoted or replaced; make "
                    + "sure that it is the right one, then producer resume \(run)"
            }
        }
    }

    /// Reads a run from the ledger and matches it with the catalogue and the table.
    ///
    /// - Throws: `Obstacle`, `PlanningError`, `PostgresError`.
    package static func load(
        _ run: String,
        catalog: Catalog,
        ledger: Ledger,
        _ connection: PostgresConnection
    ) async throws -> RunContext {
        guard let record = try await ledger.run(run, connection) else { throw Obstacle.unknownRun(run) }
        return try await self.load(record, catalog: catalog, ledger: ledger, connection)
    }

    /// The same for a run that was read just now.
    static func load(
        _ record: RunRecord,
        catalog: Catalog,
        ledger: Ledger,
        _ connection: PostgresConnection
    ) async throws -> RunContext {
        let run = record.run
        guard record.isOnItsServer else { throw Obstacle.otherServer(run: run) }
        guard var target = catalog.definition(of: record.target), target.definitionHash == record.definitionHash
        else { throw Obstacle.otherDefinition(run: run, target: record.target) }
        target.schema = record.schema
        let facts: TableFacts
        do { facts = try await TableFacts.read(target, from: connection) } catch let error as PlanningError {
            if target.group != nil, try await Self.isGone(record.schema, connection) {
                throw Obstacle.schemaGone(run: run, schema: record.schema)
            }
            if target.isOptional, try await TableFacts.schema(of: target, connection) == nil {
                throw Obstacle.tableGone(run: run, table: target.table)
            }
            throw error
        }
        return RunContext(
            record: record,
            resolved: try ResolvedTarget(target, facts: facts),
            namespace: ledger.namespace
        )
    }

    private static func isGone(_ schema: String, _ connection: PostgresConnection) async throws -> Bool {
        try await connection.query("SELECT to_regnamespace(quote_ident($1)) IS NULL", [schema]).rows.first?.bool(0)
            == true
    }
}
