import Foundation
import TestSupport
import Testing

@testable import Shared

@Suite struct ObjectStoreTests {
    private static var limits: EbbConfiguration.Storage {
        var limits = EbbConfiguration.Storage()
        limits.backoff = .milliseconds(2)
        return limits
    }

    private static func store(_ bucket: TestBucket, prefix: String = "") -> ObjectStore {
        ObjectStore(bucket.configuration(prefix: prefix), limits: Self.limits)
    }

    private static func allPages(_ store: ObjectStore, _ prefix: String, limit: Int) async throws -> [[String]] {
        var pages: [[String]] = []
        var token: String?
        repeat {
            let page = try await store.page(prefix: prefix, after: token, limit: limit)
            pages.append(page.objects.map(\.key))
            token = page.next
        } while token != nil
        return pages
    }

    @Test func `a listing comes page by page, with sizes, times and the storage's clock`() async throws {
        let bucket = try await TestBucket.create()
        let keys = (0..<25).map { "sha256:\(10 + $0)" }
        try await bucket.seed(keys.map { TestBucket.Seed($0, size: 7, age: 3_600) } + [TestBucket.Seed("other")])
        let store = Self.store(bucket)
        let pages = try await Self.allPages(store, "sha256:", limit: 10)
        #expect(pages.map(\.count) == [10, 10, 5])
        #expect(pages.flatMap(\.self) == keys)
        let page = try await store.page(prefix: "sha256:1", limit: 1)
        let object = try #require(page.objects.first)
        #expect(object.size == 7)
        #expect(abs(page.now.timeIntervalSince(object.lastModified) - 3_600) < 60)
        #expect(try await store.page(prefix: "none").objects == [])
    }

    @Test(arguments: ["", "site-a/", "odd prefix+&/"])
    func `a store's prefix is in front of all keys and never seen`(_ prefix: String) async throws {
        let bucket = try await TestBucket.create()
        let odd = ["plain", "with space", "plus+", "percent%41", "a&b<c>\"'", "日本", "slash/dot/../x"]
        try await bucket.seed(odd.map { TestBucket.Seed(prefix + $0) } + [TestBucket.Seed("zz")])
        let store = Self.store(bucket, prefix: prefix)
        let found = try await Self.allPages(store, "", limit: 3).flatMap(\.self)
        #expect(Set(found) == Set(prefix.isEmpty ? odd + ["zz"] : odd))
        for key in odd { #expect(try await store.object(key)?.key == key, "\(key)") }
        #expect(try await store.object("missing") == nil)
        let deletion = try await store.delete(odd)
        #expect(deletion.deleted == Set(odd) && deletion.failures == [])
        #expect(try await bucket.state().keys == ["zz"])
    }

    @Test func `the bucket may be part of the host's name`() async throws {
        let bucket = try await TestBucket.create()
        try await bucket.seed([TestBucket.Seed("a b"), TestBucket.Seed("c")])
        var configuration = bucket.configuration()
        let port = try #require(configuration.endpoint?.authority.split(separator: ":").last)
        configuration.endpoint = .init(scheme: "http", authority: "s3.test.example:\(port)")
        configuration.usesPathStyle = false
        let transport = HTTPTransport(hosts: ["\(bucket.name).s3.test.example": "127.0.0.1"])
        let store = ObjectStore(configuration, limits: Self.limits, transport: transport)
        _ = try await store.checkBucket()
        #expect(try await store.page(prefix: "").objects.map(\.key) == ["a b", "c"])
        #expect(try await store.delete(["a b"]).deleted == ["a b"])
        #expect(try await bucket.state().keys == ["c"])
        try await transport.close()
    }

    @Test func `addresses of AWS, of its regions, and of others`() {
        func place(_ region: String, _ endpoint: StoreConfiguration.Endpoint? = nil, path: Bool = false) -> String {
            let configuration = StoreConfiguration(
                endpoint: endpoint,
                region: region,
                bucket: "b",
                usesPathStyle: path,
                credentials: .init(accessKeyID: "", secretAccessKey: "")
            )
            return "\(configuration.scheme)://\(configuration.host)\(configuration.path("k"))"
        }
        #expect(place("eu-west-1") == "https://b.s3.eu-west-1.amazonaws.com/k")
        #expect(place("cn-north-1", path: true) == "https://s3.cn-north-1.amazonaws.com.cn/b/k")
        let minio = StoreConfiguration.Endpoint(scheme: "http", authority: "minio:9000")
        #expect(place("x", minio, path: true) == "http://minio:9000/b/k")
        #expect(place("x", minio) == "http://b.minio:9000/k")
    }

    @Test(arguments: [TestBucket.Fault.unavailable, .lost, .truncated, .reset])
    func `what only looks is repeated`(_ fault: TestBucket.Fault) async throws {
        let bucket = try await TestBucket.create()
        try await bucket.seed((0..<20).map { TestBucket.Seed("k\($0)") })
        let store = Self.store(bucket)
        try await bucket.inflict(fault, on: "list", times: 3)
        #expect(try await store.page(prefix: "").objects.count == 20)
        #expect(try await bucket.state().calls["list"] == 4)
        try await bucket.inflict(fault, on: "list", times: 100)
        let error = try await #require(throws: StorageError.self) { try await store.page(prefix: "") }
        #expect(error.kind == .away, "\(error)")
        #expect(try await bucket.state().calls["list"] == 4 + Self.limits.attempts)
    }

    @Test(arguments: [TestBucket.Fault.unavailable, .lost, .truncated, .reset])
    func `a deletion is not repeated`(_ fault: TestBucket.Fault) async throws {
        let bucket = try await TestBucket.create()
        try await bucket.seed((0..<20).map { TestBucket.Seed("k\($0)") })
        let store = Self.store(bucket)
        try await bucket.inflict(fault, on: "delete")
        let error = try await #require(throws: StorageError.self) { try await store.delete(["k1"]) }
        #expect(error.kind == .away, "\(error)")
        #expect(try await bucket.state().calls["delete"] == 1)
        #expect(try await store.delete(["k1"]).deleted == ["k1"], "one that is gone counts as deleted")
    }

    @Test func `keys fail one by one`() async throws {
        let bucket = try await TestBucket.create()
        try await bucket.seed((0..<5).map { TestBucket.Seed("k\($0)") })
        try await bucket.inflict(.keys, on: "delete", keys: ["k1", "k3"], code: "InternalError")
        let deletion = try await Self.store(bucket).delete((0..<5).map { "k\($0)" })
        #expect(deletion.deleted == ["k0", "k2", "k4"])
        #expect(
            deletion.failures.map(\.key) == ["k1", "k3"] && deletion.failures.allSatisfy { $0.code == "InternalError" }
        )
        #expect(try await bucket.state().keys == ["k1", "k3"])
    }

    @Test func `a bucket that is not there is refused at once`() async throws {
        let bucket = try await TestBucket.create()
        var configuration = bucket.configuration()
        configuration.bucket = "nothing-here"
        let store = ObjectStore(configuration, limits: Self.limits)
        let listing = try await #require(throws: StorageError.self) { try await store.page(prefix: "") }
        #expect(listing.kind == .refused && listing.code == "NoSuchBucket")
        #expect("\(listing)".hasPrefix("object storage, ListObjectsV2 of bucket nothing-here: NoSuchBucket: "))
        #expect(!"\(listing)".contains("secret"))
        let head = try await #require(throws: StorageError.self) { try await store.checkBucket() }
        #expect(head.kind == .refused && head.code == "NoSuchBucket")
        let object = try await #require(throws: StorageError.self) { try await store.object("k") }
        #expect(object.kind == .refused && object.code == "NoSuchBucket")
        let upload = ObjectStore.Upload(key: "k", id: "u", initiated: .now)
        let abort = try await #require(throws: StorageError.self) { try await store.abort(upload) }
        #expect(abort.kind == .refused && abort.code == "NoSuchBucket")
    }

    @Test func `an answer that is none is of no use`() async throws {
        let bucket = try await TestBucket.create()
        try await bucket.inflict(.gateway, on: "list", times: 100)
        let error = try await #require(throws: StorageError.self) { try await Self.store(bucket).page(prefix: "") }
        #expect(error.kind == .unusable && error.code == "MalformedAnswer", "\(error)")
        #expect(try await bucket.state().calls["list"] == Self.limits.attempts)
    }

    @Test(arguments: ["", "site-a/"]) func `which of some keys are there`(_ prefix: String) async throws {
        let bucket = try await TestBucket.create()
        let there = (0..<2_300).map { "k\(10_000 + $0)" }
        try await bucket.seed((there + ["a", "k1000", "z"]).map { TestBucket.Seed(prefix + $0) })
        let store = Self.store(bucket, prefix: prefix)
        #expect(try await store.present(among: []) == [])
        #expect(try await store.present(among: ["a"]) == ["a"])
        #expect(try await store.present(among: ["b", "k1000", "k10000x", there[2_299]]) == ["k1000", there[2_299]])
        #expect(try await store.present(among: [there[0], there[1], "k10001x"]) == Set(there[...1]))
        #expect(try await store.present(among: Set(there)) == Set(there))
        #expect(try await store.present(among: ["zz"]) == [])
        // One page for what is close together.
        let calls = try await bucket.state().calls["list"] ?? 0
        #expect(try await store.present(among: Set(there[..<900])).count == 900)
        #expect(try await bucket.state().calls["list"] == calls + 1)
    }

    @Test func `a storage that is not there is away`() async throws {
        var configuration = try await TestBucket.create().configuration()
        configuration.endpoint = .init(scheme: "http", authority: "127.0.0.1:1")
        let store = ObjectStore(configuration, limits: Self.limits)
        let error = try await #require(throws: StorageError.self) { try await store.checkBucket() }
        #expect(error.kind == .away && error.code == "NoConnection")
    }

    @Test func `uploads are listed and aborted`() async throws {
        let bucket = try await TestBucket.create()
        try await bucket.beginUpload("site-a/chunks/old", age: 7_200)
        try await bucket.beginUpload("site-a/chunks/new", age: 10)
        try await bucket.beginUpload("site-b/chunks/old", age: 7_200)
        let store = Self.store(bucket, prefix: "site-a/")
        var uploads: [ObjectStore.Upload] = []
        try await store.uploads { uploads += $0 }
        #expect(Set(uploads.map(\.key)) == ["chunks/old", "chunks/new"])
        let old = try #require(uploads.min { $0.initiated < $1.initiated })
        #expect(old.key == "chunks/old")
        try await store.abort(old)
        try await store.abort(old)
        #expect(try await bucket.state().uploads == ["site-a/chunks/new", "site-b/chunks/old"])
    }
}
