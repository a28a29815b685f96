/// Reads columns and says whose they are.
struct ColumnParser {
    /// The target's own table.
    let table: String
    let joins: [Join]

    /// A column of the target's own table or of a joined one.
    func column(_ node: ConfigurationNode) throws(ConfigurationError) -> Column {
        try self.resolve(node.parse(accepted: NameScanner.acceptedColumn, NameScanner.column), node)
    }

    /// A column as written, with its table left out when that is the target's own.
    func resolve(_ column: Column, _ node: ConfigurationNode) throws(ConfigurationError) -> Column {
        guard let table = column.table, table != self.table else { return Column(name: column.name) }
        guard self.joins.contains(where: { $0.table == table }) else {
            let tables = ([self.table] + self.joins.map(\.table)).joined(separator: ", ")
            throw node.error("\"\(column)\" is a column of a table that is not joined; accepted: a column of \(tables)")
        }
        return column
    }

    /// A column of the target's own table, by its bare name.
    func ownColumn(_ node: ConfigurationNode) throws(ConfigurationError) -> String {
        let column = try self.column(node)
        guard column.table == nil else {
            throw node.error(
                "\"\(column)\" is a column of a joined table; accepted: a column of \(self.table), the target's own"
            )
        }
        return column.name
    }

    /// One or more columns of the target's own table.
    func ownColumns(_ node: ConfigurationNode, accepted: String) throws(ConfigurationError) -> [String] {
        try self.list(node, accepted: accepted) { (item) throws(ConfigurationError) in try self.ownColumn(item) }
    }

    /// One or more columns.
    func columns(_ node: ConfigurationNode, accepted: String) throws(ConfigurationError) -> [Column] {
        try self.list(node, accepted: accepted) { (item) throws(ConfigurationError) in try self.column(item) }
    }

    private func list<Item: Equatable>(
        _ node: ConfigurationNode,
        accepted: String,
        _ read: (ConfigurationNode) throws(ConfigurationError) -> Item
    ) throws(ConfigurationError) -> [Item] {
        var list: [Item] = []
        for (text, item) in try node.texts(accepted: accepted) {
            let column = try read(item)
            guard !list.contains(column) else {
                throw item.error("\"\(text)\" is listed twice; accepted: each column once")
            }
            list.append(column)
        }
        guard !list.isEmpty else { throw node.error("the list is empty; accepted: \(accepted)") }
        return list
    }
}
