import PostgresClient

/// What the database knows of one column of `unreferenced`, in all the schemas where it is looked for.
package struct KeptFacts: Sendable, Equatable {
    /// The target's own column.
    package var own: String
    /// Where values are that keep rows; none for a group that has no schema.
    package var places: [Place]

    /// The column in one table.
    package struct Place: Sendable, Equatable {
        package var schema: String
        package var table: String
        package var column: String
        /// Live rows, by statistics.
        package var rows: Double
        package var blocks: Double
        /// Whether an index begins with the column.
        package var isIndexed: Bool

        /// The table, quoted.
        package var name: String { SQLText.quoted(self.schema, self.table) }
    }

    package var isIndexed: Bool { self.places.allSatisfy(\.isIndexed) }

    /// Live rows of all tables.
    var rows: Double { self.places.reduce(0) { $0 + $1.rows } }

    /// Microseconds of reading those tables as a whole that have no index, as every batch has to.
    var search: Double {
        self.places.filter { !$0.isIndexed }.reduce(0) {
            $0 + $1.rows * CostModel.searchedRow + $1.blocks * CostModel.searchedBlock
        }
    }

    /// Where an index would save the most; nil when all have one.
    var worst: Place? { self.places.filter { !$0.isIndexed }.max { $0.rows < $1.rows } }
}

extension KeptFacts {
    /// Finds the tables of a target's `unreferenced`, in the transaction that reads its other facts.
    ///
    /// - `schema`: the target's own.
    /// - Throws: `PlanningError` for a table or column that is not there, or that hides rows; `PostgresError`.
    static func read(
        _ target: Target,
        schema: String,
        _ connection: isolated PostgresConnection
    ) throws -> [KeptFacts] {
        try target.unreferenced.map { column in
            let schemas =
                switch column.place {
                case .schema(let name): [name ?? schema]
                case .group(let group): try SchemaLookup.all(of: group, connection)
                }
            let rows = try connection.run(Self.query, [SQLText.array(schemas), column.table, column.column]).rows
            return KeptFacts(
                own: column.from ?? target.key[0],
                places: try rows.map { try Self.place($0, column, target) }
            )
        }
    }

    private static func place(_ row: PostgresRow, _ column: Unreferenced, _ target: Target) throws -> Place {
        let place = Place(
            schema: try row.text(0),
            table: column.table,
            column: column.column,
            rows: row[3].flatMap(Double.init) ?? 0,
            blocks: row[4].flatMap(Double.init) ?? 0,
            isIndexed: row.bool(5) ?? false
        )
        guard row.bool(1) == true else { throw PlanningError.missingTable(target: target.name, table: place.name) }
        guard row.bool(2) == true else {
            throw PlanningError.missingColumn(
                target: target.name,
                table: place.name,
                column: column.column,
                known: []
            )
        }
        guard row.bool(6) != true else {
            throw PlanningError(
                "target \(target.name): row security hides rows of \(place.name) from this role, so that unreferenced cannot "
                    + "see what they refer to; give the role BYPASSRLS, or a policy that shows it every row"
            )
        }
        return place
    }

    private static let query = """
        SELECT s.name, c.oid IS NOT NULL, a.attnum IS NOT NULL, size.rows, size.blocks,
               EXISTS (
                 SELECT FROM pg_index i JOIN pg_class x ON x.oid = i.indexrelid JOIN pg_am m ON m.oid = x.relam
                 WHERE i.indrelid = c.oid AND i.indisvalid AND m.amname IN ('btree', 'hash') AND i.indkey[0] = a.attnum
                   AND (i.indpred IS NULL
                        OR pg_get_expr(i.indpred, i.indrelid) = format('(%I IS NOT NULL)', a.attname))),
               row_security_active(c.oid)
        FROM unnest($1::text[]) WITH ORDINALITY AS s (name, position)
        LEFT JOIN pg_class c ON c.oid = to_regclass(format('%I.%I', s.name, $2::text))
        LEFT JOIN pg_attribute a ON a.attrelid = c.oid AND a.attname = $3 AND a.attnum > 0 AND NOT a.attisdropped
        CROSS JOIN LATERAL (
          SELECT coalesce(sum(leaf.blocks), 0) AS blocks,
                 coalesce(sum(CASE WHEN leaf.reltuples < 0 OR leaf.relpages = 0 THEN leaf.blocks * 60
                                   ELSE leaf.reltuples / leaf.relpages * leaf.blocks END), 0) AS rows
          FROM (SELECT l.reltuples, l.relpages,
                       pg_relation_size(l.oid) / current_setting('block_size')::bigint AS blocks
                FROM pg_class l
                WHERE l.relkind = 'r'
                  AND (l.oid = c.oid OR l.oid IN (SELECT relid FROM pg_partition_tree(c.oid)))) AS leaf) AS size
        ORDER BY s.position
        """
}
