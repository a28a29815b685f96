import Testing

/// Each shipped target of Distr's database on Distr's own tables, against an oracle in plain SQL.
///
/// Serialized: a million rows at a time are enough for the machine.
@Suite(.serialized, .timeLimit(.minutes(15))) struct `Distr's targets` {
    struct Case: Sendable, CustomTestStringConvertible {
        var target: String
        var table: String
        var seed: DistrSeed
        var oracle: [UInt8]
        /// Whether something must have gone by cascade.
        var cascades = false

        var testDescription: String { self.target }

        static let statuses = Case(
            target: "DeploymentRevisionStatus",
            table: "deploymentrevisionstatus",
            seed: DistrSeed(statuses: 600_000, notifications: 5_000),
            oracle: PackageResources.distr_oracle_statuses_sql,
            cascades: true
        )
        static let metrics = Case(
            target: "DeploymentTargetMetrics",
            table: "deploymenttargetmetrics",
            seed: DistrSeed(metrics: 400_000, disks: 400_000, notifications: 5_000),
            oracle: PackageResources.distr_oracle_metrics_sql,
            cascades: true
        )
        static let logs = Case(
            target: "DeploymentLogRecord",
            table: "deploymentlogrecord",
            seed: DistrSeed(logs: 1_000_000),
            oracle: PackageResources.distr_oracle_logs_sql
        )
        static let targetLogs = Case(
            target: "DeploymentTargetLogRecord",
            table: "deploymenttargetlogrecord",
            seed: DistrSeed(targetLogs: 200_000),
            oracle: PackageResources.distr_oracle_target_logs_sql
        )
        static let states = Case(
            target: "OIDCState",
            table: "oidcstate",
            seed: DistrSeed(states: 100_000),
            oracle: PackageResources.distr_oracle_states_sql
        )
    }

    @Test(arguments: [Case.statuses, .metrics, .logs, .targetLogs, .states])
    func `leave what Distr means to leave, at full size`(_ test: Case) async throws {
        try await withDistr(test.seed) { distr in
            try await distr.predict([test.oracle])
            let before = try await distr.distrTables()
            let status = try await distr.clean(test.target)
            let after = try await distr.distrTables()
            try await distr.expectPrediction()
            let lost = before.mapValues { $0 }.merging(after) { $0 - $1 }.filter { $0.value != 0 }
            let own = lost[test.table] ?? 0
            #expect(own > 10_000, "the seed leaves nothing to do")
            #expect(status.state == "finished")
            #expect(status.rows.deleted == own)
            #expect(status.rows.cascaded == lost.values.reduce(0, +) - own, "\(lost)")
            #expect((status.rows.cascaded > 0) == test.cascades)
            #expect(status.batches.dead == 0)
            try await distr.expectQueueAtRest()
        }
    }

    @Test func `drain the children of organizations, then remove these one by one`() async throws {
        let seed = DistrSeed(
            statuses: 60_000,
            metrics: 40_000,
            disks: 40_000,
            logs: 100_000,
            targetLogs: 20_000,
            states: 1_000,
            notifications: 1_000
        )
        try await withDistr(seed) { distr in
            try await distr.predict([PackageResources.distr_oracle_organizations_sql])
            let before = try await distr.distrTables()
            let status = try await distr.clean("Organization")
            let after = try await distr.distrTables()
            try await distr.expectPrediction()
            #expect(status.state == "finished")
            #expect(status.rows.deleted == 12)
            #expect(status.batches.done == 12)
            let largest = try await distr.number(
                "SELECT max(rows) FROM \(distr.namespace).batch WHERE run = '\(status.run)'"
            )
            #expect(largest == 1, "each organization in a transaction of its own")

            let runs = try await distr.distrRuns()
            func lost(_ table: String) -> Int { (before[table] ?? 0) - (after[table] ?? 0) }
            let children = [
                "deploymentrevisionstatus", "deploymenttargetmetrics", "deploymentlogrecord",
                "deploymenttargetlogrecord", "artifactversionpull",
            ]
            for child in children {
                #expect(lost(child) > 0)
                #expect(runs.contains { $0.target != "Organization" && $0.rows == lost(child) }, "\(child) in \(runs)")
            }
            for (table, left) in after where !["agentversion", "seed", "useraccount"].contains(table) {
                #expect(lost(table) > 0 && left > 0, "\(table): the seed leaves nothing to do, or nothing to keep")
            }
            let all = before.keys.map(lost).reduce(0, +)
            #expect(runs.map { $0.rows + $0.cascaded }.reduce(0, +) == all, "\(runs)")
            let homeless = "SELECT count(*) FROM useraccount WHERE last_used_organization_id IS NULL"
            #expect(try await distr.number(homeless) > 60, "users of removed organizations stay")
        }
    }

    @Test func `remove organizations where the logs that Distr 3 has no use for were dropped`() async throws {
        try await withDistr(DistrSeed(statuses: 1_000, logs: 1_000, targetLogs: 1_000)) { distr in
            try await distr.execute("DROP TABLE deploymentlogrecord", "DROP TABLE deploymenttargetlogrecord")
            let before = try await distr.number("SELECT count(*) FROM organization")
            let (code, findings) = try await distr.doctor()
            #expect(code == 0, "\(findings)")
            #expect(findings.contains { $0.message == "there is no table deploymentlogrecord, so nothing to drain" })
            let status = try await distr.clean("Organization")
            #expect(status.state == "finished")
            #expect(status.rows.deleted == 12)
            #expect(try await distr.number("SELECT count(*) FROM organization") == before - 12)
            let drained = try await distr.distrRuns().map(\.target)
            #expect(drained.contains("Organization.deploymentrevisionstatus"))
            #expect(!drained.contains { $0.hasSuffix("logrecord") })
        }
    }

    @Test func `find 25 foreign keys to organizations, as Distr's migrations leave them`() async throws {
        try await withDistr(DistrSeed(organizations: 10)) { distr in
            let keys = "SELECT count(*) FROM pg_constraint WHERE contype = 'f' AND confrelid = 'organization'::regclass"
            let all = try await distr.number(keys)
            #expect(all == 25)
            #expect(try await distr.number("\(keys) AND confdeltype = 'c'") == 24)
            let cleared = "conrelid = 'useraccount'::regclass AND confdeltype = 'n'"
            #expect(try await distr.number("\(keys) AND \(cleared)") == 1)
        }
    }

    /// All that lies within two hours of the age would die or live by mistake if a session's zone counted.
    @Test(arguments: ["Europe/Vienna", "America/New_York"])
    func `do not ask what time the database's zone thinks it is`(_ zone: String) async throws {
        let seed = DistrSeed(
            organizations: 20,
            statuses: 20_000,
            metrics: 10_000,
            disks: 10_000,
            logs: 40_000,
            targetLogs: 10_000,
            states: 2_000,
            logGroups: 100,
            keep: 100
        )
        try await withDistr(seed, timeZone: zone) { distr in
            #expect(try await distr.value("SHOW TimeZone") == zone)
            let oracles = [Case.statuses, .metrics, .logs, .targetLogs, .states].map(\.oracle)
            try await distr.predict(oracles.map(Self.withoutNotifications))
            let names = [Case.statuses, .metrics, .logs, .targetLogs, .states].map(\.target)
            let cleanup = try await distr.run(.producer, ["cleanup"] + names)
            #expect(cleanup.status == .exited(0), "\(cleanup.errors)")
            for name in names { #expect(cleanup.output.contains("\(name): finished, "), "\(cleanup.output)") }
            try await distr.expectPrediction()
        }
    }

    /// Two oracles would both say which notifications stay; there are none.
    private static func withoutNotifications(_ oracle: [UInt8]) -> [UInt8] {
        let statements = String(decoding: oracle, as: UTF8.self).split(separator: ";\n")
        return Array(
            statements.filter { !$0.contains("CREATE TABLE survivors.notificationrecord") }.joined(separator: ";\n")
                .utf8
        )
    }

    @Test func `clean statuses while keys of a few notifications lack an index`() async throws {
        let seed = DistrSeed(organizations: 20, statuses: 20_000, notifications: 200)
        try await withDistr(seed, indexed: false) { distr in
            try await distr.predict([Case.statuses.oracle])
            let before = try await distr.number("SELECT count(*) FROM notificationrecord")
            let status = try await distr.clean(Case.statuses.target)
            try await distr.expectPrediction()
            #expect(status.state == "finished")
            #expect(
                status.rows.cascaded == before - (try await distr.number("SELECT count(*) FROM notificationrecord"))
            )
            #expect(status.rows.cascaded > 0)
        }
    }
}
