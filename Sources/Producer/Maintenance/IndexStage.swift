import Logging
import PostgresClient
import Shared

/// Creates indexes that are not there, without keeping anybody from writing.
struct IndexStage: Sendable {
    let services: Services

    /// How long creating one waits for others' transactions before it gives up: until the next time.
    private static let lockTimeout = "60s"
    /// After which a connection that creates one is taken for dead.
    private static let longest = Duration.seconds(86_400)

    private struct Detail: Encodable {
        var created = 0
        var present = 0
        /// `schema.index: why`.
        var skipped: [String] = []
        var failed: [String] = []
    }

    private enum Outcome {
        case created
        case present
        case skipped(String)
    }

    func run(_ name: String) async throws -> Ledger.StageEnd {
        guard let group = try self.services.indexGroups().first(where: { $0.name == name }) else {
            throw CommandError("there are no indexes \(name)")
        }
        let connection = try await self.services.connectPostgres(as: "ebb indexes")
        do {
            let end = try await self.run(group, connection)
            await connection.close()
            return end
        } catch {
            await connection.close()
            throw error
        }
    }

    private func run(_ group: IndexGroup, _ connection: PostgresConnection) async throws -> Ledger.StageEnd {
        // Of the session, since no transaction may surround this: behind a pooler, where sessions are shared, without.
        let backend = try await connection.query("SELECT pg_backend_pid()").rows.first?.int(0)
        if await connection.backendPID == backend {
            _ = try await connection.query("SET lock_timeout TO '\(Self.lockTimeout)'")
        }
        var detail = Detail()
        for schema in try await self.schemas(of: group.place, connection) {
            for index in group.indexes {
                let place = "\(schema).\(index.name)"
                do {
                    switch try await self.create(index, in: schema, connection) {
                    case .created: detail.created += 1
                    case .present: detail.present += 1
                    case .skipped(let reason): detail.skipped.append("\(place): \(reason)")
                    }
                } catch let error as PostgresError where !error.isConnectionProblem && error.code != .timedOut {
                    detail.failed.append("\(place): \(error)")
                } catch let error as CommandError {
                    detail.failed.append("\(place): \(error)")
                }
            }
        }
        var end = Ledger.StageEnd(detail.failed.isEmpty ? .finished : .failed, detail: try JSONValue(detail))
        if let first = detail.failed.first {
            end.reason = detail.failed.count == 1 ? first : "\(detail.failed.count) indexes failed, the first \(first)"
        }
        return end
    }

    private func schemas(of place: IndexGroup.Place, _ connection: PostgresConnection) async throws -> [String] {
        switch place {
        case .schema(let name): [name]
        case .group(let group): try await self.services.schemas(of: group, connection)
        }
    }

    private func create(
        _ index: WantedIndex,
        in schema: String,
        _ connection: PostgresConnection
    ) async throws -> Outcome {
        let facts = try await connection.query(Self.facts, [schema, index.table, index.name]).rows.first
        let table = "\(schema).\(index.table)"
        guard let kind = facts?[0] else { return .skipped("there is no table \(table)") }
        guard Self.tables.contains(kind) else { throw CommandError("\(table) is no table") }
        if let owner = facts?[1] {
            guard owner == index.table else { throw CommandError("an index of this name belongs to \(owner)") }
            guard facts?.bool(3) == index.isUnique else {
                throw CommandError("it is there, and is \(index.isUnique ? "not unique" : "unique")")
            }
            if facts?.bool(2) == true { return .present }
            if let pid = facts?[4] { return .skipped("process \(pid) is creating it") }
        } else if facts?.bool(5) == true {
            throw CommandError("something of this name that is no index is in the way")
        }
        guard kind != Self.partitioned else {
            throw CommandError(
                "\(table) is partitioned, where PostgreSQL creates no index without keeping others from writing; create it by hand"
            )
        }
        if facts?[1] != nil {
            // What an interrupted creation has left behind costs every write and serves no query.
            _ = try await connection.query(
                "DROP INDEX CONCURRENTLY IF EXISTS \(SQLText.quoted(schema, index.name))",
                deadline: Self.longest
            )
        }
        self.services.logger.log(.info, "creating an index", [.index: "\(schema).\(index.name)"])
        _ = try await connection.query(
            """
            CREATE \(index.isUnique ? "UNIQUE " : "")INDEX CONCURRENTLY IF NOT EXISTS \(SQLText.quoted(index.name))
            ON \(SQLText.quoted(schema, index.table)) \(index.definition)
            """,
            deadline: Self.longest
        )
        return .created
    }

    private static let partitioned = "p"
    /// What can have an index: tables, materialized views, partitioned tables.
    private static let tables = ["r", "m", partitioned]

    /// What the table is, if it is there; of an index of that name: its table, whether it is valid, whether it is unique, and who
    /// is creating it just now; whether something has its name, index or not.
    private static let facts = """
        SELECT t.relkind, o.relname, x.indisvalid AND x.indisready, x.indisunique,
               (SELECT min(pid) FROM pg_stat_progress_create_index WHERE index_relid = i.oid), i.oid IS NOT NULL
        FROM (SELECT $1::text AS schema_name, $2::text AS table_name, $3::text AS index_name) AS wanted
        LEFT JOIN pg_namespace AS n ON n.nspname = wanted.schema_name
        LEFT JOIN pg_class AS t ON t.relnamespace = n.oid AND t.relname = wanted.table_name
        LEFT JOIN pg_class AS i ON i.relnamespace = n.oid AND i.relname = wanted.index_name
        LEFT JOIN pg_index AS x ON x.indexrelid = i.oid
        LEFT JOIN pg_class AS o ON o.oid = x.indrelid
        """
}
