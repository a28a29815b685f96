/// What an object storage, or the way to it, says against a request: one sentence, and never a secret.
package struct StorageError: Error, Sendable, Hashable, CustomStringConvertible {
    package var kind: Kind
    /// S3's code, such as `SlowDown`; for what S3 has not said itself, a word of the same form.
    package var code: String
    package var message: String
    /// What was asked for, such as `ListObjectsV2 of bucket blobs`.
    package var request: String

    package init(_ kind: Kind, code: String, message: String, request: String) {
        self.kind = kind
        self.code = code
        // Some storages quote what they were sent at length.
        self.message = String(message.prefix(300))
        self.request = request
    }

    package enum Kind: Sendable, Hashable {
        /// It cannot be reached, is overloaded, or its answer was cut off: the same again will do.
        case away
        /// It answers something else than was asked for, as a gateway in front of it may: the same again does only if that ends.
        case unusable
        /// It understood and refuses: a privilege, credentials, a bucket. Somebody has to mend it.
        case refused
    }

    package var description: String { "object storage, \(self.request): \(self.code): \(self.message)" }
}

extension StorageError {
    /// Sorts an answer in by its HTTP status and S3's code.
    static func kind(status: Int, code: String) -> Kind {
        // 501 and 505: the storage does not know the request, and never will.
        (status >= 500 && status != 501 && status != 505) || status == 429 || status == 408 || Self.isTransient(code)
            ? .away : .refused
    }

    /// Whether a code, of an answer or of a single key, means that the same again will do.
    package static func isTransient(_ code: String) -> Bool { Self.transient.contains(code) }

    private static let transient: Set<String> = [
        "InternalError", "InternalServerError", "OperationAborted", "RequestLimitExceeded", "RequestThrottled",
        "RequestTimeout", "ServiceUnavailable", "SlowDown", "SlowDownRead", "SlowDownWrite", "Throttling",
        "ThrottlingException", "TooManyRequests",
        // What this client calls a key that an answer does not mention.
        Self.unmentioned,
    ]

    package static let unmentioned = "NoAnswer"

    /// A 404 that does not say of what.
    static let notFound = "NotFound"
}
