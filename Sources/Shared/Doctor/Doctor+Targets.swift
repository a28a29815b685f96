import PostgresClient

/// What concerns single targets.
extension Doctor {
    /// All checks of a target that is on, and of the children that it drains first; of one that is off, what its
    /// foreign keys would cost.
    func target(_ target: Target, _ connection: PostgresConnection) async -> [Finding] {
        let knobs: KnobValues
        do {
            switch try target.resolveKnobs(
                environment: self.services.environment,
                keepNothing: self.services.configuration.keepNothing
            ) {
            case .off(let reason):
                return [Finding(.ok, "target", target: target.name, "it is off: \(reason)")]
                    + (await self.foreignKeysAhead(target, connection))
            case .on(let values): knobs = values
            }
        } catch {
            return [Finding(.problem, "target", target: target.name, "\(error)")]
        }
        if let group = target.group { return await self.group(group, target, knobs, connection) }
        if let missing = await self.missingPreset(target, connection) { return [missing] }
        let findings = await self.table(target, knobs, connection)
        guard !target.drainFirst.isEmpty else { return findings }
        return findings
            + (await self.made("target", target: target.name) {
                // As for the run, it is the schema where the parent's table was found that counts.
                let schema = try await TableFacts.schema(of: target, connection)
                var findings: [Finding] = []
                for var child in target.drainFirst {
                    child.schema = schema ?? child.schema
                    findings += await self.table(child, knobs, connection)
                }
                return findings
            })
    }

    /// A finding when a shipped target's table is not there: presets are on by default, also where another product's
    /// database is cleaned.
    private func missingPreset(_ target: Target, _ connection: PostgresConnection) async -> Finding? {
        guard self.services.catalog.ofPresets.contains(target.name) else { return nil }
        do {
            if try await TableFacts.schema(of: target, connection) != nil { return nil }
        } catch {
            return Finding(.problem, "target", target: target.name, "its table could not be looked for: \(error)")
        }
        return Finding(
            .warning,
            "target",
            target: target.name,
            "there is no table \(target.tableName) in this database; without the product that has it, take the preset out of presets"
        )
    }

    /// All checks in each schema of the group; of what is well, only that it is.
    private func group(
        _ group: SchemaGroup,
        _ target: Target,
        _ knobs: KnobValues,
        _ connection: PostgresConnection
    ) async -> [Finding] {
        await self.made("target", target: target.name) {
            let schemas = try await self.services.schemas(of: group, connection)
            if schemas.isEmpty {
                return [
                    Finding(.ok, "target", target: target.name, "the group \(group.name) has no schema (\(group.like))")
                ]
            }
            var findings: [Finding] = []
            for schema in schemas {
                for var child in [target] + target.drainFirst {
                    child.schema = schema
                    findings += await self.table(child, knobs, connection).filter { $0.level != .ok }
                }
            }
            if findings.isEmpty {
                let count = "\(schemas.count) \(schemas.count == 1 ? "schema" : "schemas") of \(group.name)"
                findings = [Finding(.ok, "target", target: target.name, "all is well in \(count)")]
            }
            return findings
        }
    }

    private func table(_ target: Target, _ knobs: KnobValues, _ connection: PostgresConnection) async -> [Finding] {
        let resolved: ResolvedTarget
        do {
            if target.isOptional, try await TableFacts.schema(of: target, connection) == nil {
                return [
                    Finding(
                        .ok,
                        "target",
                        target: target.name,
                        "there is no table \(target.table), so nothing to drain"
                    )
                ]
            }
            resolved = try ResolvedTarget(target, facts: try await TableFacts.read(target, from: connection))
        } catch let error as PlanningError {
            return [Finding(.problem, "target", target: target.name, "\(error)")]
        } catch {
            return [Finding(.problem, "target", target: target.name, "its table could not be read: \(error)")]
        }
        var findings = await self.made("privileges", target: target.name) {
            try await self.privileges(resolved, connection)
        }
        findings += await self.made("foreign_keys", target: target.name) {
            try await self.foreignKeys(target, knobs, connection)
        }
        findings += await self.made("time_zone", target: target.name) {
            let warnings = try await TimeZoneDefaults.read(connection).warnings(resolved)
            return warnings.isEmpty
                ? [Finding(.ok, "time_zone", target: target.name, "its times mean the same in every session")]
                : warnings.map { Finding(.warning, "time_zone", target: target.name, $0) }
        }
        findings += await self.made("autovacuum", target: target.name) {
            try await self.autovacuum(resolved, connection)
        }
        return findings
    }

    // MARK: Privileges

    /// A privilege on a table, and what it is for.
    private struct Need {
        var table: String
        var privilege: String
        var level: Finding.Level
        var reason: String
    }

    private func needs(_ resolved: ResolvedTarget) -> [Need] {
        let table = resolved.facts.name
        func need(_ table: String, _ privilege: String, _ level: Finding.Level, _ reason: String) -> Need {
            Need(table: table, privilege: privilege, level: level, reason: reason)
        }
        var needs = [
            need(table, "SELECT", .problem, "which rows are expired cannot be read"),
            need(table, "DELETE", .problem, "nothing can be deleted"),
        ]
        needs.append(
            resolved.guards.isEmpty && resolved.chain == nil
                ? need(
                    table,
                    "UPDATE",
                    .warning,
                    "rows that somebody has locked cannot be skipped, and hold their batch up"
                )
                : need(
                    table,
                    "UPDATE",
                    .problem,
                    "\(resolved.chain == nil ? "protect" : "leaf_first") cannot lock rows before it deletes them"
                )
        )
        for joined in resolved.facts.joined { needs.append(need(joined.name, "SELECT", .problem, "the rule joins it")) }
        for name in Set(resolved.guards.map(\.name)).sorted() {
            needs.append(need(name, "SELECT", .problem, "protect cannot see what it refers to"))
        }
        for name in Set(resolved.facts.kept.flatMap(\.places).map(\.name)).sorted() {
            needs.append(need(name, "SELECT", .problem, "unreferenced cannot see what it refers to"))
        }
        return needs
    }

    private func privileges(_ resolved: ResolvedTarget, _ connection: PostgresConnection) async throws -> [Finding] {
        let name = resolved.target.name
        let row = try await self.rows(
            """
            SELECT quote_ident(current_user), row_security_active($1::oid::regclass),
                   pg_has_role(c.relowner, 'USAGE') OR pg_has_role(d.datdba, 'USAGE')
            FROM pg_class c, pg_database d WHERE c.oid = $1::oid AND d.datname = current_database()
            """,
            [String(resolved.facts.oid)],
            connection
        ).first
        let role = row?[0] ?? ""
        var findings: [Finding] = []
        for need in self.needs(resolved) {
            let has = try await self.rows(
                "SELECT has_table_privilege($1, $2)",
                [need.table, need.privilege],
                connection
            )
            guard has.first?.bool(0) != true else { continue }
            findings.append(
                Finding(
                    need.level,
                    "privileges",
                    target: name,
                    "\(role) lacks \(need.privilege) on \(need.table): \(need.reason)",
                    fix: "GRANT \(need.privilege) ON \(need.table) TO \(role);"
                )
            )
        }
        if row?.bool(1) == true {
            findings.append(
                Finding(
                    .warning,
                    "privileges",
                    target: name,
                    RunWarnings.hidden(of: resolved.facts.name, from: role)
                )
            )
        }
        if self.services.configuration.vacuum && row?.bool(2) != true {
            findings.append(
                Finding(
                    .warning,
                    "privileges",
                    target: name,
                    "\(role) owns neither \(resolved.facts.name) nor the database, so that the VACUUM at a run's end is left to "
                        + "autovacuum; set vacuum to off, or run workers as the owner"
                )
            )
        }
        if findings.isEmpty {
            findings.append(Finding(.ok, "privileges", target: name, "\(role) may do all that it takes"))
        }
        return findings
    }

    // MARK: Foreign keys

    /// Microseconds that a missing index may cost a run before it is worth a warning.
    private static let felt = 1_000_000.0

    private func foreignKeys(
        _ target: Target,
        _ knobs: KnobValues,
        _ connection: PostgresConnection
    ) async throws -> [Finding] {
        let configuration = self.services.configuration
        let plan = try await Plan.make(
            target,
            terms: try await RunTerms.now(knobs: knobs, connection),
            duration: configuration.batches.duration,
            fixedRows: configuration.batches.rows,
            connection
        )
        let keys = plan.references.keys
        let slow = keys.filter { !$0.reference.isIndexed }.sorted { $0.avoidable > $1.avoidable }
        guard !slow.isEmpty else {
            let message =
                keys.isEmpty ? "no key refers to it" : "all \(keys.count) keys that are looked up have an index"
            return [Finding(.ok, "foreign_keys", target: target.name, message)]
        }
        let isRefused = configuration.foreignKeys.most.map { plan.references.avoidable > $0 } ?? false
        let decisive = Set(plan.references.slow.map(\.reference.constraint))
        return slow.map { key in
            let isProblem = isRefused && decisive.contains(key.reference.constraint)
            let level: Finding.Level = key.avoidable >= Self.felt ? .warning : .ok
            let duration = Self.avoidable(key)
            return Finding(
                isProblem ? .problem : level,
                "foreign_keys",
                target: target.name,
                "\(key.reference.slowness), which makes a run of about \(plan.estimatedRows) rows about \(duration) longer"
                    + (isProblem
                        ? "; foreign_keys.most refuses it" : level == .ok ? "; nothing to worry about yet" : ""),
                fix: key.reference.createIndex
            )
        }
    }

    /// What the index that a key lacks would save a run, for people.
    private static func avoidable(_ key: ReferenceCosts.Key) -> String {
        Duration.microseconds(Int64(min(key.avoidable, 1e15))).rounded
    }

    /// The keys without an index of a target that is off: the time to create indexes is before it is switched on.
    ///
    /// Never a problem, since nothing runs. Which rows would go is not known, so all are taken.
    private func foreignKeysAhead(_ target: Target, _ connection: PostgresConnection) async -> [Finding] {
        guard target.group == nil else { return [] }
        let resolved: ResolvedTarget
        do {
            resolved = try ResolvedTarget(target, facts: try await TableFacts.read(target, from: connection))
        } catch is PlanningError {
            // A table that is not there, or not as it should be, matters once the target is on.
            return []
        } catch {
            return [Finding(.warning, "foreign_keys", target: target.name, "this could not be checked: \(error)")]
        }
        let rows = resolved.facts.rows
        let slow = ReferenceCosts(resolved, rows: rows).keys.filter { !$0.reference.isIndexed }
        return slow.sorted { $0.avoidable > $1.avoidable }.map { key in
            let isFelt = key.avoidable >= Self.felt
            return Finding(
                isFelt ? .warning : .ok,
                "foreign_keys",
                target: target.name,
                "\(key.reference.slowness), which would make a run, were all of about \(Int(rows)) rows to go, about "
                    + "\(Self.avoidable(key)) longer" + (isFelt ? "" : "; nothing to worry about yet"),
                fix: key.reference.createIndex
            )
        }
    }

    // MARK: Vacuum

    private func autovacuum(_ resolved: ResolvedTarget, _ connection: PostgresConnection) async throws -> [Finding] {
        let oids = [resolved.facts.oid] + resolved.facts.cascades
        let rows = try await self.rows(
            """
            SELECT format('%I.%I', n.nspname, c.relname) FROM pg_class c
            JOIN pg_namespace n ON n.oid = c.relnamespace
            CROSS JOIN LATERAL pg_options_to_table(c.reloptions) AS option
            WHERE c.oid = ANY ($1::oid[]) AND option.option_name = 'autovacuum_enabled'
              AND NOT option.option_value::boolean
            ORDER BY 1
            """,
            [SQLText.array(oids.map { String($0) })],
            connection
        )
        if rows.isEmpty { return [Finding(.ok, "autovacuum", target: resolved.target.name, "it is on for its tables")] }
        return try rows.map { row in
            let table = try row.text(0)
            return Finding(
                .warning,
                "autovacuum",
                target: resolved.target.name,
                "autovacuum is off for \(table), so that its statistics grow old and its space comes back only by a run's own VACUUM",
                fix: "ALTER TABLE \(table) RESET (autovacuum_enabled);"
            )
        }
    }
}
