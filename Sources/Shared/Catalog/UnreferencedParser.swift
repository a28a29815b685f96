/// Reads `unreferenced` of a table: columns elsewhere whose values keep rows of the target, without a foreign key.
struct UnreferencedParser {
    static let key = "unreferenced"

    let columns: ColumnParser
    /// The target's key.
    let key: [String]
    let groups: [SchemaGroup]

    private static let accepted =
        "{table: …, column: …}, with schema: or in: for where the table is, or a list of them"

    /// `unreferenced: [{schema: …, table: …, column: …, from: …}, {in: group, table: …, column: …}]`.
    func columns(_ fields: ConfigurationNode.Fields) throws(ConfigurationError) -> [Unreferenced] {
        guard let node = fields[Self.key] else { return [] }
        var items = [node]
        if case .list(let list) = node.content { items = list }
        var found: [Unreferenced] = []
        for item in items {
            let column = try self.column(item)
            guard !found.contains(column) else {
                throw item.error("\(column.table).\(column.column) is listed twice; accepted: each column once")
            }
            found.append(column)
        }
        guard !found.isEmpty else { throw node.error("the list is empty; accepted: \(Self.accepted)") }
        return found
    }

    private func column(_ node: ConfigurationNode) throws(ConfigurationError) -> Unreferenced {
        let fields = try node.fields(["schema", "in", "table", "column", "from"])
        let name = NameScanner.acceptedName
        var column = Unreferenced(
            table: try fields.required("table", accepted: name).parse(accepted: name, NameScanner.name),
            column: try fields.required("column", accepted: name).parse(accepted: name, NameScanner.name)
        )
        switch (fields["schema"], fields["in"]) {
        case (let schema?, nil): column.place = .schema(try schema.parse(accepted: name, NameScanner.name))
        case (nil, let group?): column.place = .group(try SchemaGroupParser.group(named: group, among: self.groups))
        case (nil, nil): break
        case (let schema?, _?): throw schema.error("it is in each schema of a group; accepted: one of in and schema")
        }
        if let from = fields["from"] { column.from = try self.columns.ownColumn(from) }
        guard column.from != nil || self.key.count == 1 else {
            throw node.error(
                "the key has \(self.key.count) columns; accepted: from: with the column that is referred to"
            )
        }
        return column
    }
}
