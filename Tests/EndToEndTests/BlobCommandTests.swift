import Shared
import TestSupport
import Testing

@Suite struct `Objects of a storage` {
    /// Distr's own target and variables, on a bucket and two tables of the test.
    private static func withRegistry(_ body: (Sandbox, TestBucket) async throws -> Void) async throws {
        let bucket = try await TestBucket.create()
        try await withSandbox("presets: [distr]\nstorage: {backoff: 5ms}\n") { sandbox in
            let schema = sandbox.schema
            try await sandbox.execute(
                "CREATE TABLE \(schema).artifactversion (id uuid PRIMARY KEY DEFAULT gen_random_uuid(), manifest_blob_digest text NOT NULL)",
                "CREATE INDEX ON \(schema).artifactversion (manifest_blob_digest)",
                "INSERT INTO \(schema).artifactversion (manifest_blob_digest) VALUES ('elsewhere')",
                """
                CREATE TABLE \(schema).artifactversionpart (artifact_version_id uuid, artifact_blob_digest text,
                  PRIMARY KEY (artifact_version_id, artifact_blob_digest))
                """,
                "CREATE INDEX ON \(schema).artifactversionpart (artifact_blob_digest)"
            )
            var registry = sandbox
            registry.environment.merge([
                "DATABASE_URL": try Servers.databaseURL(adding: "options=-csearch_path%3D\(schema)"),
                "REGISTRY_ENABLED": "true",
                "REGISTRY_S3_ENDPOINT": bucket.url,
                "REGISTRY_S3_REGION": "us-east-1",
                "REGISTRY_S3_BUCKET": bucket.name,
                "REGISTRY_S3_USE_PATH_STYLE": "true",
                "REGISTRY_S3_ACCESS_KEY_ID": "id",
                "REGISTRY_S3_SECRET_ACCESS_KEY": "very-secret",
            ]) { $1 }
            try await body(registry, bucket)
        }
    }

    private static func key(_ number: Int) -> String { "sha256:" + SignatureV4.hash(of: Array("blob \(number)".utf8)) }

    private static let day = 24 * 3_600

    private struct Plan: Decodable {
        var table: String
        var strategy: String
        var estimated_rows: Int
        var estimated_keys: Int?
        var estimated_bytes: Int?
        var estimated_batches: Int
    }

    private struct Rows: Decodable {
        struct Rows: Decodable {
            var deleted: Int
            var bytes: Int?
        }
        var rows: Rows
        var strategy: String
    }

    @Test(.timeLimit(.minutes(5)))
    func `Distr's variables and one command are enough`() async throws {
        try await Self.withRegistry { sandbox, bucket in
            let keys = (0..<30).map(Self.key)
            try await bucket.seed(keys.map { .init($0, size: 1_024, age: Self.day + 60) })
            try await bucket.seed([.init(Self.key(99), age: Self.day - 600), .init("chunks/x", age: Self.day + 60)])
            try await sandbox.execute(
                "INSERT INTO \(sandbox.schema).artifactversion (manifest_blob_digest) VALUES ('\(keys[0])')"
            )
            let plan = try #require(
                try await sandbox.producer("plan", "ArtifactBlob", "--json").json([Plan].self).first
            )
            #expect(plan.strategy == "prefix" && plan.table.hasSuffix("/\(bucket.name)/"))
            #expect(plan.estimated_keys == 31 && plan.estimated_rows == 29 && plan.estimated_bytes == 29 * 1_024)
            #expect(plan.estimated_batches == 3)
            #expect(try await sandbox.leftTraces() == [], "a plan writes nothing")
            let outcome = try await sandbox.producer("cleanup", "ArtifactBlob", "--workers", "1")
            #expect(outcome.status == .exited(0), "\(outcome.errors)")
            #expect(
                outcome.output.contains("ArtifactBlob: finished, 30 objects deleted, 29 KiB reclaimed, "),
                "\(outcome.output)"
            )
            let run = try #require(try await sandbox.runs().first)
            let status = try await sandbox.producer("status", run, "--json").json(Rows.self)
            #expect(status.rows.deleted == 30 && status.rows.bytes == 29 * 1_024 && status.strategy == "prefix")
            #expect(Set(try await bucket.state().keys) == [keys[0], Self.key(99)])
            #expect(outcome.errors == "")
            #expect(!outcome.output.contains("very-secret"))
        }
    }

    /// Most blobs are layers and configurations, which no version names itself.
    @Test(.timeLimit(.minutes(5)))
    func `what only a part of an artifact refers to stays`() async throws {
        try await Self.withRegistry { sandbox, bucket in
            let keys = (0..<12).map(Self.key)
            try await bucket.seed(keys.map { .init($0, size: 1_024, age: 2 * Self.day) })
            let schema = sandbox.schema
            try await sandbox.execute(
                "INSERT INTO \(schema).artifactversion (manifest_blob_digest) VALUES ('\(keys[0])')"
            )
            // The first is a manifest, too, and the second is a part of two.
            for key in Array(keys[..<6]) + [keys[1]] {
                try await sandbox.execute(
                    "INSERT INTO \(schema).artifactversionpart VALUES (gen_random_uuid(), '\(key)')"
                )
            }
            let outcome = try await sandbox.producer("cleanup", "ArtifactBlob", "--workers", "1")
            #expect(outcome.status == .exited(0), "\(outcome.errors)")
            #expect(
                outcome.output.contains("ArtifactBlob: finished, 6 objects deleted, 6 KiB reclaimed, "),
                "\(outcome.output)"
            )
            #expect(Set(try await bucket.state().keys) == Set(keys[..<6]))

            // Nothing but its row has kept it.
            try await sandbox.execute(
                "DELETE FROM \(schema).artifactversionpart WHERE artifact_blob_digest = '\(keys[5])'"
            )
            let later = try await sandbox.producer("cleanup", "ArtifactBlob", "--workers", "1")
            #expect(later.status == .exited(0), "\(later.errors)")
            #expect(later.output.contains("ArtifactBlob: finished, 1 object deleted, "), "\(later.output)")
            #expect(Set(try await bucket.state().keys) == Set(keys[..<5]))
        }
    }

    @Test(.timeLimit(.minutes(5)), arguments: ["plan", "enqueue"])
    func `a wrong secret key is refused in one sentence, with nothing half done`(_ command: String) async throws {
        try await Self.withRegistry { sandbox, bucket in
            try await bucket.seed([.init(Self.key(0), age: 2 * Self.day)])
            let wrong: [String: String?] = ["REGISTRY_S3_SECRET_ACCESS_KEY": "not-that-one"]
            let outcome = try await sandbox.producer(command, "ArtifactBlob", environment: wrong)
            #expect(outcome.status == .exited(2) && outcome.output == "", "\(outcome.output)")
            #expect(outcome.complaints.count == 1, "\(outcome.errors)")
            let sentence = "object storage, ListObjectsV2 of bucket \(bucket.name): SignatureDoesNotMatch: The request "
            #expect(outcome.errors.hasPrefix(sentence), "\(outcome.errors)")
            #expect(!outcome.errors.contains("not-that-one"), "\(outcome.errors)")
            #expect(try await sandbox.leftTraces() == [])
            #expect(try await bucket.state().keys == [Self.key(0)])
        }
    }

    @Test(.timeLimit(.minutes(5)))
    func `what a worker of its own warns of, a cleanup shows`() async throws {
        try await Self.withRegistry { sandbox, bucket in
            try await bucket.seed((0..<3).map { .init(Self.key($0), age: 2 * Self.day) })
            try await bucket.beginUpload("chunks/x", age: 2 * Self.day)
            try await bucket.inflict(.denied, on: "uploads", times: 100)
            let outcome = try await sandbox.producer("cleanup", "ArtifactBlob", "--workers", "1")
            #expect(outcome.status == .exited(0), "\(outcome.errors)")
            #expect(outcome.output.contains("ArtifactBlob: finished, 3 objects deleted, "), "\(outcome.output)")
            // Nothing else: what a worker does every day is no news.
            #expect(outcome.complaints.count == 1, "\(outcome.errors)")
            #expect(outcome.errors.contains("allow s3:ListBucketMultipartUploads"), "\(outcome.errors)")
            #expect(!outcome.errors.contains("very-secret"))
        }
    }

    @Test func `without a registry the target is off and says so`() async throws {
        try await Self.withRegistry { sandbox, _ in
            let off: [String: String?] = ["REGISTRY_ENABLED": nil]
            let cleanup = try await sandbox.producer("cleanup", "ArtifactBlob", environment: off)
            #expect(cleanup.status == .exited(0))
            #expect(cleanup.output == "ArtifactBlob: off: REGISTRY_ENABLED is not set\n")
            let enqueue = try await sandbox.producer("enqueue", "ArtifactBlob", environment: off)
            #expect(enqueue.status == .exited(2) && enqueue.errors.contains("REGISTRY_ENABLED is not set"))
            let targets = try await sandbox.producer("targets")
            #expect(
                targets.output.contains("older than 24h and in no artifactversion.manifest_blob_digest or "),
                "\(targets.output)"
            )
        }
    }

    /// The worker dies while its call is on the way; the call happens after its death.
    @Test(.timeLimit(.minutes(5)))
    func `a worker that is killed in the middle of a call loses no count`() async throws {
        try await Self.withRegistry { sandbox, bucket in
            let keys = (0..<1_500).map(Self.key)
            try await bucket.seed(keys.map { .init($0, size: 2, age: 2 * Self.day) })
            let run = try await sandbox.enqueue("ArtifactBlob", batchRows: 1, environment: Sandbox.shortLeases)
            // The first of two deletions is held; the worker dies; then it happens.
            try await bucket.holding(
                "delete",
                while: {
                    _ = try await sandbox.during(.worker, ["--concurrency", "1"], environment: Sandbox.shortLeases) {
                        worker in
                        try await until("the call is on its way") {
                            (try await bucket.state().calls["delete"] ?? 0) > 0
                        }
                        worker.send(9)
                    }
                }
            ) {
                try await until("the worker is gone") {
                    try ProcessTable.pids(with: "EBB_NAMESPACE", sandbox.namespace).isEmpty
                }
            }
            let drained = try await sandbox.run(.worker, ["--drain"], environment: Sandbox.shortLeases)
            #expect(drained.status == .exited(0), "\(drained.errors)")
            let status = try await sandbox.producer("status", run, "--json").json(Rows.self)
            #expect(status.rows.deleted == 1_500 && status.rows.bytes == 3_000)
            #expect(try await sandbox.status(of: run).state == "finished")
            #expect(try await bucket.state().keys == [])
        }
    }
}
