import Shared
import TestSupport
import Testing

@testable import Worker

/// The storage checks signatures; see `Tests/ObjectStorage/signatures.py`.
@Suite struct BlobCredentialsTests {
    @Test func `a wrong secret key pauses the run, and with the right one it goes on`() async throws {
        try await BlobSite.with { site in
            let keys = (0..<5).map(BlobSite.key)
            try await site.bucket.seed(keys.map { .init($0, age: BlobSite.old) })
            let wrong = try site.bed.with(["TEST_SECRET_ACCESS_KEY": "not-that-one"])
            let bucket = site.bucket.name
            let sentence = "object storage, ListObjectsV2 of bucket \(bucket): SignatureDoesNotMatch: The request "
            let error = try await #require(throws: StorageError.self) { try await wrong.start("Blobs") }
            #expect("\(error)".hasPrefix(sentence) && !"\(error)".contains("not-that-one"), "\(error)")

            let record = try await site.bed.start("Blobs")
            try await wrong.work()
            let fields = try await site.bed.queue.fields(of: record.run)
            let reason = fields["error"] ?? ""
            #expect(fields["state"] == "paused" && reason.hasPrefix(sentence), "\(fields)")
            #expect(!reason.contains("not-that-one") && !reason.contains("\n"), "\(reason)")
            #expect(Set(try await site.bucket.state().keys) == Set(keys))

            _ = try await site.bed.services.runControl(site.bed.queue).resume(record.run, site.bed.connection)
            try await site.bed.work()
            expectFinished(try await site.bed.outcome(of: record.run), rows: 5)
            #expect(try await site.bucket.state().keys == [])
        }
    }
}
