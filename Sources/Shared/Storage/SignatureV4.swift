import Crypto
package import FoundationEssentials

/// Signs requests the way AWS and everything compatible wants it: Signature Version 4, in the `Authorization` header.
///
/// Pure: a request goes in, headers come out. Paths are encoded once and never normalised, which is S3's way.
package struct SignatureV4: Sendable {
    package var credentials: Credentials
    package var region: String
    package var service: String

    package init(credentials: Credentials, region: String, service: String = "s3") {
        self.credentials = credentials
        self.region = region
        self.service = service
    }

    /// Who signs.
    package struct Credentials: Sendable, Hashable {
        package var accessKeyID: String
        package var secretAccessKey: String
        /// Of temporary credentials.
        package var sessionToken: String?

        package init(accessKeyID: String, secretAccessKey: String, sessionToken: String? = nil) {
            self.accessKeyID = accessKeyID
            self.secretAccessKey = secretAccessKey
            self.sessionToken = sessionToken
        }
    }

    /// What is signed.
    package struct Request: Sendable {
        package var method: String
        /// Not encoded.
        package var path: String
        /// Not encoded.
        package var query: [(name: String, value: String)]
        /// Every header that the signature covers; must hold `host`.
        package var headers: [(name: String, value: String)]
        /// See ``SignatureV4/hash(of:)``.
        package var payloadHash: String

        package init(
            method: String,
            path: String,
            query: [(name: String, value: String)],
            headers: [(name: String, value: String)],
            payloadHash: String
        ) {
            self.method = method
            self.path = path
            self.query = query
            self.headers = headers
            self.payloadHash = payloadHash
        }
    }

    /// The headers to add: `x-amz-date`, `x-amz-security-token` for temporary credentials, and `authorization`.
    package func headers(for request: Request, at date: Date) -> [(name: String, value: String)] {
        let moment = StorageTime.compact(date)
        let day = String(moment.prefix(8))
        var added = [(name: "x-amz-date", value: moment)]
        if let token = self.credentials.sessionToken { added.append((name: "x-amz-security-token", value: token)) }
        let signed = Self.canonical(request.headers + added)
        let names = signed.map(\.name).joined(separator: ";")
        let canonical = [
            request.method,
            Self.encoded(path: request.path),
            Self.encoded(query: request.query),
            signed.map { "\($0.name):\($0.value)\n" }.joined(),
            names,
            request.payloadHash,
        ].joined(separator: "\n")
        let scope = "\(day)/\(self.region)/\(self.service)/aws4_request"
        let text = "AWS4-HMAC-SHA256\n\(moment)\n\(scope)\n\(Self.hash(of: Array(canonical.utf8)))"
        var key = SymmetricKey(data: Array("AWS4\(self.credentials.secretAccessKey)".utf8))
        for part in [day, self.region, self.service, "aws4_request"] {
            key = SymmetricKey(data: HMAC<SHA256>.authenticationCode(for: Array(part.utf8), using: key))
        }
        let signature = Self.hex(HMAC<SHA256>.authenticationCode(for: Array(text.utf8), using: key))
        let authorization =
            "AWS4-HMAC-SHA256 Credential=\(self.credentials.accessKeyID)/\(scope), SignedHeaders=\(names), "
            + "Signature=\(signature)"
        return added + [(name: "authorization", value: authorization)]
    }

    /// SHA-256 in hexadecimal digits.
    package static func hash(of bytes: [UInt8]) -> String { Self.hex(SHA256.hash(data: bytes)) }

    /// A path with everything but unreserved characters and slashes encoded.
    static func encoded(path: String) -> String { PercentEncoding.encode(path, keeping: UInt8(ascii: "/")) }

    /// Names and values encoded, in the order of the encoded names, then values.
    static func encoded(query: [(name: String, value: String)]) -> String {
        query.map { (PercentEncoding.encode($0.name), PercentEncoding.encode($0.value)) }
            .sorted { $0 < $1 }
            .map { "\($0.0)=\($0.1)" }
            .joined(separator: "&")
    }

    /// Lower-case names in order; values trimmed, with single spaces inside.
    private static func canonical(
        _ headers: [(name: String, value: String)]
    ) -> [(name: String, value: String)] {
        headers.map { header in
            (
                name: header.name.lowercased(),
                value: header.value.split(separator: " ", omittingEmptySubsequences: true).joined(separator: " ")
            )
        }.sorted { $0.name < $1.name }
    }

    private static let digits = Array("0123456789abcdef".utf8)

    private static func hex(_ bytes: some Sequence<UInt8>) -> String {
        String(decoding: bytes.flatMap { [Self.digits[Int($0 >> 4)], Self.digits[Int($0 & 15)]] }, as: UTF8.self)
    }
}

extension SignatureV4.Credentials: CustomStringConvertible, CustomReflectable {
    /// Nothing of them: they are secret.
    package var description: String { "Credentials" }

    package var customMirror: Mirror { Mirror(self, children: []) }
}
