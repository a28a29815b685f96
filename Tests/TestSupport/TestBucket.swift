import Foundation
package import Shared

/// A bucket of a test's own on the object storage that all tests share; see `Tests/ObjectStorage/server.py`.
package struct TestBucket: Sendable {
    package let name: String
    package let url: String

    /// Creates one; it goes with the storage, which keeps everything in memory.
    package static func create() async throws -> TestBucket {
        let name = "bucket-" + String(UInt64.random(in: .min ... .max), radix: 36)
        let bucket = TestBucket(name: name, url: try TestServers.objectStorageURL())
        let request = HTTPTransport.Request(method: "PUT", url: "\(bucket.url)/\(name)")
        let response = try await HTTPTransport.shared.send(request, timeout: .seconds(60))
        guard response.status == 200 else { throw UnexpectedState("bucket \(name): HTTP \(response.status)") }
        return bucket
    }

    /// A store named `blobs` in this bucket, for a configuration file.
    ///
    /// - `timeout`: of a request; so long a run waits at its end for a call that nobody has heard of any more.
    package func settings(prefix: String = "", timeout: String = "30s") -> String {
        """
        stores:
          blobs:
            endpoint: \(self.url)
            region: us-east-1
            bucket: \(self.name)
            path_style: true
            access_key_id: test
            secret_access_key: ${TEST_SECRET_ACCESS_KEY}
            prefix: "\(prefix)"
        storage: {backoff: 5ms, timeout: \(timeout)}
        """
    }

    /// The environment that goes with ``settings(prefix:)``.
    package static let variables = ["TEST_SECRET_ACCESS_KEY": "secret"]

    /// Reaches the bucket, without a configuration file.
    package func configuration(prefix: String = "") -> StoreConfiguration {
        StoreConfiguration(
            endpoint: .init(scheme: "http", authority: String(self.url.dropFirst("http://".count))),
            region: "us-east-1",
            bucket: self.name,
            usesPathStyle: true,
            credentials: .init(accessKeyID: "test", secretAccessKey: "secret"),
            prefix: prefix
        )
    }

    /// What is asked of the server besides S3.
    private struct Order: Encodable {
        var bucket: String
        var operation: String?
        var objects: [Seed]?
        var uploads: [Upload]?
        var kind: Fault?
        var times: Int?
        var keys: [String]?
        var code: String?
        var skip: Int?
    }

    private struct Upload: Encodable {
        var key: String
        var age: Int

        func encode(to encoder: any Encoder) throws {
            var container = encoder.unkeyedContainer()
            try container.encode(self.key)
            try container.encode(self.age)
        }
    }

    /// An object as if it had been put so many seconds ago.
    package struct Seed: Sendable, Encodable {
        package var key: String
        package var size: Int
        package var age: Int

        package init(_ key: String, size: Int = 0, age: Int = 0) {
            self.key = key
            self.size = size
            self.age = age
        }

        package func encode(to encoder: any Encoder) throws {
            var container = encoder.unkeyedContainer()
            try container.encode(self.key)
            try container.encode(self.size)
            try container.encode(self.age)
        }
    }

    package func seed(_ objects: [Seed]) async throws {
        try await self.order("seed", Order(bucket: self.name, objects: objects))
    }

    /// Takes an object away behind everybody's back.
    package func remove(_ key: String) async throws {
        try await self.order("remove", Order(bucket: self.name, keys: [key]))
    }

    /// Takes the whole bucket away.
    package func drop() async throws { try await self.order("drop", Order(bucket: self.name)) }

    /// Begins an upload in parts, as if so many seconds ago.
    package func beginUpload(_ key: String, age: Int) async throws {
        try await self.order("uploads", Order(bucket: self.name, uploads: [Upload(key: key, age: age)]))
    }

    /// What goes wrong with a request.
    package enum Fault: String, Sendable, Encodable, CaseIterable {
        /// 503; nothing happens.
        case unavailable
        /// 403; nothing happens.
        case denied
        /// 501; nothing happens.
        case unsupported
        /// A gateway answers 200 with a page for people; nothing happens.
        case gateway
        /// It happens, and the answer is 503.
        case lost
        /// It happens, and the answer is cut off.
        case truncated
        /// Nothing happens, and the connection is closed.
        case reset
        /// Some keys of a deletion fail; without a code, the answer does not mention them.
        case keys
        /// It happens, then some keys are put anew, and the answer is 503.
        case renewed
    }

    /// Lets the next requests of a kind go wrong.
    package func inflict(
        _ kind: Fault,
        on operation: String,
        times: Int = 1,
        keys: [String] = [],
        code: String = "AccessDenied"
    ) async throws {
        try await self.order(
            "fault",
            Order(bucket: self.name, operation: operation, kind: kind, times: times, keys: keys, code: code)
        )
    }

    /// Ends all faults.
    package func heal() async throws {
        try await self.order("heal", Order(bucket: self.name))
    }

    /// Runs `body` while a request of a kind is held up, before it has any effect.
    ///
    /// - `skip`: how many requests of the kind pass before it.
    /// - `cause`: what makes the request.
    package func holding<Value: Sendable>(
        _ operation: String,
        skip: Int = 0,
        while cause: @escaping @Sendable () async throws -> Value,
        _ body: () async throws -> Void
    ) async throws -> Value {
        try await self.order("hold", Order(bucket: self.name, operation: operation, skip: skip))
        let order = Order(bucket: self.name, operation: operation)
        return try await withThrowingTaskGroup(of: Value.self) { group in
            group.addTask { try await cause() }
            let answer = try await self.order("held", order)
            guard String(decoding: answer, as: UTF8.self).contains("true") else {
                throw UnexpectedState("no \(operation) request came")
            }
            let result: Result<Void, any Error>
            do { result = .success(try await body()) } catch { result = .failure(error) }
            try await self.order("release", order)
            try result.get()
            guard let value = try await group.next() else { throw UnexpectedState("nothing was held up") }
            return value
        }
    }

    /// The same for a request that comes by itself.
    package func holding(_ operation: String, _ body: () async throws -> Void) async throws {
        try await self.holding(operation, while: {}, body)
    }

    /// What is in the bucket and what was asked of it.
    package struct State: Sendable, Decodable {
        package var calls: [String: Int]
        package var keys: [String]
        package var uploads: [String]
    }

    package func state() async throws -> State {
        try JSONDecoder().decode(State.self, from: try await self.order("state", Order(bucket: self.name)))
    }

    @discardableResult
    private func order(_ verb: String, _ order: some Encodable) async throws -> Data {
        let body = Array(try JSONEncoder().encode(order))
        let request = HTTPTransport.Request(method: "POST", url: "\(self.url)/_ebb/\(verb)", body: body)
        let response = try await HTTPTransport.shared.send(request, timeout: .seconds(180))
        guard response.status == 200 else { throw UnexpectedState("\(verb): HTTP \(response.status)") }
        return Data(response.body)
    }
}
