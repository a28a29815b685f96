import PostgresClient

/// Looks at everything that a run needs, and changes nothing.
///
/// A check that cannot be made is a finding of its own: what was not looked at is not well.
package struct Doctor: Sendable {
    let services: Services

    package init(_ services: Services) { self.services = services }

    /// All findings, in the order in which a run meets them.
    package func findings() async -> [Finding] {
        var findings = [
            Finding(.ok, "configuration", "it is read, with \(self.services.catalog.entries.count) targets")
        ]
        findings += self.unknownVariables()
        findings += await self.schedules()
        findings += await self.procedure()
        findings += await self.postgres()
        findings += await self.redis()
        return findings
    }

    /// Makes a check, and turns what keeps it from being made into a finding.
    func made(
        _ check: String,
        target: String? = nil,
        _ body: () async throws -> [Finding]
    ) async -> [Finding] {
        do {
            return try await body()
        } catch let error as PlanningError {
            return [Finding(.problem, check, target: target, "\(error)")]
        } catch let error as ConfigurationError {
            return [Finding(.problem, check, target: target, "\(error)")]
        } catch {
            return [Finding(.problem, check, target: target, "this could not be checked: \(error)")]
        }
    }

    /// The rows of one query, read-only and with time limits.
    func rows(
        _ sql: String,
        _ parameters: [String?],
        _ connection: PostgresConnection
    ) async throws -> [PostgresRow] {
        let settings = TransactionSettings.readingFacts.statement()
        return try await connection.transaction(readOnly: true) { connection in
            _ = try connection.run(settings.sql, settings.parameters)
            return try connection.run(sql, parameters).rows
        }
    }

    func rows(_ sql: String, _ connection: PostgresConnection) async throws -> [PostgresRow] {
        try await self.rows(sql, [], connection)
    }

    // MARK: Configuration

    /// Variables that look like Ebb's and are not: most likely a setting with a slip in it, which has no effect.
    private func unknownVariables() -> [Finding] {
        let known = Setting.all.map(\.variable) + [EbbConfiguration.fileVariable] + self.services.definitionVariables
        let accepted = Set(known + known.map { $0 + "_FILE" })
        return self.services.environment.names.filter { $0.hasPrefix("EBB_") && !accepted.contains($0) }.map { name in
            let near = NearestName.of(name, among: known).map { "; did you mean \($0)?" } ?? ""
            return Finding(.warning, "configuration", "\(name) is set, but no setting has this name\(near)")
        }
    }

    /// `serve` would refuse to start with one that cannot be read.
    private func schedules() async -> [Finding] {
        await self.made("schedules") {
            let entries = try self.services.schedules()
            let on = entries.filter { $0.timing != nil && $0.reason == nil }.count
            return [Finding(.ok, "schedules", "they are read: \(on) of \(entries.count) are on")]
        }
    }

    /// `serve` and `maintenance` would refuse one that cannot be read; most installations have none.
    private func procedure() async -> [Finding] {
        await self.made("maintenance") {
            _ = try self.services.roles()
            guard let procedure = try self.services.procedure() else { return [] }
            let on = procedure.stages.filter { $0.off == nil }.count
            return [
                Finding(
                    .ok,
                    "maintenance",
                    "the procedure is read: \(on) of its \(procedure.stages.count) stages are on"
                )
            ]
        }
    }

    /// Runs that nobody works on, since only the ledger knows them.
    private func lostRuns(_ queue: Queue) async throws -> [Finding] {
        let connection = try await self.services.connectPostgres(as: "ebb producer")
        let lost = try await self.services.runControl(queue).lost(connection)
        await connection.close()
        // What keeps the ledger from being read was found before.
        guard let lost else { return [] }
        if lost.isEmpty { return [Finding(.ok, "runs", "Redis knows all that are not over")] }
        return lost.map {
            Finding(
                .warning,
                "runs",
                target: $0.target,
                "run \($0.run) is not over, and Redis does not know it",
                fix: "producer recover \($0.run)"
            )
        }
    }

    // MARK: Redis

    private func redis() async -> [Finding] {
        let queue: Queue
        do {
            queue = try self.services.queue()
        } catch {
            return [Finding(.problem, "redis", "\(error)")]
        }
        let findings: [Finding]
        do {
            let warnings = try await queue.checkServer()
            findings =
                warnings.isEmpty
                ? [Finding(.ok, "redis", "version, role, eviction policy and append-only file are as they should be")]
                : warnings.map { Finding(.warning, "redis", $0) }
        } catch {
            // Also what the URL asks for and cannot be done, such as TLS with a hiredis that has none.
            findings = [Finding(.problem, "redis", "\(error)")]
        }
        let runs = await self.made("runs") { try await self.lostRuns(queue) }
        await queue.close()
        return findings + runs
    }
}
