import Logging
import PostgresClient
import Shared

/// Vacuums the tables that the procedure has deleted rows from, or those that it is told.
struct VacuumStage: Sendable {
    let services: Services
    /// The id of the run of the procedure.
    let procedure: String

    private struct Detail: Encodable {
        var vacuumed: [String] = []
        /// `table: why`.
        var skipped: [String] = []
        var failed: [String] = []
    }

    private struct Table {
        /// Quoted.
        var name: String
        /// Before which no row of it was deleted; nil for one that was named.
        var xid: Int?
    }

    func run(_ scope: VacuumScope) async throws -> Ledger.StageEnd {
        let connection = try await self.services.connectPostgres(as: "ebb vacuum")
        do {
            let end = try await self.run(scope, connection)
            await connection.close()
            return end
        } catch {
            await connection.close()
            throw error
        }
    }

    private func run(_ scope: VacuumScope, _ connection: PostgresConnection) async throws -> Ledger.StageEnd {
        var detail = Detail()
        let tables = try await self.tables(scope, &detail, connection)
        if tables.isEmpty && detail.failed.isEmpty {
            return Ledger.StageEnd(.skipped, reason: "the procedure has deleted nothing", detail: try JSONValue(detail))
        }
        for table in tables {
            if let xid = table.xid,
                let holder = try await SnapshotHolder.read(connection).first(where: { $0.isBefore(xid) })
            {
                detail.skipped.append("\(table.name): \(holder.words), from before its rows were deleted")
                continue
            }
            do {
                let result = try await connection.query(
                    Vacuum.statement(table.name, full: scope.full),
                    deadline: Vacuum.longest
                )
                // A table that is locked, or may not be vacuumed, is a warning.
                if result.notices.isEmpty {
                    detail.vacuumed.append(table.name)
                } else {
                    detail.skipped.append("\(table.name): \(result.notices.joined(separator: "; "))")
                }
            } catch let error as PostgresError where !error.isConnectionProblem && error.code != .timedOut {
                detail.failed.append("\(table.name): \(error)")
            }
        }
        var end = Ledger.StageEnd(.finished, detail: try JSONValue(detail))
        if let first = detail.failed.first {
            (end.state, end.reason) = (.failed, first)
        } else if detail.vacuumed.isEmpty, let first = detail.skipped.first {
            (end.state, end.reason) = (.skipped, first)
        }
        return end
    }

    /// The tables, the names of which exist.
    private func tables(
        _ scope: VacuumScope,
        _ detail: inout Detail,
        _ connection: PostgresConnection
    ) async throws -> [Table] {
        guard let names = scope.tables else {
            return try await self.services.ledger.touchedTables(of: self.procedure, connection).map { table in
                Table(name: SQLText.quoted(table.schema, table.table), xid: table.xid)
            }
        }
        var tables: [Table] = []
        for name in names {
            for table in try await self.tables(named: name, connection) {
                let exists = try await connection.query("SELECT to_regclass($1) IS NOT NULL", [table])
                if exists.rows.first?.bool(0) == true {
                    tables.append(Table(name: table))
                } else {
                    detail.failed.append("\(table): there is no such table")
                }
            }
        }
        return tables
    }

    /// `table`, `schema.table`, or `group.table` for one in each schema of a group; quoted.
    private func tables(named name: String, _ connection: PostgresConnection) async throws -> [String] {
        let parts = name.split(separator: ".").map(String.init)
        guard parts.count == 2 else { return [SQLText.quoted(name)] }
        return try await self.services.schemas(of: parts[0], connection).map { SQLText.quoted($0, parts[1]) }
    }
}
