import Foundation
import TestSupport
import Testing

@testable import Shared

/// What goes over the wire: the storage checks what it receives; see `Tests/ObjectStorage/signatures.py`.
@Suite struct StorageSignatureTests {
    /// Where a request names the bucket.
    enum Style: String, Sendable, CaseIterable {
        case path
        case host
    }

    private static let odd = [
        "with space", "plus+", "percent%41", "sha256:0a", "a&b<c>\"'", "日本", "folder/a b:50%", "?x#y=1",
    ]

    /// Lends a store on a bucket of the test's own.
    private static func withStore(
        _ style: Style,
        prefix: String = "",
        credentials: SignatureV4.Credentials? = nil,
        _ body: (ObjectStore, TestBucket) async throws -> Void
    ) async throws {
        let bucket = try await TestBucket.create()
        var configuration = bucket.configuration(prefix: prefix)
        if let credentials { configuration.credentials = credentials }
        if style == .host {
            let port = try #require(configuration.endpoint?.authority.split(separator: ":").last)
            configuration.endpoint = .init(scheme: "http", authority: "s3.test.example:\(port)")
            configuration.usesPathStyle = false
        }
        let transport = HTTPTransport(hosts: ["\(bucket.name).s3.test.example": "127.0.0.1"])
        let store = ObjectStore(configuration, limits: EbbConfiguration.Storage(), transport: transport)
        let result: Result<Void, any Error>
        do { result = .success(try await body(store, bucket)) } catch { result = .failure(error) }
        try await transport.close()
        try result.get()
    }

    @Test(arguments: Style.allCases, ["", "odd prefix:+%/"])
    func `every request is signed as it arrives`(_ style: Style, _ prefix: String) async throws {
        try await Self.withStore(style, prefix: prefix) { store, bucket in
            let keys = Set(Self.odd)
            try await bucket.seed(keys.map { .init(prefix + $0) })
            for key in keys { try await bucket.beginUpload(prefix + key, age: 60) }
            _ = try await store.checkBucket()
            for key in keys { #expect(try await store.object(key)?.key == key, "\(key)") }
            // A page begins behind a key, or where the one before has ended.
            let sorted = Self.odd.sorted { $0.utf8.lexicographicallyPrecedes($1.utf8) }
            for (key, next) in zip(sorted, sorted.dropFirst()) {
                #expect(try await store.page(prefix: "", behind: key, limit: 1).objects.map(\.key) == [next])
            }
            let first = try await store.page(prefix: "", limit: 3)
            let second = try await store.page(prefix: "", after: first.next, limit: 100)
            #expect((first.objects + second.objects).map(\.key) == sorted)
            var uploads: [ObjectStore.Upload] = []
            try await store.uploads { uploads += $0 }
            #expect(Set(uploads.map(\.key)) == keys)
            for upload in uploads { try await store.abort(upload) }
            #expect(try await store.delete(Self.odd).deleted == keys)
            let state = try await bucket.state()
            #expect(state.keys == [] && state.uploads == [])
        }
    }

    /// Of each kind of request, and none of them is repeated.
    @Test(arguments: Style.allCases) func `a wrong secret key is refused in one sentence`(_ style: Style) async throws {
        let wrong = SignatureV4.Credentials(accessKeyID: "test", secretAccessKey: "not-that-one")
        try await Self.withStore(style, credentials: wrong) { store, bucket in
            try await bucket.seed([.init("k")])
            let upload = ObjectStore.Upload(key: "k", id: "u", initiated: .now)
            let mismatch = "SignatureDoesNotMatch"
            try await Self.expectRefusal("ListObjectsV2", mismatch, bucket) { _ = try await store.page(prefix: "") }
            try await Self.expectRefusal("DeleteObjects", mismatch, bucket) { _ = try await store.delete(["k"]) }
            try await Self.expectRefusal("ListMultipartUploads", mismatch, bucket) { try await store.uploads { _ in } }
            try await Self.expectRefusal("AbortMultipartUpload", mismatch, bucket) { try await store.abort(upload) }
            // The answer to a HEAD request has no room for a reason.
            try await Self.expectRefusal("HeadBucket", "AccessDenied", bucket) { _ = try await store.checkBucket() }
            let state = try await bucket.state()
            #expect(state.keys == ["k"])
            #expect(state.calls == ["put": 1, "list": 1, "delete": 1, "uploads": 1, "abort": 1, "head": 1])
        }
    }

    private static func expectRefusal(
        _ call: String,
        _ code: String,
        _ bucket: TestBucket,
        sourceLocation: SourceLocation = #_sourceLocation,
        _ body: () async throws -> Void
    ) async throws {
        let error = try await #require(throws: StorageError.self, sourceLocation: sourceLocation) { try await body() }
        let sentence = "\(error)"
        #expect(error.kind == .refused && error.code == code, "\(error)", sourceLocation: sourceLocation)
        #expect(
            sentence.hasPrefix("object storage, \(call) of bucket \(bucket.name): \(code): ")
                && !sentence.contains("\n") && !sentence.contains("not-that-one"),
            "\(error)",
            sourceLocation: sourceLocation
        )
    }

    private static let token = "FwoG/ZXIvYXdz+Ek="

    @Test(arguments: Style.allCases) func `a session token goes with temporary credentials`(
        _ style: Style
    ) async throws {
        let credentials = SignatureV4.Credentials(
            accessKeyID: "temporary",
            secretAccessKey: "secret",
            sessionToken: Self.token
        )
        try await Self.withStore(style, credentials: credentials) { store, bucket in
            try await bucket.seed([.init("a b")])
            #expect(try await store.page(prefix: "a").objects.map(\.key) == ["a b"])
            #expect(try await store.delete(["a b"]).deleted == ["a b"])
        }
    }

    @Test(arguments: [
        ("InvalidToken", SignatureV4.Credentials(accessKeyID: "temporary", secretAccessKey: "secret")),
        (
            "InvalidToken",
            SignatureV4.Credentials(accessKeyID: "temporary", secretAccessKey: "secret", sessionToken: "another")
        ),
        ("InvalidAccessKeyId", SignatureV4.Credentials(accessKeyID: "nobody", secretAccessKey: "secret")),
    ])
    func `other credentials are refused, too`(_ code: String, _ credentials: SignatureV4.Credentials) async throws {
        try await Self.withStore(.path, credentials: credentials) { store, bucket in
            try await Self.expectRefusal("ListObjectsV2", code, bucket) { _ = try await store.page(prefix: "") }
        }
    }
}
