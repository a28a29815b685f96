import Crypto
import FoundationEssentials

/// One signed request to a store and its answer.
struct StorageCall: Sendable {
    let store: ObjectStore
    /// As S3 calls it.
    let name: String

    private var configuration: StoreConfiguration { self.store.configuration }
    private var request: String { "\(self.name) of bucket \(self.configuration.bucket)" }

    /// - `key`: without the store's prefix; nil is the bucket itself.
    /// - Throws: `StorageError`, `CancellationError`.
    func send(
        _ method: String,
        key: String? = nil,
        query: [(name: String, value: String)] = [],
        body: [UInt8] = []
    ) async throws -> Answer {
        let path = self.configuration.path(key.map { self.configuration.prefix + $0 } ?? "")
        let host = self.configuration.host
        var headers = [(name: "host", value: host)]
        let hash = SignatureV4.hash(of: body)
        headers.append((name: "x-amz-content-sha256", value: hash))
        if !body.isEmpty {
            headers.append((name: "content-type", value: "application/xml"))
            // DeleteObjects demands a checksum; this one every storage knows.
            headers.append((name: "content-md5", value: Data(Insecure.MD5.hash(data: body)).base64EncodedString()))
        }
        let signature = SignatureV4(credentials: self.configuration.credentials, region: self.configuration.region)
        let signed = SignatureV4.Request(
            method: method,
            path: path,
            query: query,
            headers: headers,
            payloadHash: hash
        )
        headers += signature.headers(for: signed, at: .now)
        let text = SignatureV4.encoded(query: query)
        let url = "\(self.configuration.scheme)://\(host)\(SignatureV4.encoded(path: path))"
        let outgoing = HTTPTransport.Request(
            method: method,
            url: text.isEmpty ? url : "\(url)?\(text)",
            headers: headers,
            body: body
        )
        let response: HTTPTransport.Response
        do {
            response = try await self.store.transport.send(outgoing, timeout: self.store.limits.timeout)
        } catch let error as CancellationError {
            throw error
        } catch {
            throw StorageError(.away, code: "NoConnection", message: "\(error)", request: self.request)
        }
        let answer = Answer(response: response, request: self.request)
        guard (200..<300).contains(response.status) else { throw answer.failure }
        return answer
    }

    /// What came back.
    struct Answer: Sendable {
        fileprivate let response: HTTPTransport.Response
        fileprivate let request: String

        var date: Date? { self.response.date.flatMap(StorageTime.header) }

        /// The document in the body.
        ///
        /// - Throws: `StorageError`, also when it is an error that came with a good status, as S3's may.
        func document<Document: Decodable>(_ type: Document.Type, root: String) throws(StorageError) -> Document {
            if StorageDocument.root(of: self.response.body) == "Error" { throw self.failure }
            do { return try StorageDocument.decode(type, root: root, self.response.body) } catch {
                throw self.malformed("\(error)")
            }
        }

        func malformed(_ problem: String) -> StorageError {
            StorageError(
                .unusable,
                code: "MalformedAnswer",
                message: "the answer cannot be used: \(problem)",
                request: self.request
            )
        }

        /// What a body says that is an error.
        fileprivate var failure: StorageError {
            let status = self.response.status
            // A HEAD request's answer has no body, and that of a gateway is not S3's.
            let document = self.errorDocument
            let code = document?.code ?? Self.codes[status] ?? "HTTP\(status)"
            let message = document?.message ?? "HTTP status \(status)"
            // An error in a good answer, S3's InternalError for instance.
            let kind = StorageError.kind(status: (200..<300).contains(status) ? 500 : status, code: code)
            return StorageError(kind, code: code, message: message, request: self.request)
        }

        private var errorDocument: StorageDocument.Failure? {
            let body = self.response.body
            do { return try StorageDocument.decode(StorageDocument.Failure.self, root: "Error", body) } catch {
                return nil
            }
        }

        private static let codes = [301: "PermanentRedirect", 403: "AccessDenied", 404: StorageError.notFound]
    }
}
