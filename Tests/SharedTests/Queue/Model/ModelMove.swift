import RedisClient

@testable import Shared

/// One step of a walk: what is sent, and what the model says that the answer must be.
struct ModelMove {
    let requests: [RedisRequest]
    /// Which of the replies is the unit's; the others tell what only the server can know.
    let unit: Int
    /// Moves the model on; given all replies, returns the unit's as it should be.
    let expect: (inout QueueModel, [RESPValue]) throws -> RESPValue

    /// A unit that needs nothing beside it.
    init(
        _ script: RedisScript,
        keys: [String],
        _ arguments: [String],
        expect: @escaping (inout QueueModel, RESPValue) throws -> RESPValue
    ) {
        self.requests = [.script(script, keys: keys, arguments: arguments)]
        self.unit = 0
        self.expect = { model, replies in try expect(&model, replies[0]) }
    }

    init(
        _ requests: [RedisRequest],
        unit: Int,
        expect: @escaping (inout QueueModel, [RESPValue]) throws -> RESPValue
    ) {
        self.requests = requests
        self.unit = unit
        self.expect = expect
    }

    /// What a test does itself, such as letting time pass.
    init(_ command: [String], change: @escaping (inout QueueModel) -> Void) {
        self.requests = [.command(RedisCommand(command))]
        self.unit = 0
        self.expect = { model, replies in
            change(&model)
            return replies[0]
        }
    }

    /// Which unit it is and how it was answered, roughly.
    func outcome(_ reply: RESPValue) -> String {
        guard case .script(let script, keys: _, arguments: _) = self.requests[self.unit] else { return "" }
        return switch reply {
        case .string(let text): script.name + " " + text
        case .integer(let number): script.name + (number < 0 ? " -1" : number > 0 ? " +" : " 0")
        case .array(let elements): script.name + (elements.isEmpty ? " nothing" : " something")
        default: script.name + " \(reply)"
        }
    }

    /// What was sent, in one line.
    var summary: String {
        self.requests.map { request in
            switch request {
            case .command(let command): command.arguments.joined(separator: " ")
            case .script(let script, let keys, let arguments):
                "\(script.name) \(keys.dropFirst()) \(arguments)"
            }
        }.joined(separator: "; ")
    }
}

extension RESPValue {
    /// The reply to TIME in ms, as scripts round it.
    var milliseconds: Int { (self.array?.first?.int ?? 0) * 1_000 + (self.array?.last?.int ?? 0) / 1_000 }

    /// The reply to ZRANGE … WITHSCORES.
    var scores: [(name: String, score: Int)] {
        let flat = self.array ?? []
        return stride(from: 0, to: flat.count - 1, by: 2).map {
            (flat[$0].string ?? "", flat[$0 + 1].int ?? 0)
        }
    }

    /// As text, for a person to read.
    var short: String {
        switch self {
        case .string(let text): "\"\(text)\""
        case .status(let text): text
        case .integer(let number): String(number)
        case .null: "nil"
        case .array(let elements): "[\(elements.map(\.short).joined(separator: ", "))]"
        case .error(let error): "error \(error.message)"
        }
    }

    /// A reply of pairs, by their first.
    var pairs: [String: String] {
        let flat = self.array ?? []
        return Dictionary(
            stride(from: 0, to: flat.count - 1, by: 2).map { (flat[$0].string ?? "", flat[$0 + 1].string ?? "") }
        ) { $1 }
    }
}
