import Foundation
import PostgresClient
import Shared
import TestSupport
import Testing

@testable import Worker

/// Without an index on what refers to objects, each page reads the whole table.
@Suite struct BlobIndexTests {
    /// What there is instead of the plain index, and whether it serves.
    private static let indexes: [(sql: String, serves: Bool)] = [
        ("SELECT", false),
        ("CREATE INDEX ON version (id, manifest)", false),
        ("CREATE INDEX ON version (manifest) WHERE id > 5", false),
        ("CREATE INDEX ON version (manifest) WHERE manifest IS NOT NULL", true),
        ("CREATE INDEX ON version USING hash (manifest)", true),
        ("CREATE INDEX ON version (manifest, id)", true),
    ]

    @Test(arguments: Self.indexes) func `a missing index is refused when it costs too much`(
        _ index: String,
        _ serves: Bool
    ) async throws {
        try await BlobSite.with(settings: "foreign_keys: {most: 5ms}") { site in
            try await site.bucket.seed([.init(BlobSite.key(0), age: BlobSite.old)])
            try await site.bed.run(
                "DROP INDEX version_manifest_idx",
                index,
                "INSERT INTO version (manifest) SELECT 'sha256:' || n FROM generate_series(1, 30000) AS n",
                "ANALYZE version"
            )
            if serves { return expectFinished(try await site.bed.drain("Blobs")[0], rows: 1) }
            let error = await #expect(throws: PlanningError.self) { try await site.bed.start("Blobs") }
            let table = site.bed.table("version")
            let sentence = error?.description ?? ""
            #expect(sentence.contains("CREATE INDEX CONCURRENTLY ON \(table) (\"manifest\");"), "\(sentence)")
            #expect(sentence.contains("about 30001 rows, is read for each 1000 keys"), "\(sentence)")
            let patient = try site.bed.with(["EBB_FOREIGN_KEYS_MOST": "1m"])
            let record = try await patient.start("Blobs")
            // What is under way is not judged again.
            #expect(try await site.bed.start("Blobs").run == record.run)
            try await site.bed.work()
            expectFinished(try await site.bed.outcome(of: record.run), rows: 1)
        }
    }

    /// Each row of a table without an index is compared once, not with every key; the other column keeps its index.
    @Test(arguments: [true, false]) func `without an index, keys are hashed`(_ isAnalyzed: Bool) async throws {
        try await BlobSite.with { site in
            let keys = (0..<1_000).map(BlobSite.key)
            try await site.bed.run(
                "DROP INDEX version_manifest_idx",
                "INSERT INTO version (manifest) SELECT 'sha256:' || n FROM generate_series(1, 20000) AS n",
                "INSERT INTO part SELECT n, 'sha256:' || n FROM generate_series(1, 200000) AS n"
            )
            // Two of the same key are one; one is in both.
            try await site.refer(to: [keys[0], keys[0], keys[1]], by: "version")
            try await site.refer(to: [keys[1], keys[2]])
            if isAnalyzed { try await site.bed.run("ANALYZE version", "ANALYZE part") }
            let target = try #require(site.bed.services.catalog.objects(of: "Blobs"))
            let lookup = try await ReferenceLookup.resolve(target, site.bed.connection)
            let plan = try await lookup.explain(keys, site.bed.connection).joined(separator: "\n")
            #expect(plan.contains("Hash Join") && !plan.contains("Materialize"), "\(plan)")
            #expect(plan.contains("part_blob_idx") && !plan.contains("Seq Scan on part"), "\(plan)")
            let limits = site.bed.services.configuration.batches.timeLimits
            let found = try await lookup.referenced(among: keys, limits: limits, site.bed.connection)
            #expect(found == Set(keys[..<3]))
        }
    }

    /// The statements that the sentence names do what it says.
    @Test func `of a partitioned table, the way to an index is said`() async throws {
        try await BlobSite.with(settings: "foreign_keys: {most: 1ms}") { site in
            try await site.bucket.seed([.init(BlobSite.key(0), age: BlobSite.old)])
            try await site.bed.run(
                "DROP TABLE version",
                "CREATE TABLE version (id bigint, manifest text) PARTITION BY RANGE (id)",
                "CREATE TABLE low PARTITION OF version FOR VALUES FROM (0) TO (20000)",
                "CREATE TABLE high PARTITION OF version FOR VALUES FROM (20000) TO (40000)",
                "INSERT INTO version SELECT n, 'sha256:' || n FROM generate_series(1, 30000) AS n",
                "ANALYZE version"
            )
            let error = await #expect(throws: PlanningError.self) { try await site.bed.start("Blobs") }
            let text = error?.description ?? ""
            let (start, end) = (try #require(text.range(of: "run CREATE")), try #require(text.range(of: " first, or")))
            let advice = text[start.lowerBound..<end.lowerBound].dropFirst("run ".count)
                .replacing("and then, for each PARTITION of it, ", with: "")
            let statements = advice.split(separator: ";").map { String($0) }
            #expect(statements.count == 3, "\(text)")
            try await site.bed.run(statements[0])
            for partition in ["low", "high"] {
                for statement in statements[1...] {
                    try await site.bed.run(
                        statement.replacing("PARTITION_idx", with: "\(partition)_idx")
                            .replacing("ON PARTITION", with: "ON \(partition)")
                    )
                }
            }
            expectFinished(try await site.bed.drain("Blobs")[0], rows: 1)
        }
    }
}
