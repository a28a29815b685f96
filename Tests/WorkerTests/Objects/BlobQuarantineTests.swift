import Foundation
import PostgresClient
import Shared
import TestSupport
import Testing

@testable import Worker

@Suite struct BlobQuarantineTests {
    @Test func `quarantine marks in one run and deletes in a later one`() async throws {
        try await BlobSite.with(quarantine: "7d") { site in
            let keys = (0..<6).map(BlobSite.key)
            try await site.bucket.seed(keys.map { .init($0, age: BlobSite.old) })
            try await site.bucket.seed([.init("chunks/old", age: 2 * BlobSite.old)])
            // Leftovers go by their age alone.
            expectFinished(try await site.bed.drain("Blobs")[0], rows: 1)
            #expect(try await site.marks() == 6)
            try await site.age(by: "6 days")
            expectFinished(try await site.bed.drain("Blobs")[0], rows: 0)
            // One is referenced now, and one was written anew: its mark starts again.
            try await site.refer(to: [keys[0]])
            try await site.bucket.seed([.init(keys[1], age: BlobSite.old - 60)])
            try await site.age(by: "1 day 1 minute")
            expectFinished(try await site.bed.drain("Blobs")[0], rows: 4)
            #expect(Set(try await site.bucket.state().keys) == Set(keys[..<2]))
            #expect(try await site.marks() == 1)
            // Nobody has it any more.
            try await site.bucket.remove(keys[1])
            expectFinished(try await site.bed.drain("Blobs")[0], rows: 0)
            #expect(try await site.marks() == 0)
            // A reference that comes and goes starts the time again.
            try await site.forget([keys[0]])
            expectFinished(try await site.bed.drain("Blobs")[0], rows: 0)
            try await site.age(by: "8 days")
            expectFinished(try await site.bed.drain("Blobs")[0], rows: 1)
            #expect(try await site.marks() == 0)
        }
    }

    /// Marks are dropped where a page shows that their objects are gone, and nowhere else.
    @Test func `a listing of several pages keeps the marks of all of them`() async throws {
        try await BlobSite.with(quarantine: "7d") { site in
            let keys = (0..<2_300).map(BlobSite.key).sorted()
            try await site.bucket.seed(keys.map { .init($0, age: BlobSite.old) })
            expectFinished(try await site.bed.drain("Blobs")[0], rows: 0)
            #expect(try await site.marks() == 2_300)
            for key in [keys[0], keys[1_100], keys[2_299]] { try await site.bucket.remove(key) }
            try await site.age(by: "8 days")
            expectFinished(try await site.bed.drain("Blobs")[0], rows: 2_297)
            #expect(try await site.marks() == 0)
        }
    }

    /// What was referenced in between was seen by a run that wrote no marks.
    @Test func `marks do not outlive a run without quarantine`() async throws {
        try await BlobSite.with { site in
            let keys = (0..<4).map(BlobSite.key)
            try await site.bucket.seed(keys.map { .init($0, age: BlobSite.old) })
            let quarantined = try site.bed.with(["EBB_STORAGE_QUARANTINE": "7d"])
            expectFinished(try await quarantined.drain("Blobs")[0], rows: 0)
            #expect(try await site.marks() == 4)
            try await site.refer(to: Array(keys[..<2]))
            expectFinished(try await site.bed.drain("Blobs")[0], rows: 2)
            #expect(try await site.marks() == 0)
            try await site.forget(Array(keys[..<2]))
            try await site.age(by: "8 days")
            expectFinished(try await quarantined.drain("Blobs")[0], rows: 0)
            #expect(try await site.marks() == 2)
            try await site.age(by: "8 days")
            expectFinished(try await quarantined.drain("Blobs")[0], rows: 2)
        }
    }
}
