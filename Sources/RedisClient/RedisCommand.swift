/// One Redis command: its name and arguments, none of which is interpreted or needs quoting.
package struct RedisCommand: Sendable, Equatable {
    package var arguments: [String]

    /// Makes a command.
    ///
    /// - Parameter arguments: the command's name first. Must not be empty: Redis does not answer an empty command, so the
    ///   caller would wait for nothing.
    package init(_ arguments: [String]) {
        precondition(!arguments.isEmpty, "a Redis command needs a name")
        self.arguments = arguments
    }
}

extension RedisCommand: ExpressibleByArrayLiteral {
    package init(arrayLiteral elements: String...) {
        self.init(elements)
    }
}
