import CHiredis

/// Owns one whole reply of hiredis.
///
/// Its elements belong to it and are copied, never kept.
struct RedisReply: ~Copyable {
    private let root: UnsafeMutablePointer<redisReply>

    /// Takes over a reply from `redisGetReply`.
    init(owning root: UnsafeMutablePointer<redisReply>) {
        self.root = root
    }

    deinit { freeReplyObject(self.root) }

    /// The reply as the result of one request.
    func result() -> Result<RESPValue, RedisError> {
        switch Self.copy(self.root) {
        case .error(let error): .failure(error)
        case let value: .success(value)
        }
    }

    // Recursion is bounded: hiredis refuses replies nested more than 7 levels deep.
    private static func copy(_ reply: UnsafeMutablePointer<redisReply>) -> RESPValue {
        switch reply.pointee.type {
        case REDIS_REPLY_STRING: return .string(self.text(reply))
        case REDIS_REPLY_STATUS: return .status(self.text(reply))
        case REDIS_REPLY_ERROR: return .error(RedisError(serverError: self.text(reply)))
        case REDIS_REPLY_INTEGER: return .integer(Int(reply.pointee.integer))
        case REDIS_REPLY_NIL: return .null
        case REDIS_REPLY_ARRAY:
            let elements = UnsafeBufferPointer(start: reply.pointee.element, count: reply.pointee.elements)
            return .array(elements.map { element in element.map(self.copy) ?? .null })
        case let type:
            return .error(RedisError(.protocolError, "Redis sent a reply of type \(type), which RESP2 does not have"))
        }
    }

    private static func text(_ reply: UnsafeMutablePointer<redisReply>) -> String {
        String(decoding: UnsafeRawBufferPointer(start: reply.pointee.str, count: reply.pointee.len), as: UTF8.self)
    }
}
