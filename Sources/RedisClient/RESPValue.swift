/// A reply, copied out of hiredis.
package enum RESPValue: Sendable, Equatable {
    /// A bulk string. Bytes that are not UTF-8 were replaced by U+FFFD.
    case string(String)
    /// A short answer of the server itself, such as `OK`.
    case status(String)
    case integer(Int)
    /// No value: a missing key, a blocking command that ran out of time, `nil` or `false` from Lua.
    case null
    case array([RESPValue])
    /// An error inside an array. As a whole reply it becomes a thrown error or a failed `Result` instead.
    case error(RedisError)
}

extension RESPValue {
    /// The text of a string or status; nil for everything else.
    package var string: String? {
        switch self {
        case .string(let text), .status(let text): text
        case .integer, .null, .array, .error: nil
        }
    }

    /// An integer, or a string that is one in decimal; nil for everything else.
    package var int: Int? {
        switch self {
        case .integer(let number): number
        case .string(let text): Int(text)
        case .status, .null, .array, .error: nil
        }
    }

    /// The elements of an array; nil for everything else.
    package var array: [RESPValue]? {
        switch self {
        case .array(let elements): elements
        case .string, .status, .integer, .null, .error: nil
        }
    }
}
