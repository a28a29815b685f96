import FoundationEssentials
import XMLCoder

/// The XML documents of S3's protocol, as far as they are needed.
enum StorageDocument {
    struct Listing: Decodable {
        var isTruncated: Bool
        var nextContinuationToken: String?
        var contents: [Content]?

        struct Content: Decodable {
            var key: String
            var lastModified: String
            var size: Int?

            private enum CodingKeys: String, CodingKey {
                case key = "Key"
                case lastModified = "LastModified"
                case size = "Size"
            }
        }

        private enum CodingKeys: String, CodingKey {
            case isTruncated = "IsTruncated"
            case nextContinuationToken = "NextContinuationToken"
            case contents = "Contents"
        }
    }

    struct Deletion: Decodable {
        var deleted: [Deleted]?
        var errors: [Failure]?

        struct Deleted: Decodable {
            var key: String

            private enum CodingKeys: String, CodingKey { case key = "Key" }
        }

        struct Failure: Decodable {
            var key: String
            var code: String?
            var message: String?

            private enum CodingKeys: String, CodingKey {
                case key = "Key"
                case code = "Code"
                case message = "Message"
            }
        }

        private enum CodingKeys: String, CodingKey {
            case deleted = "Deleted"
            case errors = "Error"
        }
    }

    struct Uploads: Decodable {
        var isTruncated: Bool?
        var nextKeyMarker: String?
        var nextUploadIDMarker: String?
        var uploads: [Upload]?

        struct Upload: Decodable {
            var key: String
            var uploadID: String
            var initiated: String

            private enum CodingKeys: String, CodingKey {
                case key = "Key"
                case uploadID = "UploadId"
                case initiated = "Initiated"
            }
        }

        private enum CodingKeys: String, CodingKey {
            case isTruncated = "IsTruncated"
            case nextKeyMarker = "NextKeyMarker"
            case nextUploadIDMarker = "NextUploadIdMarker"
            case uploads = "Upload"
        }
    }

    struct Failure: Decodable {
        var code: String?
        var message: String?

        private enum CodingKeys: String, CodingKey {
            case code = "Code"
            case message = "Message"
        }
    }

    struct Delete: Encodable {
        var quiet = false
        var objects: [Object]

        struct Object: Encodable {
            var key: String

            private enum CodingKeys: String, CodingKey { case key = "Key" }
        }

        private enum CodingKeys: String, CodingKey {
            case quiet = "Quiet"
            case objects = "Object"
        }
    }

    /// Reads a document whose root has the given name.
    ///
    /// - Throws: `Malformed`, also for a document that was cut off.
    static func decode<Document: Decodable>(_ type: Document.Type, root: String, _ body: [UInt8]) throws -> Document {
        guard Self.root(of: body) == root else { throw Malformed("it is no \(root)") }
        let decoder = XMLDecoder(trimValueWhitespaces: false)
        // White space in keys counts; between elements it comes from storages that indent.
        do { return try decoder.decode(type, from: Data(body)) } catch { throw Malformed("it is no whole \(root)") }
    }

    /// The request of DeleteObjects.
    static func encode(_ delete: Delete) throws -> [UInt8] {
        Array(try XMLEncoder().encode(delete, withRootKey: "Delete"))
    }

    /// The name of the first element, without its namespace; nil when there is none.
    static func root(of body: [UInt8]) -> String? {
        var rest = String(decoding: body.prefix(1_000), as: UTF8.self)[...]
        while let open = rest.firstIndex(of: "<") {
            rest = rest[rest.index(after: open)...]
            guard let first = rest.first else { return nil }
            // Declarations and comments come before the root.
            if first == "?" || first == "!" { continue }
            let name = rest.prefix { !$0.isWhitespace && $0 != ">" && $0 != "/" }
            return name.split(separator: ":").last.map { String($0) }
        }
        return nil
    }

    /// An answer that is not what was asked for.
    struct Malformed: Error, CustomStringConvertible {
        var description: String

        init(_ description: String) { self.description = description }
    }
}
