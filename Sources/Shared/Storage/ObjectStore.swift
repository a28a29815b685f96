package import FoundationEssentials

/// A bucket, or the part of it behind a prefix: a small client of the S3 protocol.
///
/// Keys are without the store's prefix, coming and going. Requests that only look are repeated when the storage is away;
/// those that remove are not: between two tries, what they name may have become somebody's.
package struct ObjectStore: Sendable {
    package let configuration: StoreConfiguration
    package let limits: EbbConfiguration.Storage
    let transport: HTTPTransport

    package init(
        _ configuration: StoreConfiguration,
        limits: EbbConfiguration.Storage,
        transport: HTTPTransport = .shared
    ) {
        self.configuration = configuration
        self.limits = limits
        self.transport = transport
    }

    /// An object as a listing shows it.
    package struct Object: Sendable, Hashable {
        package var key: String
        package var size: Int
        package var lastModified: Date

        package init(key: String, size: Int, lastModified: Date) {
            self.key = key
            self.size = size
            self.lastModified = lastModified
        }
    }

    /// A part of a listing, in the order of keys.
    package struct Page: Sendable {
        package var objects: [Object]
        /// Where the next page starts; nil for the last.
        package var next: String?
        /// The storage's clock, in whole seconds, never ahead.
        package var now: Date
    }

    /// An upload in parts that was never completed.
    package struct Upload: Sendable, Hashable {
        package var key: String
        package var id: String
        package var initiated: Date
    }

    /// What became of each key of a call.
    package struct Deletion: Sendable {
        /// Gone, whether this call took them or they were gone before.
        package var deleted: Set<String> = []
        package var failures: [Failure] = []
    }

    /// Why a single key is still there.
    package struct Failure: Sendable, Hashable {
        package var key: String
        package var code: String
        package var message: String
    }

    /// The most keys of one page, and of one deletion.
    package static let most = 1_000

    /// One page of the keys that start with `prefix`.
    ///
    /// - `token`: `next` of the page before.
    /// - `start`: where a first page begins: behind this, which need not be a key; nil begins with the first key.
    /// - Throws: `StorageError`, `CancellationError`.
    package func page(
        prefix: String,
        after token: String? = nil,
        behind start: String? = nil,
        limit: Int = Self.most
    ) async throws -> Page {
        var query = [
            (name: "list-type", value: "2"), (name: "encoding-type", value: "url"),
            (name: "prefix", value: self.configuration.prefix + prefix), (name: "max-keys", value: String(limit)),
        ]
        if let token {
            query.append((name: "continuation-token", value: token))
        } else if let start, !start.isEmpty {
            query.append((name: "start-after", value: self.configuration.prefix + start))
        }
        return try await self.repeating("ListObjectsV2") { call in
            let answer = try await call.send("GET", query: query)
            let listing = try answer.document(StorageDocument.Listing.self, root: "ListBucketResult")
            guard let now = answer.date else { throw answer.malformed("it has no Date") }
            if listing.isTruncated && listing.nextContinuationToken == nil {
                throw answer.malformed("it goes on and does not say where")
            }
            var objects: [Object] = []
            for content in listing.contents ?? [] {
                guard let key = PercentEncoding.decode(content.key), let date = StorageTime.iso(content.lastModified)
                else {
                    throw answer.malformed("a key or a time in it cannot be read")
                }
                objects.append(Object(key: try self.own(key, answer), size: content.size ?? 0, lastModified: date))
            }
            return Page(
                objects: objects,
                next: listing.isTruncated ? listing.nextContinuationToken : nil,
                now: now
            )
        }
    }

    /// One object; nil when there is none.
    ///
    /// By a listing, since a HEAD request does not tell a missing key from a missing bucket: its answer has no body.
    ///
    /// - Throws: `StorageError`, `CancellationError`.
    package func object(_ key: String) async throws -> Object? {
        var token: String?
        repeat {
            let page = try await self.page(prefix: key, after: token, limit: 1)
            // Of the keys that begin so, it is the first.
            if let first = page.objects.first { return first.key == key ? first : nil }
            token = page.next
        } while token != nil
        return nil
    }

    /// Those of some keys whose objects are there.
    ///
    /// - Throws: `StorageError`, `CancellationError`.
    package func present(among keys: Set<String>) async throws -> Set<String> {
        Set(try await self.objects(among: keys).keys)
    }

    /// The objects of some keys, as far as there are any.
    ///
    /// One listing from the first to the last, without wide gaps: the keys of one call are neighbours, or nearly.
    ///
    /// - Throws: `StorageError`, `CancellationError`.
    package func objects(among keys: Set<String>) async throws -> [String: Object] {
        var wanted = keys.sorted { $0.utf8.lexicographicallyPrecedes($1.utf8) }[...]
        var found: [String: Object] = [:]
        var token: String?
        var isLast = false
        while !isLast, let next = wanted.first {
            let page = try await self.page(prefix: "", after: token, behind: String(next.dropLast()))
            for object in page.objects where keys.contains(object.key) { found[object.key] = object }
            token = page.next
            isLast = token == nil
            guard let end = page.objects.last?.key else { continue }
            wanted = wanted.drop { !end.utf8.lexicographicallyPrecedes($0.utf8) }
            // The next page begins where it is of use.
            if let next = wanted.first, end.utf8.lexicographicallyPrecedes(next.dropLast().utf8) { token = nil }
        }
        return found
    }

    /// Whether the bucket is there and may be used; returns the storage's clock.
    ///
    /// - Throws: `StorageError`, `CancellationError`.
    package func checkBucket() async throws -> Date {
        do {
            return try await self.repeating("HeadBucket") { call in
                let answer = try await call.send("HEAD")
                guard let now = answer.date else { throw answer.malformed("it has no Date") }
                return now
            }
        } catch var error as StorageError where error.code == StorageError.notFound {
            (error.code, error.message) = ("NoSuchBucket", "there is no such bucket")
            throw error
        }
    }

    /// Deletes up to 1,000 objects in one call, not repeated.
    ///
    /// Keys that the answer does not mention count as failed.
    ///
    /// - Throws: `StorageError`: then it may have happened or not; `CancellationError`, likewise.
    package func delete(_ keys: [String]) async throws -> Deletion {
        let document = StorageDocument.Delete(objects: keys.map { .init(key: self.configuration.prefix + $0) })
        let call = StorageCall(store: self, name: "DeleteObjects")
        let answer = try await call.send(
            "POST",
            query: [(name: "delete", value: "")],
            body: try StorageDocument.encode(document)
        )
        let result = try answer.document(StorageDocument.Deletion.self, root: "DeleteResult")
        let asked = Set(keys)
        var deletion = Deletion()
        for entry in result.deleted ?? [] { deletion.deleted.insert(try self.own(entry.key, answer)) }
        deletion.deleted.formIntersection(asked)
        var mentioned = deletion.deleted
        for entry in result.errors ?? [] {
            let key = try self.own(entry.key, answer)
            guard asked.contains(key), mentioned.insert(key).inserted else { continue }
            let code = entry.code ?? "Unknown"
            // What is not there any more is what was wanted.
            if code == "NoSuchKey" {
                deletion.deleted.insert(key)
            } else {
                deletion.failures.append(Failure(key: key, code: code, message: entry.message ?? ""))
            }
        }
        for key in keys where !mentioned.contains(key) {
            let failure = Failure(key: key, code: StorageError.unmentioned, message: "the answer does not mention it")
            deletion.failures.append(failure)
        }
        return deletion
    }

    /// The uploads that are under way behind the store's prefix, page by page.
    ///
    /// - Throws: `StorageError`, `CancellationError`, or what `body` throws.
    package func uploads(_ body: ([Upload]) async throws -> Void) async throws {
        var markers: [(name: String, value: String)] = []
        while true {
            let query =
                [
                    (name: "uploads", value: ""), (name: "encoding-type", value: "url"),
                    (name: "prefix", value: self.configuration.prefix),
                ] + markers
            let (found, next) = try await self.repeating("ListMultipartUploads") { call in
                let answer = try await call.send("GET", query: query)
                let listing = try answer.document(
                    StorageDocument.Uploads.self,
                    root: "ListMultipartUploadsResult"
                )
                if listing.isTruncated == true, listing.nextKeyMarker?.isEmpty ?? true {
                    throw answer.malformed("it is cut off and does not say where")
                }
                return (try self.uploads(in: listing, answer), listing.isTruncated == true ? listing : nil)
            }
            try await body(found)
            guard let next else { return }
            markers = [
                (name: "key-marker", value: PercentEncoding.decode(next.nextKeyMarker ?? "") ?? ""),
                (name: "upload-id-marker", value: next.nextUploadIDMarker ?? ""),
            ]
        }
    }

    private func uploads(in listing: StorageDocument.Uploads, _ answer: StorageCall.Answer) throws -> [Upload] {
        try (listing.uploads ?? []).compactMap { upload in
            guard let key = PercentEncoding.decode(upload.key), let date = StorageTime.iso(upload.initiated) else {
                throw answer.malformed("a key or a time in it cannot be read")
            }
            // Not every storage heeds the prefix here.
            guard key.hasPrefix(self.configuration.prefix) else { return nil }
            return Upload(key: try self.own(key, answer), id: upload.uploadID, initiated: date)
        }
    }

    /// Ends an upload and frees its parts; one that is gone is no error.
    ///
    /// - Throws: `StorageError`, `CancellationError`.
    package func abort(_ upload: Upload) async throws {
        do {
            // Repeating is harmless: an upload's id is never used again.
            try await self.repeating("AbortMultipartUpload") { call in
                _ = try await call.send("DELETE", key: upload.key, query: [(name: "uploadId", value: upload.id)])
            }
        } catch let error as StorageError where ["NoSuchUpload", StorageError.notFound].contains(error.code) {}
    }

    /// A key without the store's prefix.
    private func own(_ key: String, _ answer: StorageCall.Answer) throws -> String {
        guard key.hasPrefix(self.configuration.prefix) else {
            throw answer.malformed("it has a key outside of the prefix that was asked for")
        }
        return String(key.dropFirst(self.configuration.prefix.count))
    }

    /// Calls again, after a growing pause, while the storage is away, or its answer is of no use, and tries are left.
    private func repeating<Value>(_ name: String, _ body: (StorageCall) async throws -> Value) async throws -> Value {
        var tries = 0
        while true {
            do {
                return try await body(StorageCall(store: self, name: name))
            } catch let error as StorageError where error.kind != .refused {
                tries += 1
                guard tries < self.limits.attempts else { throw error }
                try await Task.sleep(for: self.limits.pause(after: tries))
            }
        }
    }
}
