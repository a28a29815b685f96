/// Indexes that ought to be there, in one schema or in all of a group.
package struct IndexGroup: Sendable, Hashable {
    package var name: String
    /// A schema, or the name of a group of schemas.
    package var scope: String
    package var indexes: [WantedIndex]
}

/// An index that ought to be there.
package struct WantedIndex: Sendable, Hashable {
    package var name: String
    package var table: String
    /// What follows the table's name in `CREATE INDEX`, such as `USING gin (attrib)`; passed on unchanged.
    package var definition: String
    package var isUnique: Bool
}

extension IndexGroup {
    /// The key of the file under which groups stand.
    static let section = "indexes"

    private static let acceptedDefinition = "what follows the table in CREATE INDEX, such as \"USING gin (attrib)\""
    private static let acceptedList = "a list of {name, table, definition}"

    /// `indexes: {Group: {in: schema, indexes: [{name, table, definition, unique}]}}`.
    static func groups(of file: ConfigurationFile) throws(ConfigurationError) -> [IndexGroup] {
        var groups: [IndexGroup] = []
        for section in try file.root.entries() where section.key == Self.section {
            for entry in try section.value.entries() { groups.append(try Self.group(entry)) }
        }
        return groups
    }

    private static func group(_ entry: ConfigurationNode.Entry) throws(ConfigurationError) -> IndexGroup {
        let node = entry.value
        guard CatalogParser.isTargetName(entry.key) else {
            throw node.error("\"\(entry.key)\" is no name for indexes; accepted: \(CatalogParser.acceptedTarget)")
        }
        let fields = try node.fields(["in", "indexes"])
        let scope = try fields.required("in", accepted: "a schema, or a group of schemas")
        let list = try fields.required("indexes", accepted: Self.acceptedList)
        guard case .list(let items) = list.content, !items.isEmpty else {
            throw list.error("this is no list, or an empty one; accepted: \(Self.acceptedList)")
        }
        var indexes: [WantedIndex] = []
        for item in items {
            let index = try Self.index(item)
            guard !indexes.contains(where: { $0.name == index.name }) else {
                throw item.error("the index \(index.name) is listed twice; accepted: each once")
            }
            indexes.append(index)
        }
        return IndexGroup(
            name: entry.key,
            scope: try scope.parse(accepted: NameScanner.acceptedName, NameScanner.name),
            indexes: indexes
        )
    }

    private static func index(_ node: ConfigurationNode) throws(ConfigurationError) -> WantedIndex {
        let fields = try node.fields(["name", "table", "definition", "unique"])
        let definition = try fields.required("definition", accepted: Self.acceptedDefinition)
        let text = try definition.text(accepted: Self.acceptedDefinition)
        guard !text.allSatisfy(\.isWhitespace), !text.contains(";") else {
            throw definition.error("\"\(text)\" is no definition; accepted: \(Self.acceptedDefinition)")
        }
        return WantedIndex(
            name: try fields.required("name", accepted: "the index's name").parse(
                accepted: NameScanner.acceptedName,
                NameScanner.name
            ),
            table: try fields.required("table", accepted: "the table's name").parse(
                accepted: NameScanner.acceptedName,
                NameScanner.name
            ),
            definition: text,
            isUnique: try fields["unique"]?.parse(accepted: FlagText.accepted, FlagText.parse) ?? false
        )
    }
}
