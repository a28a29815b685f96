/// Indexes that ought to be there, in one schema or in all of a group.
package struct IndexGroup: Sendable, Hashable {
    package var name: String
    package var place: Place
    package var indexes: [WantedIndex]

    /// Where they ought to be.
    package enum Place: Sendable, Hashable {
        case schema(String)
        case group(SchemaGroup)
    }
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

    /// `indexes: {Group: {in: schemas, indexes: [{name, table, definition, unique}]}}`, or `schema` in place of `in`.
    ///
    /// - `known`: all groups of schemas there are.
    static func groups(
        of file: ConfigurationFile,
        among known: [SchemaGroup]
    ) throws(ConfigurationError) -> [IndexGroup] {
        var groups: [IndexGroup] = []
        for section in try file.root.entries() where section.key == Self.section {
            for entry in try section.value.entries() { groups.append(try Self.group(entry, known)) }
        }
        return groups
    }

    private static func group(
        _ entry: ConfigurationNode.Entry,
        _ known: [SchemaGroup]
    ) throws(ConfigurationError) -> IndexGroup {
        let node = entry.value
        guard CatalogParser.isTargetName(entry.key) else {
            throw node.error("\"\(entry.key)\" is no name for indexes; accepted: \(CatalogParser.acceptedTarget)")
        }
        let fields = try node.fields(["in", "schema", "indexes"])
        let place = try Self.place(fields, node, known)
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
        return IndexGroup(name: entry.key, place: place, indexes: indexes)
    }

    private static func place(
        _ fields: ConfigurationNode.Fields,
        _ node: ConfigurationNode,
        _ known: [SchemaGroup]
    ) throws(ConfigurationError) -> Place {
        switch (fields["in"], fields["schema"]) {
        case (let group?, nil): return .group(try SchemaGroupParser.group(named: group, among: known))
        case (nil, let schema?):
            return .schema(try schema.parse(accepted: NameScanner.acceptedName, NameScanner.name))
        case (_?, let schema?):
            throw schema.error("the indexes are in each schema of a group already; accepted: one of in and schema")
        case (nil, nil):
            throw node.error("it does not say where; accepted: in, a group of schemas, or schema, a single one")
        }
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
