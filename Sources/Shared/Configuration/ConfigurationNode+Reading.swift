extension ConfigurationNode {
    /// The sentence about this value.
    package func error(_ problem: String) -> ConfigurationError {
        ConfigurationError(name: self.place.description, problem: problem)
    }

    /// The text of a scalar; `accepted` is for the error when there is something else.
    package func text(accepted: String) throws(ConfigurationError) -> String {
        switch self.content {
        case .scalar(let text): return text
        case .empty, .list, .mapping: throw self.error("\(self.found) is not a value; accepted: \(accepted)")
        }
    }

    /// The texts of a list, or of one scalar, which stands for a list of one.
    package func texts(accepted: String) throws(ConfigurationError) -> [(text: String, node: ConfigurationNode)] {
        guard case .list(let items) = self.content else { return [(try self.text(accepted: accepted), self)] }
        var texts: [(text: String, node: ConfigurationNode)] = []
        for item in items { texts.append((try item.text(accepted: accepted), item)) }
        return texts
    }

    /// The entries of a mapping; nothing at all is a mapping without entries.
    package func entries() throws(ConfigurationError) -> [Entry] {
        switch self.content {
        case .empty: return []
        case .mapping(let entries): return entries
        case .scalar, .list: throw self.error("\(self.found) is not a mapping; accepted: lines of \"key: value\"")
        }
    }

    /// The entries of a mapping that has a fixed set of keys.
    package func fields(_ accepted: [String]) throws(ConfigurationError) -> Fields {
        let entries = try self.entries()
        for entry in entries where !accepted.contains(entry.key) {
            throw entry.value.unknownKey(entry.key, accepted: accepted)
        }
        return Fields(node: self, entries: entries)
    }

    /// The text of a scalar, read by a parser of values.
    package func parse<Value>(
        accepted: String,
        _ parser: (String) throws(RejectedValue) -> Value
    ) throws(ConfigurationError) -> Value {
        let text = try self.text(accepted: accepted)
        do {
            return try parser(text)
        } catch {
            throw ConfigurationError(name: self.place.description, rejected: error)
        }
    }

    /// The sentence about a key that means nothing here.
    package func unknownKey(_ key: String, accepted: [String]) -> ConfigurationError {
        let hint = NearestName.of(key, among: accepted).map { "did you mean \"\($0)\"? " } ?? ""
        return self.error("unknown key; \(hint)accepted: \(accepted.joined(separator: ", "))")
    }

    private var found: String {
        switch self.content {
        case .empty: "nothing"
        case .scalar(let text): "\"\(text)\""
        case .list: "a list"
        case .mapping: "a mapping"
        }
    }

    /// The values of a mapping by their keys.
    package struct Fields {
        package let node: ConfigurationNode
        let entries: [Entry]

        package subscript(key: String) -> ConfigurationNode? { self.entries.first { $0.key == key }?.value }

        /// The value of a key that has to be there; `accepted` says what to write for it.
        package func required(_ key: String, accepted: String) throws(ConfigurationError) -> ConfigurationNode {
            guard let value = self[key] else {
                throw self.node.error("\"\(key)\" is missing; accepted: \(key): \(accepted)")
            }
            return value
        }
    }
}
