/// What can be wrong with the queue's content or its server, in one sentence.
package struct QueueError: Error, Sendable, CustomStringConvertible, Equatable {
    package var description: String

    package init(_ description: String) { self.description = description }

    static func malformed(_ thing: String, accepted: String) -> QueueError {
        QueueError("Redis holds a malformed \(thing); accepted: \(accepted)")
    }
}
