import Foundation
import Testing

@testable import Shared

@Suite struct StorageTextTests {
    @Test(arguments: [
        ("2026-11-21T09:30:00.000Z", 1_795_253_400.0), ("2024-02-29T23:59:59.250Z", 1_709_251_199.25),
        ("1970-01-01T00:00:00Z", 0), ("2000-03-01T00:00:00Z", 951_868_800),
    ])
    func `times of listings`(_ text: String, _ seconds: Double) throws {
        #expect(try #require(StorageTime.iso(text)).timeIntervalSince1970 == seconds)
    }

    @Test(arguments: ["", "2026-11-21", "2026-11-21T09:30:00+01:00", "2026-13-21T09:30:00Z", "2026-11-21T9:3O:00Z"])
    func `what is no time of a listing`(_ text: String) { #expect(StorageTime.iso(text) == nil) }

    @Test func `times of headers`() throws {
        let date = try #require(StorageTime.header("Sun, 06 Nov 1994 08:49:37 GMT"))
        #expect(date.timeIntervalSince1970 == 784_111_777)
        #expect(StorageTime.header("Sunday, 06-Nov-94 08:49:37 GMT") == nil)
        #expect(StorageTime.compact(date) == "19941106T084937Z")
    }

    @Test func `every day of a century comes back`() throws {
        for day in stride(from: 0, to: 36_525, by: 1) {
            let text = StorageTime.compact(Date(timeIntervalSince1970: Double(day) * 86_400))
            let iso = "\(text.prefix(4))-\(text.dropFirst(4).prefix(2))-\(text.dropFirst(6).prefix(2))T00:00:00Z"
            #expect(StorageTime.iso(iso)?.timeIntervalSince1970 == Double(day) * 86_400)
        }
    }

    @Test(arguments: ["", "sha256:0a", "a b+c%d", "日本/&<>\"'", "\u{1}\r\n\t", "*"])
    func `percent-encoding comes back`(_ text: String) {
        #expect(PercentEncoding.decode(PercentEncoding.encode(text)) == text)
    }

    @Test func `a plus sign is a space, and what is cut off is nothing`() {
        #expect(PercentEncoding.decode("a+b%2Bc") == "a b+c")
        for text in ["%", "%4", "%4G", "%FF"] { #expect(PercentEncoding.decode(text) == nil) }
    }

    private static let listing = """
        <?xml version="1.0" encoding="UTF-8"?>
        <!-- from somewhere else -->
        <ListBucketResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/">
          <Name>bucket</Name>
          <Prefix></Prefix>
          <IsTruncated>true</IsTruncated>
          <NextContinuationToken>1/abc+=</NextContinuationToken>
          <Contents>
            <Key>a%20b</Key>
            <LastModified>2026-11-21T09:30:00.000Z</LastModified>
            <ETag>&quot;x&quot;</ETag>
            <Size>12</Size>
            <Owner><ID>1</ID></Owner>
            <Something>new</Something>
          </Contents>
          <CommonPrefixes><Prefix>p/</Prefix></CommonPrefixes>
        </ListBucketResult>
        """

    @Test func `a listing with indentation, a comment and elements unheard of`() throws {
        let body = Array(Self.listing.utf8)
        let listing = try StorageDocument.decode(StorageDocument.Listing.self, root: "ListBucketResult", body)
        #expect(listing.isTruncated && listing.nextContinuationToken == "1/abc+=")
        #expect(listing.contents?.map(\.key) == ["a%20b"] && listing.contents?.first?.size == 12)
    }

    @Test func `a listing of nothing`() throws {
        let body = Array("<ListBucketResult><IsTruncated>false</IsTruncated></ListBucketResult>".utf8)
        let listing = try StorageDocument.decode(StorageDocument.Listing.self, root: "ListBucketResult", body)
        #expect(!listing.isTruncated && listing.contents == nil)
    }

    @Test func `no beginning of a listing is taken for a whole one`() {
        let body = Array(Self.listing.utf8)
        for length in 0..<body.count - 1 {
            #expect(throws: StorageDocument.Malformed.self) {
                try StorageDocument.decode(
                    StorageDocument.Listing.self,
                    root: "ListBucketResult",
                    Array(body.prefix(length))
                )
            }
        }
    }

    @Test func `an answer of another kind is refused`() {
        for text in ["<html><body>busy</body></html>", "", "plain", "<Error><Code>InternalError</Code></Error>"] {
            #expect(throws: StorageDocument.Malformed.self) {
                try StorageDocument.decode(StorageDocument.Deletion.self, root: "DeleteResult", Array(text.utf8))
            }
        }
    }

    @Test func `keys of a deletion keep their spaces and special characters`() throws {
        let keys = [" lead", "trail ", "a&b<c>\"'", "日本", "a\tb"]
        let body = try StorageDocument.encode(StorageDocument.Delete(objects: keys.map { .init(key: $0) }))
        struct Request: Decodable {
            struct Object: Decodable { var Key: String }
            var Quiet: Bool
            var Object: [Object]
        }
        let request = try StorageDocument.decode(Request.self, root: "Delete", body)
        #expect(request.Object.map(\.Key) == keys && !request.Quiet)
    }
}
