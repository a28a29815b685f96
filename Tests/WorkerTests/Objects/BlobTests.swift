import Foundation
import PostgresClient
import Shared
import TestSupport
import Testing

@testable import Worker

@Suite struct BlobTests {
    @Test func `what is old and unreferenced goes, everything else stays`() async throws {
        try await BlobSite.with { site in
            let keys = (0..<60).map(BlobSite.key)
            let young = Array(keys[..<10])
            let manifests = Array(keys[10..<20])
            let parts = Array(keys[20..<30])
            let due = Array(keys[30...])
            let foreign = ["sha256:short", "sha256:" + String(repeating: "G", count: 64), "other", "sha512:ab"]
            try await site.bucket.seed(
                young.map { .init($0, size: 5, age: BlobSite.young) }
                    + keys[10...].map { .init($0, size: 7, age: BlobSite.old) }
                    + foreign.map { .init($0, age: 100 * BlobSite.old) }
                    + [
                        .init("chunks/old", size: 11, age: BlobSite.old + 60),
                        .init("chunks/new", age: BlobSite.old - 60),
                    ]
            )
            try await site.bucket.beginUpload("chunks/old", age: 4 * 3_600)
            try await site.bucket.beginUpload("chunks/new", age: 2 * 3_600)
            try await site.bucket.beginUpload("elsewhere", age: 4 * 3_600)
            try await site.refer(to: manifests, by: "version")
            try await site.refer(to: parts)
            let outcome = try await site.bed.drain("Blobs")[0]
            expectFinished(outcome, rows: due.count + 1)
            let state = try await site.bucket.state()
            #expect(Set(state.keys) == Set(young + manifests + parts + foreign + ["chunks/new"]))
            #expect(state.uploads == ["chunks/new", "elsewhere"])
            #expect(try await site.bytes(of: outcome.run) == due.count * 7 + 11)
            let status = try RunStatus(fields: outcome.fields)
            #expect(status.rows.bytes == due.count * 7 + 11 && status.strategy == "prefix")
            #expect(status.rows.estimated == due.count)
            // One page to plan, one for each of the two prefixes; one deletion each.
            #expect(state.calls["list"] == 3 && state.calls["delete"] == 2 && state.calls["uploads"] == 1)
        }
    }

    @Test func `where nothing refers to anything, no run begins`() async throws {
        try await BlobSite.with { site in
            try await site.bucket.seed([.init(BlobSite.key(1), age: BlobSite.old)])
            try await site.bed.run("DELETE FROM version")
            let error = await #expect(throws: PlanningError.self) { try await site.bed.start("Blobs") }
            #expect(error?.description.contains("nothing at all is in version.manifest and part.blob") == true)
        }
        try await BlobSite.with(settings: "keep_nothing: [Blobs]") { site in
            try await site.bucket.seed([.init(BlobSite.key(1), age: BlobSite.old)])
            try await site.bed.run("DELETE FROM version")
            expectFinished(try #require(try await site.bed.drain("Blobs").first), rows: 1)
        }
    }

    @Test func `a second run finds nothing to do`() async throws {
        try await BlobSite.with { site in
            try await site.bucket.seed((0..<5).map { .init(BlobSite.key($0), age: BlobSite.old) })
            let outcomes = try await site.bed.drain("Blobs", "Blobs")
            expectFinished(outcomes[0], rows: 5)
            expectFinished(outcomes[1], rows: 0)
        }
    }

    @Test func `two installations share a bucket`() async throws {
        let bucket = try await TestBucket.create()
        let keys = (0..<20).map(BlobSite.key)
        try await bucket.seed(keys.flatMap { key in ["a/", "b/", ""].map { .init($0 + key, age: BlobSite.old) } })
        try await bucket.seed([.init("a/chunks/x", age: 9 * BlobSite.old), .init("b/chunks/x", age: 9 * BlobSite.old)])
        try await BlobSite.with(prefix: "a/", in: bucket) { site in
            try await site.refer(to: Array(keys[..<5]))
            expectFinished(try await site.bed.drain("Blobs")[0], rows: 16)
        }
        let left = Set(keys[..<5].map { "a/" + $0 } + keys.map { "b/" + $0 } + keys + ["b/chunks/x"])
        #expect(Set(try await bucket.state().keys) == left)
    }

    @Test func `keys that are no digests are one batch`() async throws {
        try await BlobSite.with(keys: "[a-z]+-[0-9]+") { site in
            try await site.bucket.seed((0..<1_200).map { .init("sha256:blob-\($0)", age: BlobSite.old) })
            try await site.bucket.seed([.init("sha256:blob-x", age: BlobSite.old)])
            let outcome = try await site.bed.drain("Blobs")[0]
            expectFinished(outcome, rows: 1_200)
            #expect(outcome.count("total") == 3)
            #expect(try await site.bucket.state().keys == ["sha256:blob-x"])
        }
    }

    /// Each kind of fault in each kind of call: it costs tries, and never the count or an object.
    @Test(arguments: [TestBucket.Fault.unavailable, .lost, .truncated, .reset], ["list", "delete"])
    func `faults cost tries and nothing else`(_ fault: TestBucket.Fault, _ operation: String) async throws {
        try await BlobSite.with { site in
            let keys = (0..<1_500).map(BlobSite.key)
            try await site.bucket.seed(keys.map { .init($0, size: 3, age: BlobSite.old) })
            try await site.refer(to: Array(keys[..<100]))
            let record = try await site.bed.start("Blobs")
            // More than the tries of one attempt.
            try await site.bucket.inflict(fault, on: operation, times: 7)
            try await site.bed.work()
            let outcome = try await site.bed.outcome(of: record.run)
            expectFinished(outcome, rows: 1_400)
            #expect(try await site.bytes(of: record.run) == 4_200)
            #expect(Set(try await site.bucket.state().keys) == Set(keys[..<100]))
        }
    }

    @Test func `single keys that fail for a while cost tries`() async throws {
        try await BlobSite.with { site in
            let keys = (0..<50).map(BlobSite.key)
            try await site.bucket.seed(keys.map { .init($0, age: BlobSite.old) })
            try await site.bucket.inflict(.keys, on: "delete", times: 2, keys: Array(keys[..<3]), code: "InternalError")
            expectFinished(try await site.bed.drain("Blobs")[0], rows: 50)
            #expect(try await site.bucket.state().calls["delete"] == 3)
        }
    }

    /// Without a code, the answers never mention them.
    @Test(arguments: [("InternalError", "InternalError"), ("", "NoAnswer")])
    func `single keys that always fail become dead letters`(_ code: String, _ shown: String) async throws {
        try await BlobSite.with { site in
            let keys = (0..<50).map(BlobSite.key)
            let count = 3
            let failing = Array(keys[..<count])
            try await site.bucket.seed(keys.map { .init($0, size: 2, age: BlobSite.old) })
            try await site.bucket.inflict(.keys, on: "delete", times: 10_000, keys: failing, code: code)
            let outcome = try await site.bed.drain("Blobs")[0]
            #expect(outcome.state == "failed" && outcome.count("dead") == count, "\(outcome.fields)")
            #expect(outcome.ledgerRows == 50 - count && outcome.count("bytes") == 2 * (50 - count))
            let letters = try await site.bed.queue.deadLetters(of: outcome.run)
            #expect(Set(letters.compactMap(\.range)) == Set(failing.map { .objects(.keys([$0])) }))
            #expect(letters.allSatisfy { $0.error.contains(shown) && $0.attempts == 8 })
            #expect(Set(try await site.bucket.state().keys) == Set(failing))
        }
    }

    /// Its listing would be the only one, so that nothing finds the key a second time.
    @Test func `a dead letter that is discarded before the end stays its run's failure`() async throws {
        try await BlobSite.with { site in
            let keys = (0..<5).map(BlobSite.key)
            try await site.bucket.seed(keys.map { .init($0, size: 2, age: BlobSite.old) })
            try await site.bucket.inflict(.keys, on: "delete", times: 10_000, keys: [keys[0]])
            let record = try await site.bed.start("Blobs")
            // The end reads it before it counts the letters.
            try await site.bed.discarding(record.run, at: "file_list")
            let outcome = try await site.bed.outcome(of: record.run)
            #expect(outcome.state == "failed" && outcome.ledgerRows == 4, "\(outcome.fields)")
            #expect(try await site.bucket.state().keys == [keys[0]])
        }
    }

    @Test(arguments: [1, 5, 25]) func `single keys that are refused become dead letters`(_ count: Int) async throws {
        try await BlobSite.with(settings: "worker: {concurrency: 2}") { site in
            let keys = (0..<50).map(BlobSite.key)
            let refused = Array(keys[..<count])
            try await site.bucket.seed(keys.map { .init($0, size: 2, age: BlobSite.old) })
            try await site.bucket.inflict(.keys, on: "delete", times: 10_000, keys: refused)
            let outcome = try await site.bed.drain("Blobs")[0]
            #expect(outcome.state == "failed" && outcome.count("dead") == count, "\(outcome.fields)")
            #expect(outcome.ledgerRows == 50 - count && outcome.count("bytes") == 2 * (50 - count))
            let letters = try await site.bed.queue.deadLetters(of: outcome.run)
            #expect(Set(letters.compactMap(\.range)) == Set(refused.map { .objects(.keys([$0])) }))
            #expect(letters.allSatisfy { $0.error.contains("AccessDenied") && $0.attempts == 8 })
            #expect(Set(try await site.bucket.state().keys) == Set(refused))
            // Mended, they go, and all is counted.
            try await site.bucket.heal()
            let control = site.bed.services.runControl(site.bed.queue)
            try await control.retry(letters.map(\.batch), of: outcome.run, site.bed.connection)
            try await site.bed.work()
            expectFinished(try await site.bed.outcome(of: outcome.run), rows: 50)
            #expect(try await site.bucket.state().keys == [])
        }
    }

    /// The call is answered, so that it is about what is in the batch, but no matter of single keys.
    @Test func `a batch of which every key is refused is one dead letter`() async throws {
        try await BlobSite.with { site in
            let keys = (0..<1_200).map(BlobSite.key).sorted()
            try await site.bucket.seed(keys.map { .init($0, size: 2, age: BlobSite.old) })
            try await site.bucket.seed([.init("chunks/old", size: 3, age: 2 * BlobSite.old)])
            try await site.bucket.inflict(.keys, on: "delete", times: 10_000, keys: keys)
            let outcome = try await site.bed.drain("Blobs")[0]
            #expect(outcome.state == "failed" && outcome.count("dead") == 1, "\(outcome.fields)")
            #expect(outcome.ledgerRows == 1 && outcome.count("bytes") == 3)
            let letters = try await site.bed.queue.deadLetters(of: outcome.run)
            #expect(letters.map(\.range) == [.objects(.prefix("sha256:"))])
            #expect(letters.allSatisfy { $0.error.contains("AccessDenied") && $0.attempts == 8 })
            try await site.bucket.heal()
            let control = site.bed.services.runControl(site.bed.queue)
            try await control.retry(letters.map(\.batch), of: outcome.run, site.bed.connection)
            try await site.bed.work()
            expectFinished(try await site.bed.outcome(of: outcome.run), rows: 1_201)
            #expect(try await site.bytes(of: outcome.run) == 2_403)
        }
    }

    /// A page of locked keys does not keep those of the next page from being deleted.
    @Test func `behind a page of refused keys, the others go`() async throws {
        try await BlobSite.with { site in
            let keys = (0..<1_100).map(BlobSite.key).sorted()
            let refused = Array(keys[..<12])
            let manifests = Array(keys[12..<1_000])
            try await site.bucket.seed(keys.map { .init($0, size: 2, age: BlobSite.old) })
            try await site.refer(to: manifests)
            try await site.bucket.inflict(.keys, on: "delete", times: 10_000, keys: refused)
            let outcome = try await site.bed.drain("Blobs")[0]
            #expect(outcome.state == "failed" && outcome.count("dead") == 12, "\(outcome.fields)")
            #expect(outcome.ledgerRows == 100)
            let letters = try await site.bed.queue.deadLetters(of: outcome.run)
            #expect(Set(letters.compactMap(\.range)) == Set(refused.map { .objects(.keys([$0])) }))
            #expect(Set(try await site.bucket.state().keys) == Set(keys[..<1_000]))
        }
    }

    @Test(arguments: ["list", "delete"]) func `a storage that refuses every call pauses the run`(
        _ operation: String
    ) async throws {
        try await BlobSite.with { site in
            let keys = (0..<50).map(BlobSite.key)
            try await site.bucket.seed(keys.map { .init($0, age: BlobSite.old) })
            let record = try await site.bed.start("Blobs")
            try await site.bucket.inflict(.denied, on: operation, times: 10_000)
            try await site.bed.work()
            let fields = try await site.bed.queue.fields(of: record.run)
            #expect(fields["state"] == "paused" && fields["error"]?.contains("AccessDenied") == true, "\(fields)")
            try await site.bucket.heal()
            let control = site.bed.services.runControl(site.bed.queue)
            _ = try await control.resume(record.run, site.bed.connection)
            try await site.bed.work()
            expectFinished(try await site.bed.outcome(of: record.run), rows: 50)
        }
    }

    @Test func `a bucket that is gone pauses the run with a sentence`() async throws {
        try await BlobSite.with { site in
            try await site.bucket.seed([.init(BlobSite.key(0), age: BlobSite.old)])
            let record = try await site.bed.start("Blobs")
            try await site.bucket.drop()
            try await site.bed.work()
            let fields = try await site.bed.queue.fields(of: record.run)
            #expect(fields["state"] == "paused", "\(fields)")
            #expect(
                fields["error"]?.hasPrefix("object storage, List") == true
                    && fields["error"]?.contains("NoSuchBucket") == true
            )
        }
    }

    /// It may not know uploads in parts, or not allow to end them; objects go all the same.
    @Test(arguments: [TestBucket.Fault.denied, .unsupported], ["uploads", "abort"])
    func `uploads in parts that are refused stay, and the run goes on`(
        _ fault: TestBucket.Fault,
        _ operation: String
    ) async throws {
        try await BlobSite.with { site in
            try await site.bucket.seed((0..<5).map { .init(BlobSite.key($0), age: BlobSite.old) })
            try await site.bucket.beginUpload("chunks/old", age: 4 * 3_600)
            try await site.bucket.inflict(fault, on: operation, times: 100)
            expectFinished(try await site.bed.drain("Blobs")[0], rows: 5)
            let state = try await site.bucket.state()
            #expect(state.keys == [] && state.uploads == ["chunks/old"])
            #expect(state.calls[operation] == 1)
        }
    }

    /// A gateway in front of the storage that answers everything with a page of its own.
    @Test(arguments: ["list", "delete"]) func `answers of no use use attempts`(_ operation: String) async throws {
        try await BlobSite.with { site in
            let keys = (0..<5).map(BlobSite.key)
            try await site.bucket.seed(keys.map { .init($0, age: BlobSite.old) })
            let record = try await site.bed.start("Blobs")
            try await site.bucket.inflict(.gateway, on: operation, times: 1_000)
            try await site.bed.work()
            let outcome = try await site.bed.outcome(of: record.run)
            #expect(outcome.count("dead") > 0, "\(outcome.fields)")
            let letter = try #require(try await site.bed.queue.deadLetters(of: record.run).first)
            #expect(letter.error.contains("MalformedAnswer") && letter.attempts == 8)
        }
    }

    @Test func `a role that does not see every reference deletes nothing`() async throws {
        try await BlobSite.with { site in
            let keys = (0..<5).map(BlobSite.key)
            try await site.bucket.seed(keys.map { .init($0, age: BlobSite.old) })
            let role = "role_" + site.bed.namespace
            try await site.bed.run(
                "CREATE ROLE \(role)",
                "ALTER TABLE version OWNER TO \(role)",
                "ALTER TABLE version ENABLE ROW LEVEL SECURITY",
                "ALTER TABLE version FORCE ROW LEVEL SECURITY",
                "GRANT USAGE ON SCHEMA \(SQLText.quoted(site.bed.schema)) TO \(role)",
                "GRANT SELECT ON part TO \(role)",
                "SET ROLE \(role)"
            )
            let error = try await #require(throws: PostgresError.self) { try await site.bed.start("Blobs") }
            #expect("\(error)".contains("row-level security"), "\(error)")
            try await site.bed.run(
                "RESET ROLE",
                "ALTER TABLE version OWNER TO CURRENT_USER",
                "DROP OWNED BY \(role)",
                "DROP ROLE \(role)"
            )
        }
    }
}
