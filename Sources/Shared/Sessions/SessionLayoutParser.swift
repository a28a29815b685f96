/// Reads layouts of sessions: a shipped one, or what the operator's file says under `sessions`.
package struct SessionLayoutParser {
    private let environment: Environment

    package init(environment: Environment) { self.environment = environment }

    /// The part of the file that describes sessions.
    static let section = "sessions"
    /// What it may say of a layout.
    static let fields = [
        "prefix", "separator", "keys", "last_used", "expires_at", "unit", "lifetime", "service", "token", "event",
    ]

    private static let accepted = "a key with {token} in it, such as session:{token}"
    private static let acceptedTime = "{json: field}, {hash: field}, {sorted_set: key} or idle"
    private static let acceptedField = "a field, or a path of fields with dots"

    /// A layout that ships with Ebb.
    package func preset(_ preset: SessionPreset) throws(ConfigurationError) -> SessionLayout {
        let file = try ConfigurationFile(name: preset.fileName, yaml: preset.yaml)
        return try self.layout(file.root, name: preset.rawValue)
    }

    /// The layout that the operator's file describes; nil when it describes none.
    package func layout(of file: ConfigurationFile?) throws(ConfigurationError) -> SessionLayout? {
        guard let file, let node = try file.root.entries().first(where: { $0.key == Self.section })?.value,
            case .mapping(let entries) = node.content, entries.contains(where: { Self.fields.contains($0.key) })
        else { return nil }
        return try self.layout(node, name: file.name)
    }

    private func layout(_ node: ConfigurationNode, name: String) throws(ConfigurationError) -> SessionLayout {
        let settings = Setting.keys(after: Self.section + ".")
        let fields = try node.fields(Self.fields + settings)
        let (before, after) = try self.keys(fields)
        let (time, isEnd) = try self.time(fields)
        var layout = SessionLayout(
            name: name,
            before: before,
            after: after,
            time: time,
            lifetime: try self.lifetime(fields, isEnd: isEnd)
        )
        layout.isMilliseconds =
            try fields["unit"].map { node throws(ConfigurationError) in
                switch try node.text(accepted: "s or ms") {
                case "s": false
                case "ms": true
                case let other: throw node.error("\"\(other)\" is not a unit of time; accepted: s or ms")
                }
            } ?? false
        layout.service = try self.service(fields["service"], isEnd: isEnd)
        layout.token = try fields["token"].map(self.field)
        layout.event = try self.event(fields["event"])
        try self.check(layout, fields)
        return layout
    }

    private func keys(_ fields: ConfigurationNode.Fields) throws(ConfigurationError) -> (String, String) {
        let node = try fields.required("keys", accepted: Self.accepted)
        let text = try self.text(node, accepted: Self.accepted)
        let parts = text.split(separator: "{token}", omittingEmptySubsequences: false).map(String.init)
        // Without a word of its own the pattern would be every key there is.
        guard parts.count == 2, text != "{token}" else {
            throw node.error("\"\(text)\" does not name keys of sessions; accepted: \(Self.accepted)")
        }
        let prefix =
            try fields["prefix"].map { node throws(ConfigurationError) in
                try self.text(node, accepted: "a text before every key")
            } ?? ""
        let separator =
            try fields["separator"].map { node throws(ConfigurationError) in
                try self.text(node, accepted: "a text between prefix and key")
            } ?? ""
        return (prefix.isEmpty ? parts[0] : prefix + separator + parts[0], parts[1])
    }

    private func time(_ fields: ConfigurationNode.Fields) throws(ConfigurationError) -> (SessionLayout.Time, Bool) {
        switch (fields["last_used"], fields["expires_at"]) {
        case (let node?, nil): return (try self.time(node), false)
        case (nil, let node?):
            let time = try self.time(node)
            guard time != .idle else {
                throw node.error("idle time has no end; accepted: last_used: idle, with a lifetime")
            }
            return (time, true)
        case (nil, nil), (_?, _?):
            throw fields.node.error("accepted: one of last_used and expires_at, as \(Self.acceptedTime)")
        }
    }

    private func time(_ node: ConfigurationNode) throws(ConfigurationError) -> SessionLayout.Time {
        if case .scalar("idle") = node.content { return .idle }
        let entries = try node.fields(["json", "hash", "sorted_set"]).entries
        guard let entry = entries.first, entries.count == 1 else {
            throw node.error("does not say where the time stands; accepted: \(Self.acceptedTime)")
        }
        switch entry.key {
        case "json": return .json(try self.field(entry.value))
        case "hash": return .hash(try self.text(entry.value, accepted: "a field of the hash"))
        default: return .sortedSet(try self.text(entry.value, accepted: "the key of a sorted set"))
        }
    }

    private func lifetime(_ fields: ConfigurationNode.Fields, isEnd: Bool) throws(ConfigurationError) -> Duration {
        if isEnd {
            if let node = fields["lifetime"] { throw node.error("has no meaning beside expires_at; leave it out") }
            return .zero
        }
        return try self.duration(try fields.required("lifetime", accepted: DurationText.acceptedPositive))
    }

    private func service(_ node: ConfigurationNode?, isEnd: Bool) throws(ConfigurationError) -> SessionLayout.Service? {
        guard let node else { return nil }
        if isEnd { throw node.error("has no meaning beside expires_at; leave it out") }
        let fields = try node.fields(["field", "lifetime"])
        return SessionLayout.Service(
            field: try self.field(try fields.required("field", accepted: Self.acceptedField)),
            lifetime: try self.duration(try fields.required("lifetime", accepted: DurationText.acceptedPositive))
        )
    }

    private func event(_ node: ConfigurationNode?) throws(ConfigurationError) -> SessionLayout.Event? {
        guard let node else { return nil }
        let fields = try node.fields(["insert", "user", "unless"])
        let accepted = "an INSERT of the JSON array $1 that ignores ids it finds"
        let insert = try fields.required("insert", accepted: accepted)
        return SessionLayout.Event(
            insert: try insert.text(accepted: accepted),
            user: try fields["user"].map(self.field),
            unless: try fields["unless"].map(self.field)
        )
    }

    /// Refuses what is fine part by part but not together.
    private func check(_ layout: SessionLayout, _ fields: ConfigurationNode.Fields) throws(ConfigurationError) {
        switch layout.time {
        case .json: return
        case .hash:
            let given = [layout.service?.field, layout.token, layout.event?.user, layout.event?.unless]
            guard given.allSatisfy({ ($0?.count ?? 1) == 1 }) else {
                throw fields.node.error("a hash has no fields inside of fields; accepted: names without dots")
            }
        case .sortedSet, .idle:
            for key in ["service", "token"] {
                if let node = fields[key] { throw node.error("needs a value to stand in; accepted with json and hash") }
            }
            guard layout.event?.user == nil, layout.event?.unless == nil else {
                throw fields.node.error("event: user and unless need a value to stand in; accepted with json and hash")
            }
        }
    }

    private func field(_ node: ConfigurationNode) throws(ConfigurationError) -> SessionLayout.Field {
        let text = try self.text(node, accepted: Self.acceptedField)
        let names = text.split(separator: ".", omittingEmptySubsequences: false).map(String.init)
        guard names.allSatisfy({ !$0.isEmpty }) else {
            throw node.error("\"\(text)\" is not a field; accepted: \(Self.acceptedField)")
        }
        return names
    }

    private func duration(_ node: ConfigurationNode) throws(ConfigurationError) -> Duration {
        let text = try self.text(node, accepted: DurationText.acceptedPositive)
        do {
            return try DurationText.parsePositive(text)
        } catch {
            throw ConfigurationError(name: node.place.description, rejected: error)
        }
    }

    /// A scalar in which each `${NAME}` and `${NAME:-value}` is replaced by that variable.
    private func text(_ node: ConfigurationNode, accepted: String) throws(ConfigurationError) -> String {
        let text = try node.text(accepted: accepted)
        var result = ""
        var rest = text[...]
        while let match = rest.firstMatch(of: /\$\{([A-Za-z_][A-Za-z0-9_]*)(?::-([^{}]*))?\}/) {
            result += rest[..<match.range.lowerBound]
            let name = String(match.1)
            let value = try self.environment.value(name)
            // An empty variable is one that a container platform could not leave out.
            if let value, !value.isEmpty {
                result += value
            } else if let otherwise = match.2 {
                result += otherwise
            } else {
                throw node.error("the variable \(name) is not set; accepted: \(accepted)")
            }
            rest = rest[match.range.upperBound...]
        }
        return result + rest
    }
}
