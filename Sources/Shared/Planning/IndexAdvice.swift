/// How to create an index that is missing, without locking anybody out.
enum IndexAdvice {
    /// - `schema`, `table`, `columns`: not quoted.
    /// - `isPartitioned`: then no statement alone does it, since PostgreSQL builds an index concurrently only in partitions.
    static func create(_ schema: String, _ table: String, _ columns: [String], isPartitioned: Bool) -> String {
        let (name, list) = (SQLText.quoted(schema, table), columns.map { SQLText.quoted($0) }.joined(separator: ", "))
        guard isPartitioned else { return "CREATE INDEX CONCURRENTLY ON \(name) (\(list));" }
        // As PostgreSQL would call it; names end after 63 bytes.
        let index = String((table.prefix(24) + "_" + columns.joined(separator: "_").prefix(24)) + "_idx")
        return "CREATE INDEX \(SQLText.quoted(index)) ON ONLY \(name) (\(list)); and then, for each PARTITION of it, "
            + "CREATE INDEX CONCURRENTLY PARTITION_idx ON PARTITION (\(list)); "
            + "ALTER INDEX \(SQLText.quoted(schema, index)) ATTACH PARTITION PARTITION_idx;"
    }
}
