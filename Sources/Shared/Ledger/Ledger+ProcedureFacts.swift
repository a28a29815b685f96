package import PostgresClient

/// What is known of runs of the procedure: how they stand, and what their stages have done.
extension Ledger {
    /// Time for one statement here.
    private static let patience = Duration.seconds(15)

    /// A run of the procedure with its stages; nil when there is none of that id.
    package func procedure(_ id: String, _ connection: PostgresConnection) async throws -> ProcedureRecord? {
        let row = try await connection.query(
            "SELECT \(ProcedureRecord.columns) FROM \(self.table("procedure_run")) WHERE id = $1",
            [id],
            deadline: Self.patience
        ).rows.first
        guard let row else { return nil }
        return try await self.withStages(try ProcedureRecord(row), connection)
    }

    /// The newest runs of the procedure, newest first; none of a ledger that is not there yet, or is an older Ebb's.
    package func procedures(
        _ count: Int,
        unfinished: Bool = false,
        _ connection: PostgresConnection
    ) async throws -> [ProcedureRecord] {
        let isThere = try await connection.query(
            "SELECT to_regclass($1) IS NOT NULL",
            [self.table("procedure_run")],
            deadline: Self.patience
        )
        guard isThere.rows.first?.bool(0) == true else { return [] }
        let rows = try await connection.query(
            """
            SELECT \(ProcedureRecord.columns) FROM \(self.table("procedure_run"))
            \(unfinished ? "WHERE finished_at IS NULL" : "") ORDER BY created_at DESC LIMIT $1::integer
            """,
            [String(count)],
            deadline: Self.patience
        ).rows
        var records: [ProcedureRecord] = []
        for row in rows { records.append(try await self.withStages(try ProcedureRecord(row), connection)) }
        return records
    }

    private func withStages(
        _ record: ProcedureRecord,
        _ connection: PostgresConnection
    ) async throws -> ProcedureRecord {
        var record = record
        record.stages = try await connection.query(
            "SELECT \(StageRecord.columns) FROM \(self.table("procedure_stage")) WHERE id = $1 ORDER BY position",
            [record.id],
            deadline: Self.patience
        ).rows.map { try StageRecord($0) }
        return record
    }

    /// In SQL, whether the run `r` belongs to the stage `s`: a run of its target, or one that drains children for it, that was
    /// under way or was created while the stage was at work.
    ///
    /// So nothing has to be written down, and a run that an owner started and did not live to note is counted.
    private static let belongs = """
        s.kind = 'target' AND split_part(r.target, '.', 1) = s.subject AND s.started_at IS NOT NULL
        AND (r.finished_at IS NULL OR r.finished_at >= s.started_at)
        AND (s.finished_at IS NULL OR r.created_at <= s.finished_at)
        """

    /// A run of a stage.
    package struct StageRun: Sendable, Equatable {
        package var run: String
        package var target: String
        package var schema: String
        package var state: RunState?
        package var error: String?
        package var rows: Int
        package var cascaded: Int
    }

    /// The runs of a stage of a target, those of an earlier owner included.
    package func runs(
        of stage: StageRecord,
        of id: String,
        _ connection: PostgresConnection
    ) async throws -> [StageRun] {
        try await connection.query(
            """
            SELECT r.run, r.target, r.schema_name, r.state, r.error, coalesce(r.rows, 0), coalesce(r.cascaded, 0)
            FROM \(self.table("procedure_stage")) AS s JOIN \(self.table("run")) AS r ON \(Self.belongs)
            WHERE s.id = $1 AND s.position = $2::integer ORDER BY r.created_at, r.run
            """,
            [id, String(stage.position)],
            deadline: Self.patience
        ).rows.map { row in
            StageRun(
                run: try row.text(0),
                target: try row.text(1),
                schema: try row.text(2),
                state: row[3].flatMap(RunState.init(rawValue:)),
                error: row[4],
                rows: row.int(5) ?? 0,
                cascaded: row.int(6) ?? 0
            )
        }
    }

    /// Whether a run was created before a stage began, and so for somebody else; true also of one that is not in the ledger.
    package func isOlder(
        _ run: String,
        than stage: StageRecord,
        of id: String,
        _ connection: PostgresConnection
    ) async throws -> Bool {
        try await connection.query(
            """
            SELECT FROM \(self.table("procedure_stage")) AS s JOIN \(self.table("run")) AS r ON r.created_at >= s.started_at
            WHERE s.id = $1 AND s.position = $2::integer AND r.run = $3
            """,
            [id, String(stage.position), run],
            deadline: Self.patience
        ).rows.isEmpty
    }

    /// Whether a run is part of a procedure that will vacuum what it touches.
    func isVacuumedLater(_ run: String, _ connection: PostgresConnection) async throws -> Bool {
        try await connection.query(
            """
            SELECT EXISTS (
              SELECT FROM \(self.table("procedure_run")) AS p
              JOIN \(self.table("procedure_stage")) AS s ON s.id = p.id AND s.state = 'running'
              JOIN \(self.table("procedure_stage")) AS v ON v.id = p.id AND v.state = 'pending' AND v.kind = 'vacuum'
                AND v.subject = '\(VacuumScope.touched)'
              JOIN \(self.table("run")) AS r ON \(Self.belongs)
              WHERE p.finished_at IS NULL AND r.run = $1)
            """,
            [run],
            deadline: Self.patience
        ).rows.first?.bool(0) == true
    }

    /// A table that a procedure has deleted rows from, itself or by cascade.
    package struct TouchedTable: Sendable, Hashable {
        package var schema: String
        package var table: String
        /// No row of it that the procedure has deleted was deleted by an older transaction.
        package var xid: Int
    }

    /// The tables that the stages of a procedure have deleted rows from so far.
    ///
    /// Those of their runs, and what foreign keys of these have deleted or changed; a partition is not named beside its table. Runs
    /// have left their tables to the vacuum at the end. If that did not come to its own end, because of its window, say, or
    /// a process that was told to stop, all of them are the next procedure's: vacuuming one twice does no harm. A vacuum
    /// that has seen all tables has a detail, whatever became of single ones; one that was cut off has none.
    package func touchedTables(of id: String, _ connection: PostgresConnection) async throws -> [TouchedTable] {
        try await connection.query(
            """
            WITH RECURSIVE since AS (
              SELECT max(p.created_at) AS moment
              FROM \(self.table("procedure_run")) AS p JOIN \(self.table("procedure_stage")) AS v ON v.id = p.id
              WHERE p.id <> $1 AND v.kind = 'vacuum' AND v.subject = '\(VacuumScope.touched)' AND v.detail IS NOT NULL
                AND NOT EXISTS (
                  SELECT FROM \(self.table("procedure_stage")) AS w
                  WHERE w.id = v.id AND w.kind = v.kind AND w.subject = v.subject AND w.position > v.position
                    AND w.state <> 'off')
            ), own AS (
              SELECT c.oid AS relid, min(s.started_xid) AS xid
              FROM \(self.table("procedure_run")) AS p CROSS JOIN since
              JOIN \(self.table("procedure_stage")) AS s ON s.id = p.id
              JOIN \(self.table("run")) AS r ON \(Self.belongs)
              JOIN pg_namespace AS n ON n.nspname = r.schema_name
              JOIN pg_class AS c ON c.relnamespace = n.oid AND c.relname = r.table_name
              WHERE (p.id = $1 OR since.moment IS NULL OR p.created_at > since.moment)
                AND coalesce(r.rows, (SELECT sum(b.rows) FROM \(self.table("batch")) AS b WHERE b.run = r.run)) > 0
              GROUP BY c.oid
            ), reached (relid, xid, deletes) AS (
              SELECT relid, xid, true FROM own
              UNION
              SELECT k.conrelid, t.xid, k.confdeltype = 'c'
              FROM reached AS t JOIN pg_constraint AS k ON k.confrelid = t.relid AND k.contype = 'f'
                AND k.confdeltype IN ('c', 'n', 'd')
              WHERE t.deletes
            )
            SELECT n.nspname, c.relname, min(t.xid)
            FROM reached AS t JOIN pg_class AS c ON c.oid = t.relid JOIN pg_namespace AS n ON n.oid = c.relnamespace
            WHERE c.relkind IN ('r', 'p') AND NOT EXISTS (
              SELECT FROM pg_partition_ancestors(c.oid) AS a JOIN reached AS o ON o.relid = a.relid AND a.relid <> c.oid)
            GROUP BY 1, 2 ORDER BY 1, 2
            """,
            [id],
            deadline: Self.patience
        ).rows.map { row in
            TouchedTable(schema: try row.text(0), table: try row.text(1), xid: row.int(2) ?? 0)
        }
    }
}
