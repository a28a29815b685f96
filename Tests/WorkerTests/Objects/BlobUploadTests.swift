import Shared
import TestSupport
import Testing

@testable import Worker

@Suite struct BlobUploadTests {
    private static let old = 4 * 3_600
    private static let young = 2 * 3_600

    /// Pages end between uploads of the same key, too, and behind keys that are encoded on their way.
    @Test func `uploads in parts are ended on all pages`() async throws {
        try await BlobSite.with { site in
            let odd = ["50%", "a b", "a&b<c>", "a+b", "a:b", "日本"].map { "chunks/" + $0 }
            let same = Array(repeating: "chunks/same", count: 7)
            for key in odd + same + [BlobSite.key(0)] { try await site.bucket.beginUpload(key, age: Self.old) }
            let young = ["chunks/a b", "chunks/same", BlobSite.key(0)]
            for key in young { try await site.bucket.beginUpload(key, age: Self.young) }
            let foreign = ["chunk", "elsewhere", "sha256:short"]
            for key in foreign { try await site.bucket.beginUpload(key, age: Self.old) }
            try await site.bucket.limitPages(uploads: 3)
            expectFinished(try await site.bed.drain("Blobs")[0], rows: 0)
            let state = try await site.bucket.state()
            #expect(state.uploads == (young + foreign).sorted())
            // 20 in all.
            #expect(state.calls["uploads"] == 7 && state.calls["abort"] == 14)
        }
    }
}
