import Shared
import TestSupport
import Testing

@testable import Worker

/// How old something is, is a matter of the storage's clock, whatever this machine's says.
@Suite struct BlobClockTests {
    /// By this machine's clock, all of it would be due where the storage's is behind, and nothing where it is ahead.
    @Test(arguments: [-12, 12]) func `ages are by the storage's clock`(_ hoursAhead: Int) async throws {
        let bucket = try await TestBucket.create()
        try await bucket.setClock(ahead: hoursAhead * 3_600)
        try await BlobSite.with(in: bucket) { site in
            let keys = (0..<20).map(BlobSite.key)
            let young = Array(keys[..<5])
            try await bucket.seed(young.map { .init($0, size: 5, age: BlobSite.young) })
            try await bucket.seed(keys[5...].map { .init($0, size: 7, age: BlobSite.old) })
            try await bucket.seed([.init("chunks/old", size: 11, age: 3 * 3_600), .init("chunks/new", age: 3_600)])
            try await bucket.beginUpload("chunks/old", age: 4 * 3_600)
            try await bucket.beginUpload("chunks/new", age: 2 * 3_600)
            let outcome = try await site.bed.drain("Blobs")[0]
            expectFinished(outcome, rows: 16)
            #expect(try RunStatus(fields: outcome.fields).rows.estimated == 15)
            #expect(try await site.bytes(of: outcome.run) == 15 * 7 + 11)
            let state = try await bucket.state()
            #expect(Set(state.keys) == Set(young + ["chunks/new"]))
            #expect(state.uploads == ["chunks/new"])
        }
    }
}
