import PostgresClient

/// What keeps the space of deleted rows from being used again.
extension Doctor {
    /// After so long, somebody who holds a snapshot is in the way of a clean-up that runs every hour.
    private static let longest = "interval '1 hour'"

    func statistics(_ connection: PostgresConnection) async throws -> [Finding] {
        let rows = try await self.rows(
            "SELECT current_setting('autovacuum')::boolean, current_setting('track_counts')::boolean",
            connection
        )
        var findings: [Finding] = []
        if rows.first?.bool(1) != true {
            findings.append(
                Finding(
                    .warning,
                    "autovacuum",
                    "track_counts is off, so that autovacuum does nothing and rows that go by cascade are counted as none",
                    fix: "ALTER SYSTEM SET track_counts = on; SELECT pg_reload_conf();"
                )
            )
        }
        if rows.first?.bool(0) != true {
            findings.append(
                Finding(
                    .warning,
                    "autovacuum",
                    "autovacuum is off on this server, so that statistics, by which runs are planned, grow old",
                    fix: "ALTER SYSTEM SET autovacuum = on; SELECT pg_reload_conf();"
                )
            )
        }
        return findings.isEmpty ? [Finding(.ok, "autovacuum", "it is on")] : findings
    }

    func transactions(_ connection: PostgresConnection) async throws -> [Finding] {
        let rows = try await self.rows(
            """
            SELECT pid, coalesce(usename, backend_type), state,
                   extract(epoch FROM now() - coalesce(xact_start, backend_start))::bigint
            FROM pg_stat_activity
            WHERE (datname = current_database() OR backend_type = 'walsender') AND pid <> pg_backend_pid()
              AND (backend_xmin IS NOT NULL OR backend_xid IS NOT NULL)
              AND coalesce(xact_start, backend_start) < now() - \(Self.longest)
              AND (backend_type <> 'walsender' OR age(backend_xmin) > 1000000)
            ORDER BY 4 DESC LIMIT 5
            """,
            connection
        )
        var findings = try rows.map { row in
            let age = Duration.seconds(row.int(3) ?? 0).rounded
            return Finding(
                .warning,
                "old_snapshots",
                "process \(try row.text(0)) of \(row[1] ?? "") (\(row[2] ?? "")) has a snapshot of \(age) ago, so that vacuum cannot "
                    + "remove what has been deleted since",
                fix: "SELECT pg_terminate_backend(\(try row.text(0)));"
            )
        }
        let seen = try await self.rows(
            "SELECT pg_has_role('pg_read_all_stats', 'USAGE'), quote_ident(current_user)",
            connection
        ).first
        if seen?.bool(0) != true {
            findings.append(
                Finding(
                    .warning,
                    "old_snapshots",
                    "only sessions of this role were looked at, for it may not see others",
                    fix: "GRANT pg_read_all_stats TO \(seen?[1] ?? "…");"
                )
            )
        }
        return findings.isEmpty ? [Finding(.ok, "old_snapshots", "none is older than an hour")] : findings
    }

    func preparedTransactions(_ connection: PostgresConnection) async throws -> [Finding] {
        let rows = try await self.rows(
            """
            SELECT quote_literal(gid), extract(epoch FROM now() - prepared)::bigint FROM pg_prepared_xacts
            WHERE database = current_database() AND prepared < now() - \(Self.longest) ORDER BY prepared LIMIT 5
            """,
            connection
        )
        if rows.isEmpty { return [Finding(.ok, "prepared_transactions", "none is older than an hour")] }
        return try rows.map { row in
            let age = Duration.seconds(row.int(1) ?? 0).rounded
            return Finding(
                .warning,
                "prepared_transactions",
                "transaction \(try row.text(0)) was prepared \(age) ago and holds locks and a snapshot until it is ended",
                fix: "ROLLBACK PREPARED \(try row.text(0));"
            )
        }
    }

    func replicationSlots(_ connection: PostgresConnection) async throws -> [Finding] {
        let rows = try await self.rows(
            """
            SELECT quote_literal(slot_name), active, coalesce(age(xmin) > 1000000, false) FROM pg_replication_slots
            WHERE NOT active OR age(xmin) > 1000000 ORDER BY slot_name
            """,
            connection
        )
        if rows.isEmpty { return [Finding(.ok, "replication_slots", "none holds anything back")] }
        return try rows.map { row in
            let name = try row.text(0)
            let what =
                row.bool(2) == true
                ? "keeps rows from vacuum that were deleted more than a million transactions ago"
                : "is not in use and keeps all WAL since it was, of which a mass deletion writes much"
            return Finding(
                .warning,
                "replication_slots",
                "replication slot \(name) \(what)",
                fix: row.bool(1) == true ? nil : "SELECT pg_drop_replication_slot(\(name));"
            )
        }
    }
}
