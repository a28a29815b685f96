import PostgresClient

/// A column that refers to objects, and how a key is looked up in it.
package struct ReferenceColumn: Sendable {
    /// Not quoted.
    let schema: String
    let table: String
    let column: String
    let isPartitioned: Bool
    package let isIndexed: Bool
    /// Of the table, by statistics scaled to today's size.
    let rows: Double
    let blocks: Double

    var tableName: String { SQLText.quoted(self.schema, self.table) }
    var name: String { SQLText.quoted(self.column) }

    /// - `row`: of ``query``.
    init(_ row: PostgresRow, schema: String, table: String, column: String) {
        self.schema = schema
        self.table = table
        self.column = column
        self.isPartitioned = row.bool(2) ?? false
        self.isIndexed = row.bool(3) ?? false
        self.rows = row[4].flatMap(Double.init) ?? 0
        self.blocks = row[5].flatMap(Double.init) ?? 0
    }

    /// What looking up some keys at once takes longer than it has to: without an index, all of the table is read, once.
    package var avoidable: Duration {
        guard !self.isIndexed else { return .zero }
        return .microseconds(Int64(self.rows * CostModel.searchedRow + self.blocks * CostModel.searchedBlock))
    }

    /// What is slow about it, in words; for one without an index.
    package var slowness: String {
        "column \(self.name) of \(self.tableName) has no index, so that all of the table, about \(Int(self.rows)) rows, is read "
            + "for each \(ObjectStore.most) keys"
    }

    /// What creates the missing index; nil when there is one.
    package var createIndex: String? {
        self.isIndexed
            ? nil : IndexAdvice.create(self.schema, self.table, [self.column], isPartitioned: self.isPartitioned)
    }

    /// Schema and type, and what the rest of ``init(_:schema:table:column:)`` needs, of the table $1 and its column $2.
    ///
    /// An index serves when the column is its first, and when it has no predicate or only that the column is not NULL.
    static let query = """
        SELECT n.nspname, format_type(a.atttypid, NULL), c.relkind = 'p',
               EXISTS (
                 SELECT FROM pg_index AS i JOIN pg_class AS x ON x.oid = i.indexrelid JOIN pg_am AS m ON m.oid = x.relam
                 WHERE i.indrelid = c.oid AND i.indisvalid AND i.indkey[0] = a.attnum AND m.amname IN ('btree', 'hash')
                   AND (i.indpred IS NULL
                        OR pg_get_expr(i.indpred, i.indrelid) = format('(%I IS NOT NULL)', a.attname))),
               size.rows, size.blocks
        FROM pg_class AS c JOIN pg_namespace AS n ON n.oid = c.relnamespace
        LEFT JOIN pg_attribute AS a ON a.attrelid = c.oid AND a.attname = $2 AND a.attnum > 0 AND NOT a.attisdropped
        CROSS JOIN LATERAL (
          SELECT coalesce(sum(leaf.blocks), 0) AS blocks,
                 coalesce(sum(CASE WHEN leaf.reltuples < 0 OR leaf.relpages = 0 THEN leaf.blocks * 60
                                   ELSE leaf.reltuples / leaf.relpages * leaf.blocks END), 0) AS rows
          FROM (SELECT l.reltuples, l.relpages,
                       pg_relation_size(l.oid) / current_setting('block_size')::bigint AS blocks
                FROM pg_class AS l
                WHERE l.relkind IN ('r', 'm')
                  AND (l.oid = c.oid OR l.oid IN (SELECT relid FROM pg_partition_tree(c.oid)))) AS leaf) AS size
        WHERE c.oid = to_regclass($1)
        """
}
