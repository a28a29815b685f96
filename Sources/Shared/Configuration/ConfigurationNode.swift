import Yams

/// A value in a configuration file, with its place; every complaint about it names file, line and key.
package struct ConfigurationNode: Sendable {
    package let place: Place
    package let content: Content

    /// What stands there.
    ///
    /// Numbers and words like `off` stay text: the setting, not YAML, decides what they mean.
    package enum Content: Sendable {
        /// Nothing, `~` or `null`: as if all that belongs there were commented out.
        case empty
        case scalar(String)
        case list([ConfigurationNode])
        case mapping([Entry])
    }

    /// A key of a mapping and its value; the value's place is the key's line and path.
    package struct Entry: Sendable {
        package let key: String
        package let value: ConfigurationNode
    }

    /// Where a value stands.
    package struct Place: Sendable, CustomStringConvertible {
        package let file: String
        package let line: Int
        /// The keys that lead to it, with dots between them; empty for the whole file.
        package let path: String

        /// As in `ebb.yaml:12: targets.AuditLog.key`.
        package var description: String {
            "\(self.file):\(self.line)" + (self.path.isEmpty ? "" : ": \(self.path)")
        }

        func key(_ key: String, line: Int) -> Place {
            Place(file: self.file, line: line, path: self.path.isEmpty ? key : "\(self.path).\(key)")
        }
    }

    init(place: Place, content: Content) {
        self.place = place
        self.content = content
    }

    /// Copies Yams's tree: its nodes are not Sendable, and forget their line when they are taken apart.
    init(_ node: Node, at place: Place) throws(ConfigurationError) {
        self.place = place
        switch node {
        case .scalar(let scalar):
            let isEmpty = scalar.style == .plain && ["", "~", "null", "Null", "NULL"].contains(scalar.string)
            self.content = isEmpty ? .empty : .scalar(Placeholders.restore(scalar.string))
        case .sequence(let items):
            var list: [ConfigurationNode] = []
            for item in items {
                let line = item.mark?.line ?? place.line
                list.append(try ConfigurationNode(item, at: Place(file: place.file, line: line, path: place.path)))
            }
            self.content = .list(list)
        case .mapping(let pairs):
            var entries: [Entry] = []
            for (key, value) in pairs {
                let line = key.mark?.line ?? place.line
                guard case .scalar(let scalar) = key else {
                    throw ConfigurationError(
                        name: place.key("?", line: line).description,
                        problem: "a key must be a single word"
                    )
                }
                let name = Placeholders.restore(scalar.string)
                // Yams finds most duplicates itself, but takes `1` and `"1"` for different keys.
                guard !entries.contains(where: { $0.key == name }) else {
                    throw ConfigurationError(
                        name: place.key(name, line: line).description,
                        problem: "the key appears more than once in one mapping"
                    )
                }
                entries.append(Entry(key: name, value: try ConfigurationNode(value, at: place.key(name, line: line))))
            }
            self.content = .mapping(entries)
        case .alias:
            throw ConfigurationError(name: place.description, problem: "the alias has no anchor before it")
        }
    }
}
