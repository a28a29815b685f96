import Foundation
import PostgresClient
import Shared
import TestSupport

/// A registry as Distr has it, in small: blobs in a bucket, named by digests, and two tables that refer to them.
struct BlobSite: Sendable {
    let bed: TestBed
    let bucket: TestBucket

    /// Lends a site; objects are due after an hour, leftovers after two, uploads after three.
    static func with<Result>(
        quarantine: String? = nil,
        prefix: String = "",
        in bucket: TestBucket? = nil,
        settings: String = "",
        batches: String = "batches: {backoff: 5ms, max_backoff: 20ms}",
        keys: String = "[0-9a-f]{64}",
        _ body: (BlobSite) async throws -> Result
    ) async throws -> Result {
        var own = bucket
        if own == nil { own = try await TestBucket.create() }
        guard let bucket = own else { throw UnexpectedState("no bucket") }
        let targets = """
              Blobs:
                objects: {store: blobs, prefix: "sha256:", keys: "\(keys)"}
                min_age: 1h
                unreferenced:
                  - {table: version, column: manifest}
                  - {table: part, column: blob}
                leftovers: {prefix: chunks/, age: 2h}
                multipart: 3h
                \(quarantine.map { "quarantine: \($0)" } ?? "")
            """
        return try await withTestBed(
            targets: targets,
            settings: [bucket.settings(prefix: prefix), batches, settings].joined(separator: "\n"),
            variables: TestBucket.variables
        ) { bed in
            try await bed.run(
                "CREATE TABLE version (id bigserial PRIMARY KEY, manifest text NOT NULL)",
                "CREATE INDEX ON version (manifest)",
                "CREATE TABLE part (version bigint, blob text, PRIMARY KEY (version, blob))",
                "CREATE INDEX ON part (blob)",
                // Of another store; where nothing refers to anything, no run begins.
                "INSERT INTO version (manifest) VALUES ('elsewhere')"
            )
            return try await body(BlobSite(bed: bed, bucket: bucket))
        }
    }

    /// A digest, the same for the same number; they are spread evenly.
    static func key(_ number: Int) -> String { "sha256:" + SignatureV4.hash(of: Array("blob \(number)".utf8)) }

    static let old = 2 * 3_600
    static let young = 600

    func refer(to keys: [String], by table: String = "part") async throws {
        let sql =
            table == "part"
            ? "INSERT INTO part SELECT (random() * 1000000000)::bigint, unnest($1::text[])"
            : "INSERT INTO version (manifest) SELECT unnest($1::text[])"
        _ = try await self.bed.connection.query(sql, [SQLText.array(keys)])
    }

    func forget(_ keys: [String]) async throws {
        for (table, column) in [("part", "blob"), ("version", "manifest")] {
            _ = try await self.bed.connection.query(
                "DELETE FROM \(table) WHERE \(column) = ANY ($1::text[])",
                [SQLText.array(keys)]
            )
        }
    }

    /// The bytes that a run has reclaimed, by the ledger.
    func bytes(of run: String) async throws -> Int {
        try await self.bed.int("SELECT bytes FROM \(self.bed.ledger.table("run")) WHERE run = $1", [run])
    }

    /// Lets all marks be older than they are.
    func age(by interval: String) async throws {
        try await self.bed.run(
            "UPDATE \(self.bed.ledger.table("object_mark")) SET marked_at = marked_at - interval '\(interval)'"
        )
    }

    /// How many marks there are.
    func marks() async throws -> Int {
        try await self.bed.int("SELECT count(*) FROM \(self.bed.ledger.table("object_mark"))")
    }
}
