import Foundation
import TestSupport
import Testing

/// One of `producer doctor`.
struct Finding: Decodable, Sendable {
    var check: String
    var target: String?
    var level: String
    var message: String
    var fix: String?
}

extension Sandbox {
    /// The exit code of `producer doctor`, and what it found.
    func doctor(_ environment: [String: String?] = [:]) async throws -> (Int32, [Finding]) {
        let outcome = try await self.run(.producer, ["doctor", "--json"], environment: environment)
        #expect(outcome.errors == "")
        guard case .exited(let code) = outcome.status else { throw UnexpectedState("the doctor was killed") }
        return (code, try outcome.json([Finding].self))
    }
}

@Suite(.timeLimit(.minutes(5))) struct `The doctor` {
    private func expect(
        _ level: String,
        _ check: String,
        _ message: String,
        fix: String? = nil,
        in findings: [Finding],
        sourceLocation: SourceLocation = #_sourceLocation
    ) {
        let found = findings.contains { finding in
            finding.level == level && finding.check == check && finding.message.contains(message)
                && (fix.map { finding.fix?.contains($0) == true } ?? true)
        }
        #expect(found, "no \(level) \(check): \(message) in \(findings)", sourceLocation: sourceLocation)
    }

    @Test func `finds nothing wrong where runs can work, and writes nothing`() async throws {
        try await withSandbox { sandbox in
            try await sandbox.createEvents(1_000)
            let (code, findings) = try await sandbox.doctor()
            #expect(code == 0)
            #expect(!findings.contains { $0.level == "problem" }, "\(findings)")
            self.expect("ok", "ledger", "the first run creates it", in: findings)
            self.expect("ok", "foreign_keys", "no key refers to it", in: findings)
            self.expect("ok", "target", "METRICS_ENTRIES_MAX_AGE is not set", in: findings)
            #expect(try await sandbox.leftTraces() == [])

            let text = try await sandbox.producer("doctor")
            #expect(text.status == .exited(0))
            #expect(text.output.contains("ok       configuration"))
            #expect(text.output.contains(" 0 problem\n"))

            _ = try await sandbox.producer("setup")
            self.expect("ok", "ledger", "version", in: try await sandbox.doctor().1)
        }
    }

    @Test func `says what keeps the procedure from being read`() async throws {
        let targets =
            Events.target() + """

                procedure:
                  stages:
                    - {target: Events, keep: ${KEEP:-5}}
                """
        try await withSandbox(targets) { sandbox in
            let stages = "the procedure is read: 1 of its 1 stages are on"
            self.expect("ok", "maintenance", stages, in: try await sandbox.doctor().1)
            let (code, findings) = try await sandbox.doctor(["KEEP": "0"])
            #expect(code == 2)
            self.expect("problem", "maintenance", "keep_nothing", in: findings)
        }
    }

    @Test func `says what keeps schedules from being read`() async throws {
        try await withSandbox { sandbox in
            let cron = "CLEANUP_DEPLOYMENT_TARGET_METRICS_CRON"
            self.expect("ok", "schedules", "they are read", in: try await sandbox.doctor([cron: "@daily"]).1)
            let (code, findings) = try await sandbox.doctor([cron: "every day"])
            #expect(code == 2)
            self.expect("problem", "schedules", cron, in: findings)
        }
    }

    @Test func `takes a 0 that was asked for twice as runs do`() async throws {
        let targets = """
            targets:
              Events: {schema: SCHEMA, table: events, key: id, keep_newest: {count: "${KEEP}", per: [source], order: [created_at]}}

            """
        try await withSandbox(targets) { sandbox in
            try await sandbox.createEvents(10)
            let once = try await sandbox.doctor(["KEEP": "0"]).1
            self.expect("problem", "target", "keep_nothing", in: once)
            let twice = try await sandbox.doctor(["KEEP": "0", "EBB_KEEP_NOTHING": "Events"]).1
            #expect(!twice.contains { $0.target == "Events" && $0.level == "problem" }, "\(twice)")
        }
    }

    @Test func `names what a role may not do, and the grant that allows it`() async throws {
        let target = Events.target() + "    protect: [notes]\n"
        try await withPostgresSandbox(target) { sandbox, server in
            try await sandbox.createEvents(1_000)
            try await sandbox.execute(
                "CREATE TABLE \(sandbox.schema).notes (event uuid REFERENCES \(sandbox.schema).events)",
                "REVOKE ALL ON \(sandbox.schema).notes, \(sandbox.schema).events FROM plain",
                "GRANT SELECT (event) ON \(sandbox.schema).notes TO plain",
                "GRANT SELECT ON \(sandbox.schema).events TO plain",
                "REVOKE CREATE ON DATABASE ebb FROM plain",
                "REVOKE EXECUTE ON FUNCTION pg_control_system() FROM PUBLIC",
                "ALTER TABLE \(sandbox.schema).events SET (autovacuum_enabled = off)",
                "SELECT pg_create_physical_replication_slot('left_behind', true)"
            )
            let (code, findings) = try await sandbox.doctor(["EBB_VACUUM": "on", "EBB_LEASE_DURATION": "20s"])
            #expect(code == 2)
            self.expect("problem", "privileges", "plain lacks DELETE on", fix: "GRANT DELETE ON ", in: findings)
            self.expect("problem", "privileges", "protect cannot lock rows", fix: "GRANT UPDATE ON ", in: findings)
            self.expect("problem", "privileges", "protect cannot see", fix: "\"notes\" TO plain;", in: findings)
            self.expect("warning", "privileges", "left to autovacuum", in: findings)
            self.expect("problem", "privileges", "pg_control_system()", fix: "GRANT EXECUTE ON FUNCTION", in: findings)
            self.expect(
                "problem",
                "ledger",
                "may not create",
                fix: "GRANT CREATE ON DATABASE ebb TO plain",
                in: findings
            )
            self.expect("warning", "autovacuum", "is off for", fix: "RESET (autovacuum_enabled)", in: findings)
            self.expect("warning", "replication_slots", "'left_behind' is not in use", fix: "pg_drop_", in: findings)
            self.expect("warning", "old_snapshots", "may not see others", fix: "pg_read_all_stats", in: findings)
            self.expect("warning", "configuration", "did you mean EBB_LEASES_DURATION?", in: findings)
            // Who only meets the error hears of the doctor.
            try await sandbox.expectRefusal(["enqueue", "Events"], "; producer doctor says what the role lacks\n")
            #expect(try await sandbox.leftTraces() == [])
        }
    }

    @Test func `tells keys without an index, and which of them keep runs from starting`() async throws {
        try await withSandbox { sandbox in
            try await sandbox.createEvents(1_000)
            try await sandbox.execute(
                "CREATE TABLE \(sandbox.schema).notes (event uuid REFERENCES \(sandbox.schema).events ON DELETE CASCADE)",
                "INSERT INTO \(sandbox.schema).notes SELECT NULL FROM generate_series(1, 20000)",
                "ANALYZE \(sandbox.schema).notes"
            )
            let statement = "CREATE INDEX CONCURRENTLY ON \"\(sandbox.schema)\".\"notes\" (\"event\");"
            let (first, warnings) = try await sandbox.doctor()
            #expect(first == 0)
            self.expect("warning", "foreign_keys", "notes_event_fkey", fix: statement, in: warnings)

            let strict = ["EBB_FOREIGN_KEYS_MOST": "100ms"]
            let (second, problems) = try await sandbox.doctor(strict)
            #expect(second == 2)
            self.expect("problem", "foreign_keys", "foreign_keys.most refuses it", fix: statement, in: problems)

            let enqueue = try await sandbox.run(.producer, ["enqueue", "Events"], environment: strict)
            #expect(enqueue.status == .exited(2))
            #expect(enqueue.complaints.count == 1)
            #expect(enqueue.errors.contains(statement), "\(enqueue.errors)")
            let cleanup = try await sandbox.run(
                .producer,
                ["cleanup", "Events", "--workers", "0"],
                environment: strict
            )
            #expect(cleanup.status == .exited(1))
            #expect((cleanup.output + cleanup.errors).contains(statement), "\(cleanup)")
            #expect(try await sandbox.leftTraces() == [])

            let plan = try await sandbox.run(.producer, ["plan", "Events", "--count"], environment: strict)
            for part in [statement, "0 rows of ", "counted now", "a run would be refused"] {
                #expect(plan.output.contains(part), "\(plan.output)")
            }
            try await sandbox.execute("CREATE INDEX ON \(sandbox.schema).notes (event)")
            let (third, fine) = try await sandbox.doctor(strict)
            #expect(third == 0)
            self.expect("ok", "foreign_keys", "all 1 keys", in: fine)
        }
    }

    @Test func `tells keys without an index before a target is switched on`() async throws {
        try await withSandbox(Events.target(age: "${AGE}")) { sandbox in
            try await sandbox.createEvents(1_000)
            try await sandbox.execute(
                "CREATE TABLE \(sandbox.schema).notes (event uuid REFERENCES \(sandbox.schema).events)",
                "INSERT INTO \(sandbox.schema).notes SELECT NULL FROM generate_series(1, 20000)",
                "ANALYZE \(sandbox.schema).notes"
            )
            // Nothing runs that could be refused.
            let strict = ["EBB_FOREIGN_KEYS_MOST": "100ms"]
            let statement = "CREATE INDEX CONCURRENTLY ON \"\(sandbox.schema)\".\"notes\" (\"event\");"
            let (code, warnings) = try await sandbox.doctor(strict)
            #expect(code == 0)
            self.expect("ok", "target", "it is off: AGE is not set", in: warnings)
            self.expect("warning", "foreign_keys", "notes_event_fkey", fix: statement, in: warnings)

            try await sandbox.execute("CREATE INDEX ON \(sandbox.schema).notes (event)")
            let (_, fine) = try await sandbox.doctor(strict)
            #expect(!fine.contains { $0.target == "Events" && $0.check == "foreign_keys" }, "\(fine)")
        }
    }

    @Test func `warns of a registry to which nothing was pushed yet, and no more`() async throws {
        let bucket = try await TestBucket.create()
        try await withSandbox("presets: [distr]\n") { sandbox in
            let schema = sandbox.schema
            try await sandbox.execute(
                "CREATE TABLE \(schema).artifactversion (manifest_blob_digest text NOT NULL)",
                "CREATE TABLE \(schema).artifactversionpart (artifact_blob_digest text NOT NULL)"
            )
            let environment: [String: String?] = [
                "DATABASE_URL": try Servers.databaseURL(adding: "options=-csearch_path%3D\(schema)"),
                "REGISTRY_ENABLED": "true", "REGISTRY_S3_ENDPOINT": bucket.url, "REGISTRY_S3_BUCKET": bucket.name,
                "REGISTRY_S3_USE_PATH_STYLE": "true", "REGISTRY_S3_ACCESS_KEY_ID": "id",
                "REGISTRY_S3_SECRET_ACCESS_KEY": "secret",
            ]
            let (code, fresh) = try await sandbox.doctor(environment)
            #expect(code == 0, "\(fresh)")
            self.expect("warning", "references", "nothing at all is in artifactversion.manifest_blob_digest", in: fresh)

            let asked = environment.merging(["EBB_KEEP_NOTHING": "ArtifactBlob"]) { $1 }
            self.expect("ok", "references", "can be seen", in: try await sandbox.doctor(asked).1)

            try await sandbox.execute("INSERT INTO \(schema).artifactversion VALUES ('a digest')")
            let (later, pushed) = try await sandbox.doctor(environment)
            #expect(later == 0)
            self.expect("ok", "references", "can be seen", in: pushed)
        }
    }

    @Test func `says what could not be checked`() async throws {
        try await withSandbox { sandbox in
            let away = ["DATABASE_URL": "postgresql://127.0.0.1:1/db?user=ebb", "REDIS_URL": "redis://127.0.0.1:1"]
            let (code, findings) = try await sandbox.doctor(away)
            #expect(code == 2)
            self.expect("problem", "connection", "cannot connect to PostgreSQL", in: findings)
            self.expect("problem", "targets", "could not be checked", in: findings)
            self.expect("problem", "redis", "127.0.0.1:1", in: findings)

            let (broken, configuration) = try await sandbox.doctor(["EBB_LEASES_DURATION": "ten"])
            #expect(broken == 2)
            self.expect("problem", "configuration", "EBB_LEASES_DURATION", in: configuration)

            let (tls, redis) = try await sandbox.doctor(["REDIS_URL": "rediss://127.0.0.1:1"])
            #expect(tls == 2)
            self.expect("problem", "redis", "TLS", in: redis)

            let (missing, table) = try await sandbox.doctor()
            #expect(missing == 2)
            self.expect("problem", "target", "does not exist in this database", in: table)
        }
    }

    @Test func `tells a Redis that may evict the queue`() async throws {
        try await withRedisSandbox(options: ["--maxmemory-policy", "allkeys-lru", "--maxmemory", "100mb"]) {
            sandbox,
            _ in
            try await sandbox.createEvents(10)
            let (code, findings) = try await sandbox.doctor()
            #expect(code == 2)
            self.expect("problem", "redis", "maxmemory-policy of Redis is allkeys-lru", in: findings)
        }
    }
}
