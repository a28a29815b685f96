import PostgresClient

/// What keeps the space of deleted rows from being used again.
extension Doctor {
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
        let holders = try await SnapshotHolder.read(connection).filter { $0.isOfSession && $0.isOld }
        var findings = holders.prefix(5).map { holder in
            Finding(
                .warning,
                "old_snapshots",
                "\(holder.words), so that vacuum cannot remove what has been deleted since",
                fix: "SELECT pg_terminate_backend(\(holder.name));"
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
        let holders = try await SnapshotHolder.read(connection).filter { $0.kind == .preparedTransaction && $0.isOld }
        if holders.isEmpty { return [Finding(.ok, "prepared_transactions", "none is older than an hour")] }
        return holders.prefix(5).map { holder in
            Finding(
                .warning,
                "prepared_transactions",
                "\(holder.words) and holds locks and a snapshot until it is ended",
                fix: "ROLLBACK PREPARED \(holder.name);"
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
