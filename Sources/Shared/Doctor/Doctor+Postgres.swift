import PostgresClient

/// What concerns the server and the database as a whole.
extension Doctor {
    func postgres() async -> [Finding] {
        let connection: PostgresConnection
        do {
            connection = try await self.services.connectPostgres(as: "ebb producer")
        } catch {
            return [
                Finding(.problem, "connection", "\(error)"),
                Finding(.problem, "targets", "they could not be checked without PostgreSQL"),
            ]
        }
        var findings = await self.made("connection") { try await self.server(connection) }
        findings += await self.made("ledger") { try await self.ledger(connection) }
        findings += await self.made("privileges") { try await self.functions(connection) }
        findings += await self.made("autovacuum") { try await self.statistics(connection) }
        findings += await self.made("old_snapshots") { try await self.transactions(connection) }
        findings += await self.made("prepared_transactions") { try await self.preparedTransactions(connection) }
        findings += await self.made("replication_slots") { try await self.replicationSlots(connection) }
        for entry in self.services.catalog.entries {
            switch entry {
            case .table(let target): findings += await self.target(target, connection)
            case .objects(let target): findings += await self.objects(target, connection)
            }
        }
        await connection.close()
        return findings
    }

    private func server(_ connection: PostgresConnection) async throws -> [Finding] {
        do { try await self.services.ledger.checkServer(connection) } catch let error as LedgerError {
            return [Finding(.problem, "connection", "\(error)")]
        }
        let rows = try await self.rows(
            """
            SELECT current_setting('server_version'), current_database(), current_user, pg_is_in_recovery(),
                   (SELECT setting FROM pg_settings WHERE name = 'default_transaction_read_only')
            """,
            connection
        )
        guard let row = rows.first else { return [] }
        let who = "PostgreSQL \(try row.text(0)), database \(try row.text(1)), as \(try row.text(2))"
        if row.bool(3) == true {
            return [Finding(.problem, "connection", "\(who): a standby, which takes no writes; give the primary's URL")]
        }
        if row[4] == "on" {
            return [
                Finding(
                    .warning,
                    "connection",
                    "\(who): default_transaction_read_only is on; Ebb's transactions ask to write, which must be allowed"
                )
            ]
        }
        return [Finding(.ok, "connection", who)]
    }

    private func role(_ connection: PostgresConnection) async throws -> String {
        try await self.rows("SELECT quote_ident(current_user)", connection).first?.text(0) ?? "PUBLIC"
    }

    // MARK: The ledger

    private func ledger(_ connection: PostgresConnection) async throws -> [Finding] {
        let namespace = self.services.ledger.namespace
        let schema = try await self.rows(
            """
            SELECT has_schema_privilege(oid, 'USAGE'), has_schema_privilege(oid, 'CREATE') FROM pg_namespace
            WHERE nspname = $1
            """,
            [namespace],
            connection
        ).first
        let role = try await self.role(connection)
        guard let schema else { return try await self.missingLedger(role, connection) }
        guard schema.bool(0) == true else {
            return [
                Finding(
                    .problem,
                    "ledger",
                    "\(role) may not use the ledger's schema \(namespace)",
                    fix: "GRANT USAGE ON SCHEMA \(SQLText.quoted(namespace)) TO \(role);"
                )
            ]
        }
        let version: Int
        do { version = try await self.services.ledger.version(connection) } catch let error as LedgerError {
            return [Finding(.problem, "ledger", "\(error)")]
        }
        guard version == Ledger.newestVersion else {
            return try await self.oldLedger(version, mayCreate: schema.bool(1) == true, role, connection)
        }
        let lacking = try await self.rows(
            """
            SELECT c.relname, string_agg(privilege, ', ')
            FROM pg_class c
            CROSS JOIN unnest(ARRAY['SELECT', 'INSERT', 'UPDATE', 'DELETE']) AS privilege
            WHERE c.relnamespace = to_regnamespace($1)::oid AND c.relkind = 'r' AND c.relname <> 'migration'
              AND NOT has_table_privilege(c.oid, privilege)
            GROUP BY c.relname ORDER BY c.relname
            """,
            [SQLText.quoted(namespace)],
            connection
        )
        if lacking.isEmpty { return [Finding(.ok, "ledger", "schema \(namespace), version \(version)")] }
        return try lacking.map { row in
            let table = SQLText.quoted(namespace, try row.text(0))
            return Finding(
                .problem,
                "ledger",
                "\(role) lacks \(try row.text(1)) on \(table), a table of the ledger",
                fix: "GRANT SELECT, INSERT, UPDATE, DELETE ON \(table) TO \(role);"
            )
        }
    }

    private func missingLedger(_ role: String, _ connection: PostgresConnection) async throws -> [Finding] {
        let namespace = self.services.ledger.namespace
        let row = try await self.rows(
            """
            SELECT has_database_privilege(current_database(), 'CREATE'), quote_ident(current_database())
            """,
            connection
        ).first
        if row?.bool(0) == true {
            return [Finding(.ok, "ledger", "there is none yet; the first run creates it, in schema \(namespace)")]
        }
        return [
            Finding(
                .problem,
                "ledger",
                "there is none yet, and \(role) may not create its schema \(namespace)",
                fix: "GRANT CREATE ON DATABASE \(row?[1] ?? "…") TO \(role);"
            )
        ]
    }

    private func oldLedger(
        _ version: Int,
        mayCreate: Bool,
        _ role: String,
        _ connection: PostgresConnection
    ) async throws -> [Finding] {
        let namespace = self.services.ledger.namespace
        let others = try await self.rows(
            """
            SELECT DISTINCT pg_get_userbyid(relowner) FROM pg_class
            WHERE relnamespace = to_regnamespace($1)::oid AND relkind = 'r' AND NOT pg_has_role(relowner, 'USAGE')
            """,
            [SQLText.quoted(namespace)],
            connection
        )
        let what = "schema \(namespace) has version \(version), this Ebb needs \(Ledger.newestVersion)"
        if others.isEmpty && mayCreate {
            return [Finding(.ok, "ledger", "\(what): the next enqueue or producer setup brings it there")]
        }
        let owner = others.first?[0] ?? "a role that may create tables in it"
        return [Finding(.problem, "ledger", "\(what), and \(role) may not change it; run producer setup as \(owner)")]
    }

    /// The functions that tell a run which server it is on.
    private func functions(_ connection: PostgresConnection) async throws -> [Finding] {
        let names = [
            "pg_catalog.pg_control_system()", "pg_catalog.pg_walfile_name(pg_lsn)", "pg_catalog.pg_current_wal_lsn()",
            "pg_catalog.pg_is_in_recovery()",
        ]
        let rows = try await self.rows(
            "SELECT name FROM unnest($1::text[]) AS name WHERE NOT has_function_privilege(name, 'EXECUTE')",
            [SQLText.array(names)],
            connection
        )
        let role = try await self.role(connection)
        if rows.isEmpty { return [Finding(.ok, "privileges", "\(role) may ask which server it is on")] }
        return try rows.map { row in
            let name = try row.text(0)
            return Finding(
                .problem,
                "privileges",
                "\(role) may not execute \(name), by which a run makes sure that it is on its own server",
                fix: "GRANT EXECUTE ON FUNCTION \(name) TO \(role);"
            )
        }
    }
}
