package import PostgresClient

/// The ledger: the schema, named after the namespace, that holds runs, settled batches and pivots in the very database that
/// is cleaned.
///
/// Methods are one transaction each and may be repeated.
package struct Ledger: Sendable {
    package let namespace: String

    package init(namespace: String) { self.namespace = namespace }

    /// A table of the ledger, schema-qualified and quoted.
    package func table(_ name: String) -> String { SQLText.quoted(self.namespace, name) }

    /// The oldest server that has TID range scans.
    private static let oldestServer = 140_000

    /// Names the server that a session is on, in SQL: `system identifier/timeline`.
    ///
    /// A copy that was restored or promoted has another timeline, a new server another identifier. NULL on a standby, which
    /// can say neither; there every write fails anyway.
    static let serverIdentity = """
        CASE WHEN NOT pg_is_in_recovery() THEN (SELECT system_identifier FROM pg_control_system()) || '/' \
        || left(pg_walfile_name(pg_current_wal_lsn()), 8) END
        """

    /// Creates the schema and brings it to this version; safe to repeat and to race.
    ///
    /// - Throws: `LedgerError` for a server that is too old or a ledger that is too new; `PostgresError`.
    package func setup(_ connection: PostgresConnection) async throws {
        try await self.checkServer(connection)
        if try await self.version(connection) == Self.migrations.count { return }
        let namespace = SQLText.quoted(self.namespace)
        try await connection.transaction { connection in
            // Two set-ups at once would race on CREATE SCHEMA IF NOT EXISTS, which is not atomic.
            _ = try connection.run("SELECT pg_advisory_xact_lock(hashtextextended($1, 0))", ["ebb:\(self.namespace)"])
            _ = try connection.run("CREATE SCHEMA IF NOT EXISTS \(namespace)")
            _ = try connection.run("SET LOCAL search_path TO \(namespace)")
            _ = try connection.run(
                "CREATE TABLE IF NOT EXISTS migration (version integer PRIMARY KEY, applied_at timestamptz DEFAULT now())"
            )
            let applied = try connection.run("SELECT coalesce(max(version), 0) FROM migration").rows.first?.int(0) ?? 0
            guard applied <= Self.migrations.count else { throw self.tooNew(applied) }
            for (version, source) in Self.migrations.enumerated().dropFirst(applied) {
                for statement in Self.statements(source) { _ = try connection.run(statement) }
                _ = try connection.run("INSERT INTO migration (version) VALUES ($1::integer)", [String(version + 1)])
            }
        }
    }

    /// Brings a ledger that an older Ebb made to this version; false when there is none.
    ///
    /// - Throws: as `setup`.
    package func upgrade(_ connection: PostgresConnection) async throws -> Bool {
        guard try await self.version(connection) > 0 else { return false }
        try await self.setup(connection)
        return true
    }

    /// Makes sure that the server is new enough; writes nothing.
    ///
    /// - Throws: `LedgerError` for a server that is too old.
    package func checkServer(_ connection: PostgresConnection) async throws {
        let version = await connection.serverVersion
        guard version >= Self.oldestServer else {
            throw LedgerError("PostgreSQL \(version / 10_000) is too old; Ebb needs 14 or newer (TID range scans)")
        }
    }

    /// Runs `body` in a transaction with time limits: a client that freezes must not hold a run for ever.
    ///
    /// - `settings`: by default those of a step.
    func transaction<Value: Sendable>(
        _ connection: PostgresConnection,
        with settings: TransactionSettings = .searching,
        _ body: @Sendable (isolated PostgresConnection) throws -> Value
    ) async throws -> Value {
        let settings = settings.statement()
        return try await connection.transaction { connection in
            _ = try connection.run(settings.sql, settings.parameters)
            return try body(connection)
        }
    }

    /// The version of the ledger; 0 when there is none.
    package func version(_ connection: PostgresConnection) async throws -> Int {
        let exists = try await connection.query("SELECT to_regclass($1) IS NOT NULL", [self.table("migration")])
        guard exists.rows.first?.bool(0) == true else { return 0 }
        let result = try await connection.query("SELECT coalesce(max(version), 0) FROM \(self.table("migration"))")
        let version = result.rows.first?.int(0) ?? 0
        guard version <= Self.migrations.count else { throw self.tooNew(version) }
        return version
    }

    private func tooNew(_ version: Int) -> LedgerError {
        LedgerError(
            "the ledger in schema \(self.namespace) has version \(version), this Ebb knows up to \(Self.migrations.count); "
                + "use the newer Ebb that made it"
        )
    }

    /// The version that this Ebb makes.
    package static var newestVersion: Int { Self.migrations.count }

    private static let migrations = [
        PackageResources.v001_ledger_sql, PackageResources.v002_under_fire_sql, PackageResources.v003_after_sql,
        PackageResources.v004_schedules_sql,
        PackageResources.v005_objects_sql, PackageResources.v006_scope_sql, PackageResources.v007_procedure_sql,
    ]

    /// The statements of a migration: they end with a semicolon at a line's end, outside comments.
    private static func statements(_ source: [UInt8]) -> [String] {
        let lines = String(decoding: source, as: UTF8.self).split(separator: "\n", omittingEmptySubsequences: false)
        let code = lines.map { line in line.firstRange(of: "--").map { String(line[..<$0.lowerBound]) } ?? String(line)
        }
        return code.joined(separator: "\n").split(separator: ";\n").map(String.init)
            .filter { !$0.allSatisfy(\.isWhitespace) }
    }
}
