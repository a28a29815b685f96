/// Reads the `schemas` of a configuration file or a preset.
enum SchemaGroupParser {
    /// The key of the file under which groups of schemas stand.
    static let section = "schemas"

    private static let acceptedLike = "what the schemas' names look like, such as \"project_*\""
    private static let acceptedQuery = "SQL that returns names of schemas, as one column"
    static let acceptedFlag = "\(FlagText.accepted), or ${NAME} or ${NAME:-value} for a variable"

    static func groups(of file: ConfigurationFile) throws(ConfigurationError) -> [SchemaGroup] {
        var groups: [SchemaGroup] = []
        for section in try file.root.entries() where section.key == Self.section {
            for entry in try section.value.entries() { groups.append(try Self.group(entry)) }
        }
        return groups
    }

    private static func group(_ entry: ConfigurationNode.Entry) throws(ConfigurationError) -> SchemaGroup {
        let node = entry.value
        guard CatalogParser.isTargetName(entry.key) else {
            throw node.error(
                "\"\(entry.key)\" is not the name of a group of schemas; accepted: \(CatalogParser.acceptedTarget)"
            )
        }
        let fields = try node.fields(["like", "query", "skip"])
        var group = SchemaGroup(
            name: entry.key,
            like: try SQLFragment.text(
                fields.required("like", accepted: Self.acceptedLike),
                accepted: Self.acceptedLike
            )
        )
        if let query = fields["query"] { group.query = try SQLFragment.text(query, accepted: Self.acceptedQuery) }
        if let node = fields["skip"] {
            let skip = try node.fields(["query", "when"])
            let query = try skip.required("query", accepted: Self.acceptedQuery)
            group.skip = SchemaGroup.Skip(
                query: try SQLFragment.text(query, accepted: Self.acceptedQuery),
                when: try skip["when"].map { (node) throws(ConfigurationError) in try Self.flag(node) }
                    ?? .literal("true")
            )
        }
        return group
    }

    /// A switch of which the value may be a variable's.
    static func flag(_ node: ConfigurationNode) throws(ConfigurationError) -> Knob {
        try node.parse(accepted: Self.acceptedFlag) { (text) throws(RejectedValue) in
            try KnobText.knob(text) { (literal) throws(RejectedValue) in _ = try FlagText.parse(literal) }
        }
    }

    /// The group that a target names.
    ///
    /// - `known`: all groups there are.
    static func group(
        named node: ConfigurationNode,
        among known: [SchemaGroup]
    ) throws(ConfigurationError) -> SchemaGroup {
        let accepted = "a group of schemas"
        let name = try node.text(accepted: accepted)
        if let group = known.first(where: { $0.name == name }) { return group }
        let names = known.map(\.name)
        let hint = NearestName.of(name, among: names).map { "; did you mean \($0)?" } ?? ""
        let list =
            names.isEmpty ? "none is defined under \(Self.section)" : "accepted: \(names.joined(separator: ", "))"
        throw node.error("there is no group of schemas \"\(name)\"\(hint); \(list)")
    }
}

/// Reads SQL that is passed on as it is written.
enum SQLFragment {
    static func text(_ node: ConfigurationNode, accepted: String) throws(ConfigurationError) -> String {
        let text = try node.text(accepted: accepted)
        guard !text.allSatisfy(\.isWhitespace) else { throw node.error("it is empty; accepted: \(accepted)") }
        return text
    }
}
