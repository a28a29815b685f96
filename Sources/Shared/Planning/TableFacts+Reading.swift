package import PostgresClient

extension TableFacts {
    /// Reads the facts about a target's table and the tables it joins.
    ///
    /// In one transaction with time limits: sizes are read under a lock, which somebody else may hold against it.
    ///
    /// - Throws: `PlanningError` when a table is missing; `PostgresError`.
    package static func read(_ target: Target, from connection: PostgresConnection) async throws -> TableFacts {
        let settings = TransactionSettings.readingFacts.statement()
        return try await connection.transaction(readOnly: true) { connection in
            _ = try connection.run(settings.sql, settings.parameters)
            return try self.read(target, connection)
        }
    }

    /// The schema that a target's table is in, by the search path where the target names none; nil without such a table.
    static func schema(of target: Target, _ connection: PostgresConnection) async throws -> String? {
        try await connection.query(
            "SELECT n.nspname FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE c.oid = to_regclass($1)",
            [target.tableName]
        ).rows.first?.text(0)
    }

    private static func read(_ target: Target, _ connection: isolated PostgresConnection) throws -> TableFacts {
        if let group = target.group, target.schema == nil {
            throw PlanningError("target \(target.name): it is in each schema of \(group.name), and none was named")
        }
        let relation = try self.relation(target.table, schema: target.schema, of: target, from: connection)
        let columns = try self.columns(of: relation, from: connection)
        let indexes = try self.indexes(of: relation.oid, from: connection)
        var joined: [JoinedFacts] = []
        for join in target.joins {
            let other = try self.relation(join.table, schema: relation.schema, of: target, from: connection)
            joined.append(
                JoinedFacts(
                    schema: other.schema,
                    table: join.table,
                    columns: try self.columns(of: other, from: connection),
                    indexes: try self.indexes(of: other.oid, from: connection)
                )
            )
        }
        return TableFacts(
            schema: relation.schema,
            table: target.table,
            oid: relation.oid,
            isPlainHeap: relation.isPlainHeap,
            blocks: relation.blocks,
            rows: relation.rows,
            columns: columns,
            indexes: indexes,
            references: try ReferenceFacts.read(to: relation.oid, connection),
            cascades: try self.cascades(from: relation.oid, connection),
            joined: joined,
            kept: try KeptFacts.read(target, schema: relation.schema, connection)
        )
    }

    private struct Relation {
        var oid: Int
        var schema: String
        var table: String
        var isPlainHeap: Bool
        var blocks: Int
        var rows: Double
    }

    private static func relation(
        _ table: String,
        schema: String?,
        of target: Target,
        from connection: isolated PostgresConnection
    ) throws -> Relation {
        let name = schema.map { SQLText.quoted($0, table) } ?? SQLText.quoted(table)
        // A table with children by INHERITS has their rows, too: a ctid alone does not tell them apart.
        // reltuples is -1 before the first ANALYZE; 60 rows a block is what PostgreSQL's own guess comes to for
        // rows of about 100 bytes.
        let result = try connection.run(
            """
            SELECT c.oid, n.nspname, c.relkind = 'r' AND NOT c.relhassubclass AND coalesce(a.amname = 'heap', false),
                   size.blocks,
                   CASE WHEN c.reltuples < 0 OR c.relpages = 0 THEN size.blocks * 60
                        ELSE c.reltuples / c.relpages * size.blocks END,
                   c.relkind
            FROM pg_class c
            JOIN pg_namespace n ON n.oid = c.relnamespace
            LEFT JOIN pg_am a ON a.oid = c.relam
            CROSS JOIN LATERAL (
              SELECT pg_relation_size(c.oid) / current_setting('block_size')::bigint AS blocks) size
            WHERE c.oid = to_regclass($1)
            """,
            [name]
        )
        guard let row = result.rows.first, let oid = row.int(0), let blocks = row.int(3) else {
            throw PlanningError.missingTable(target: target.name, table: name)
        }
        let kind = row[5] ?? ""
        guard ["r", "p"].contains(kind) else {
            throw PlanningError.notATable(target: target.name, table: name)
        }
        return Relation(
            oid: oid,
            schema: try row.text(1),
            table: table,
            isPlainHeap: row.bool(2) ?? false,
            blocks: blocks,
            rows: row[4].flatMap(Double.init) ?? 0
        )
    }

    /// The view of statistics is given names, since only constants reach the index below it.
    private static func columns(
        of relation: Relation,
        from connection: isolated PostgresConnection
    ) throws -> [ColumnFacts] {
        let result = try connection.run(
            """
            SELECT a.attname, format_type(a.atttypid, a.atttypmod), a.attnotnull, s.correlation, s.null_frac,
                   CASE WHEN s.n_distinct < 0 THEN -s.n_distinct * greatest(c.reltuples, 0) ELSE s.n_distinct END
            FROM pg_attribute a
            JOIN pg_class c ON c.oid = a.attrelid
            LEFT JOIN pg_stats s ON s.schemaname = $2 AND s.tablename = $3 AND s.attname = a.attname AND NOT s.inherited
            WHERE a.attrelid = $1::oid AND a.attnum > 0 AND NOT a.attisdropped
            ORDER BY a.attnum
            """,
            [String(relation.oid), relation.schema, relation.table]
        )
        return try result.rows.map { row in
            ColumnFacts(
                name: try row.text(0),
                type: try row.text(1),
                isNotNull: row.bool(2) ?? false,
                correlation: row[3].flatMap(Double.init),
                nulls: row[4].flatMap(Double.init),
                distinct: row[5].flatMap(Double.init)
            )
        }
    }

    private static func indexes(of oid: Int, from connection: isolated PostgresConnection) throws -> [IndexFacts] {
        let result = try connection.run(
            """
            SELECT c.relname, i.indisunique,
                   a.amname = 'btree' AND i.indisvalid AND i.indpred IS NULL AND i.indexprs IS NULL,
                   (SELECT string_agg(att.attname, E'\\n' ORDER BY k.position)
                    FROM unnest(i.indkey::int2[]) WITH ORDINALITY AS k(attnum, position)
                    JOIN pg_attribute att ON att.attrelid = i.indrelid AND att.attnum = k.attnum
                    WHERE k.position <= i.indnkeyatts),
                   (SELECT string_agg(att.attname, E'\\n')
                    FROM unnest(i.indkey::int2[], i.indoption::int2[]) AS k(attnum, option)
                    JOIN pg_attribute att ON att.attrelid = i.indrelid AND att.attnum = k.attnum
                    WHERE k.option & 1 = 1)
            FROM pg_index i
            JOIN pg_class c ON c.oid = i.indexrelid
            JOIN pg_am a ON a.oid = c.relam
            WHERE i.indrelid = $1::oid
            ORDER BY c.relname
            """,
            [String(oid)]
        )
        return try result.rows.map { row in
            IndexFacts(
                name: try row.text(0),
                columns: (row[3] ?? "").split(separator: "\n").map(String.init),
                descending: Set((row[4] ?? "").split(separator: "\n").map(String.init)),
                isUnique: row.bool(1) ?? false,
                isUsable: row.bool(2) ?? false
            )
        }
    }

    private static func cascades(from oid: Int, _ connection: isolated PostgresConnection) throws -> [Int] {
        let result = try connection.run(
            """
            WITH RECURSIVE child AS (
              SELECT conrelid AS oid FROM pg_constraint
              WHERE confrelid = $1::oid AND contype = 'f' AND confdeltype = 'c'
              UNION
              SELECT k.conrelid FROM child
              JOIN pg_constraint k ON k.confrelid = child.oid AND k.contype = 'f' AND k.confdeltype = 'c')
            SELECT oid FROM child WHERE oid <> $1::oid ORDER BY oid
            """,
            [String(oid)]
        )
        return result.rows.compactMap { $0.int(0) }
    }
}
