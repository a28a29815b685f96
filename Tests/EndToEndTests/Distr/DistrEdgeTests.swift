import Testing

/// Knobs and ties of Distr's targets.
@Suite(.timeLimit(.minutes(5))) struct `Distr's knobs` {
    private static let few = DistrSeed(organizations: 10, keep: 50)

    /// Two groups: one of 100 rows that all have the same time, one of `small` rows.
    private static func createLogs(_ distr: Sandbox, small: Int = 20) async throws {
        try await distr.execute(
            """
            INSERT INTO deploymentlogrecord (id, deployment_id, deployment_revision_id, resource, "timestamp", severity, body)
            SELECT seed_id('log', n), seed_id('deployment', 1), seed_id('revision', 1), CASE WHEN n > 100 THEN 'small' END,
                   timestamp '2026-01-01 12:00', 'INFO', 'line'
            FROM generate_series(1, 100 + \(small)) AS n
            """,
            """
            INSERT INTO deploymenttargetlogrecord (id, deployment_target_id, "timestamp", severity, body)
            SELECT seed_id('log', n), seed_id('target', CASE WHEN n > 100 THEN 2 ELSE 1 END), timestamptz '2026-01-01 12:00+00', 'INFO', 'line'
            FROM generate_series(1, 100 + \(small)) AS n
            """,
            "ANALYZE"
        )
    }

    @Test(arguments: [
        (target: "DeploymentLogRecord", table: "deploymentlogrecord", oracle: PackageResources.distr_oracle_logs_sql),
        (
            target: "DeploymentTargetLogRecord", table: "deploymenttargetlogrecord",
            oracle: PackageResources.distr_oracle_target_logs_sql
        ),
    ])
    func `N rows of equal time stay, and groups smaller than N stay whole`(
        _ test: (target: String, table: String, oracle: [UInt8])
    ) async throws {
        try await withDistr(Self.few) { distr in
            try await Self.createLogs(distr)
            try await distr.predict([test.oracle])
            let status = try await distr.clean(test.target)
            #expect(status.rows.deleted == 50)
            #expect(try await distr.number("SELECT count(*) FROM \(test.table)") == 50 + 20)
            try await distr.expectPrediction()
        }
    }

    @Test func `keeping nothing has to be asked for twice`() async throws {
        try await withDistr(Self.few) { distr in
            try await Self.createLogs(distr)
            let once: [String: String?] = ["LOG_RECORD_ENTRIES_MAX_COUNT": "0"]
            for command in ["enqueue", "cleanup"] {
                let refused = try await distr.run(.producer, [command, "DeploymentLogRecord"], environment: once)
                #expect(refused.status == .exited(2))
                #expect(refused.complaints.count == 1)
                #expect(refused.errors.contains("EBB_KEEP_NOTHING"), "\(refused.errors)")
            }
            #expect(try await distr.leftTraces() == [])
            #expect(try await distr.number("SELECT count(*) FROM deploymentlogrecord") == 120)

            let twice = once.merging(["EBB_KEEP_NOTHING": "DeploymentLogRecord"]) { $1 }
            let status = try await distr.clean("DeploymentLogRecord", environment: twice)
            #expect(status.rows.deleted == 120)
            #expect(try await distr.number("SELECT count(*) FROM deploymentlogrecord") == 0)
            #expect(try await distr.number("SELECT count(*) FROM deploymenttargetlogrecord") == 120)
        }
    }

    @Test(arguments: [
        (target: "DeploymentRevisionStatus", knob: "STATUS_ENTRIES_MAX_AGE"),
        (target: "DeploymentTargetMetrics", knob: "METRICS_ENTRIES_MAX_AGE"),
        (target: "DeploymentLogRecord", knob: "LOG_RECORD_ENTRIES_MAX_COUNT"),
        (target: "DeploymentTargetLogRecord", knob: "LOG_RECORD_ENTRIES_MAX_COUNT"),
    ])
    func `a target whose variable is not set is off and says which`(_ test: (target: String, knob: String)) async throws
    {
        try await withSandbox("presets: [distr]\n") { sandbox in
            let enqueue = try await sandbox.producer("enqueue", test.target)
            #expect(enqueue.status == .exited(2))
            #expect(enqueue.complaints == ["target \(test.target) is off: \(test.knob) is not set"])
            let cleanup = try await sandbox.producer("cleanup", test.target)
            #expect(cleanup.status == .exited(0))
            #expect(cleanup.output == "\(test.target): off: \(test.knob) is not set\n")
            #expect(try await sandbox.leftTraces() == [])
        }
    }

    @Test func `organizations have 30 days unless the variable says otherwise`() async throws {
        try await withDistr(Self.few) { distr in
            let later = try await distr.clean("Organization", environment: ["CLEANUP_ORGANIZATION_MIN_AGE": "1000h"])
            #expect(later.rows.deleted == 0)
            let now = try await distr.clean("Organization")
            #expect(now.rows.deleted == 1)
            #expect(try await distr.number("SELECT count(*) FROM organization WHERE deleted_at IS NOT NULL") == 1)
        }
    }
}
