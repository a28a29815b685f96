package import PostgresClient

/// Runs of the procedure: one at a time, each write by its owner only.
extension Ledger {
    /// What came of wanting the procedure to run.
    package enum ProcedureStart: Sendable {
        /// A new one, or one whose owner had vanished; the caller owns it now.
        case owned(ProcedureRecord, isNew: Bool)
        /// Somebody else is at it.
        case alive(ProcedureRecord)
    }

    /// Time for one statement here.
    private static let patience = Duration.seconds(15)

    /// Creates a run of the procedure, or takes over an unfinished one whose owner has vanished.
    ///
    /// - `stages`: of a new one; one that is taken over keeps its own.
    /// - `owner`: the token that the caller's further writes are fenced by.
    package func startProcedure(
        _ stages: [Stage],
        selection: StageSelection,
        owner: String,
        lease: Duration,
        _ connection: PostgresConnection
    ) async throws -> ProcedureStart {
        while true {
            let created = try await self.transaction(connection) { connection in
                try self.insertProcedure(stages, selection: selection, owner: owner, lease: lease, connection)
            }
            if let id = created, let record = try await self.procedure(id, connection) {
                return .owned(record, isNew: true)
            }
            if let taken = try await self.takeOverProcedure(owner: owner, lease: lease, connection) {
                return .owned(taken.record, isNew: taken.isNew)
            }
            if let record = try await self.procedures(1, unfinished: true, connection).first { return .alive(record) }
            // It ended between two of the statements.
        }
    }

    /// Inserts a run and its stages; nil when one is not over.
    ///
    /// - `slot`: what of a schedule it is created for.
    func insertProcedure(
        _ stages: [Stage],
        selection: StageSelection,
        owner: String,
        lease: Duration,
        for slot: Slot? = nil,
        _ connection: isolated PostgresConnection
    ) throws -> String? {
        let id = RunStarter.newRunID()
        let inserted = try connection.run(
            """
            INSERT INTO \(self.table("procedure_run"))
              (id, state, owner, beat_at, lease_until, only_stages, skip_stages, announcement,
               schedule, slot)
            VALUES ($1, 'in_progress', $2, clock_timestamp(), clock_timestamp() + $3::bigint * interval '1 microsecond',
                    $4::text[], $5::text[], $6, $7, to_timestamp($8::bigint))
            ON CONFLICT DO NOTHING RETURNING id
            """,
            [
                id, owner, String(lease.wholeMicroseconds), SQLText.array(selection.only),
                SQLText.array(selection.skip), Announcer.newID(), slot?.schedule, slot.map { String($0.epochSeconds) },
            ]
        )
        guard !inserted.rows.isEmpty else { return nil }
        for (position, stage) in stages.enumerated() {
            let skipped = selection.reason(against: stage.name)
            let state: StageState = skipped != nil ? .skipped : stage.off != nil ? .off : .pending
            _ = try connection.run(
                """
                INSERT INTO \(self.table("procedure_stage")) (id, position, name, kind, subject, state, reason)
                VALUES ($1, $2::integer, $3, $4, $5, $6, $7)
                """,
                [
                    id, String(position), stage.name, stage.work.kind.rawValue, stage.work.subject, state.rawValue,
                    skipped ?? stage.off,
                ]
            )
        }
        return id
    }

    /// Inserts a run that nobody owns yet; nil when one is not over.
    func insertProcedure(
        _ stages: [Stage],
        for slot: Slot,
        _ connection: isolated PostgresConnection
    ) throws -> String? {
        try self.insertProcedure(
            stages,
            selection: StageSelection(),
            owner: "",
            lease: .zero,
            for: slot,
            connection
        )
    }

    /// The run that is not over; nil when there is none.
    func unfinishedProcedure(_ connection: isolated PostgresConnection) throws -> String? {
        try connection.run("SELECT id FROM \(self.table("procedure_run")) WHERE finished_at IS NULL").rows.first?
            .text(0)
    }

    /// Takes over the unfinished run whose owner has given no sign of life for its lease, or that has had none yet; nil when there
    /// is none.
    ///
    /// - Returns: it, with for how long it had been left, and whether it has had no owner.
    package func takeOverProcedure(
        owner: String,
        lease: Duration,
        _ connection: PostgresConnection
    ) async throws -> (record: ProcedureRecord, isNew: Bool)? {
        let taken = try await connection.query(
            """
            UPDATE \(self.table("procedure_run")) AS p
            SET owner = $1, beat_at = clock_timestamp(), taken_over = p.taken_over + (p.owner <> '')::integer,
                lease_until = clock_timestamp() + $2::bigint * interval '1 microsecond'
            FROM (SELECT id, lease_until, owner FROM \(self.table("procedure_run"))
                  WHERE finished_at IS NULL AND lease_until < clock_timestamp() FOR UPDATE) AS lapsed
            WHERE p.id = lapsed.id
            RETURNING p.id, extract(epoch FROM clock_timestamp() - lapsed.lease_until)::bigint, lapsed.owner = ''
            """,
            [owner, String(lease.wholeMicroseconds)],
            deadline: Self.patience
        )
        guard let row = taken.rows.first else { return nil }
        guard var record = try await self.procedure(try row.text(0), connection) else { return nil }
        record.lapsedSeconds = row.int(1) ?? 0
        return (record, row.bool(2) == true)
    }

    /// Keeps a run; false when somebody else owns it now, or it is over.
    package func beatProcedure(
        _ id: String,
        owner: String,
        lease: Duration,
        _ connection: PostgresConnection
    ) async throws -> Bool {
        try await self.update(
            id,
            owner,
            "beat_at = clock_timestamp(), lease_until = clock_timestamp() + $3::bigint * interval '1 microsecond'",
            [String(lease.wholeMicroseconds)],
            connection
        )
    }

    /// Lets anybody take over at once what this owner has.
    package func leaveProcedures(of owner: String, _ connection: PostgresConnection) async throws {
        _ = try await connection.query(
            """
            UPDATE \(self.table("procedure_run")) SET lease_until = clock_timestamp()
            WHERE owner = $1 AND finished_at IS NULL
            """,
            [owner],
            deadline: Self.patience
        )
    }

    /// Ends a run; stages that were not over are skipped, one at work has failed.
    ///
    /// - `error`: why it failed; nil when all went well.
    /// - Returns: false when somebody else owns it now, or it is over.
    package func finishProcedure(
        _ id: String,
        owner: String,
        error: String?,
        _ connection: PostgresConnection
    ) async throws -> Bool {
        try await self.transaction(connection) { connection in
            let ended = try connection.run(
                """
                UPDATE \(self.table("procedure_run"))
                SET finished_at = clock_timestamp(), state = $3, error = $4, lease_until = clock_timestamp()
                WHERE id = $1 AND owner = $2 AND finished_at IS NULL
                """,
                [
                    id, owner, (error == nil ? ProcedureState.finished : .failed).rawValue, error,
                ]
            )
            guard ended.affectedRows > 0 else { return false }
            _ = try connection.run(
                """
                UPDATE \(self.table("procedure_stage"))
                SET finished_at = CASE state WHEN 'running' THEN clock_timestamp() END,
                    state = CASE state WHEN 'running' THEN 'failed' ELSE 'skipped' END, reason = $2
                WHERE id = $1 AND state IN ('pending', 'running')
                """,
                [id, error]
            )
            return true
        }
    }

    /// A stage begins; one that was begun by an owner who vanished keeps its moment.
    ///
    /// - Throws: `LeaseLost`.
    package func beginStage(
        _ stage: StageRecord,
        of id: String,
        owner: String,
        _ connection: PostgresConnection
    ) async throws {
        try await self.update(
            stage,
            of: id,
            owner: owner,
            """
            state = 'running', started_at = coalesce(started_at, clock_timestamp()),
            started_xid = coalesce(started_xid, pg_snapshot_xmax(pg_current_snapshot())::text::bigint)
            """,
            [],
            connection
        )
    }

    /// How a stage ended.
    package struct StageEnd: Sendable, Equatable {
        package var state: StageState
        package var reason: String?
        package var rows: Int
        package var detail: JSONValue?

        package init(_ state: StageState, reason: String? = nil, rows: Int = 0, detail: JSONValue? = nil) {
            self.state = state
            self.reason = reason
            self.rows = rows
            self.detail = detail
        }
    }

    /// A stage is over.
    ///
    /// - Throws: `LeaseLost`.
    package func endStage(
        _ stage: StageRecord,
        of id: String,
        owner: String,
        _ end: StageEnd,
        _ connection: PostgresConnection
    ) async throws {
        try await self.update(
            stage,
            of: id,
            owner: owner,
            """
            state = $4, reason = $5, rows = $6::bigint, detail = $7::jsonb, finished_at = clock_timestamp()
            """,
            [end.state.rawValue, end.reason, String(end.rows), end.detail?.text()],
            connection
        )
    }

    private func update(
        _ stage: StageRecord,
        of id: String,
        owner: String,
        _ changes: String,
        _ values: [String?],
        _ connection: PostgresConnection
    ) async throws {
        // The lock keeps the owner from being replaced before this is written.
        let result = try await connection.query(
            """
            WITH owned AS (SELECT id FROM \(self.table("procedure_run"))
                           WHERE id = $1 AND owner = $2 AND finished_at IS NULL FOR UPDATE)
            UPDATE \(self.table("procedure_stage")) AS s SET \(changes)
            FROM owned WHERE s.id = owned.id AND s.position = $3::integer
            """,
            [id, owner, String(stage.position)] + values,
            deadline: Self.patience
        )
        guard result.affectedRows > 0 else { throw LeaseLost() }
    }

    private func update(
        _ id: String,
        _ owner: String,
        _ changes: String,
        _ values: [String?],
        _ connection: PostgresConnection
    ) async throws -> Bool {
        try await connection.query(
            """
            UPDATE \(self.table("procedure_run")) SET \(changes)
            WHERE id = $1 AND owner = $2 AND finished_at IS NULL
            """,
            [id, owner] + values,
            deadline: Self.patience
        ).affectedRows > 0
    }

    // MARK: Reading

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

    /// How long ago a stage began, by the database's clock; nil when it has not.
    package func age(
        of stage: StageRecord,
        of id: String,
        _ connection: PostgresConnection
    ) async throws -> Duration? {
        try await connection.query(
            """
            SELECT (extract(epoch FROM clock_timestamp() - started_at) * 1000000)::bigint
            FROM \(self.table("procedure_stage")) WHERE id = $1 AND position = $2::integer
            """,
            [id, String(stage.position)],
            deadline: Self.patience
        ).rows.first?.int(0).map { .microseconds($0) }
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

    /// The tables that the stages of a procedure have deleted rows from so far: those of their runs, and what foreign keys of these
    /// have deleted or changed.
    package func touchedTables(of id: String, _ connection: PostgresConnection) async throws -> [TouchedTable] {
        try await connection.query(
            """
            WITH RECURSIVE own AS (
              SELECT c.oid AS relid, min(s.started_xid) AS xid
              FROM \(self.table("procedure_stage")) AS s JOIN \(self.table("run")) AS r ON \(Self.belongs)
              JOIN pg_namespace AS n ON n.nspname = r.schema_name
              JOIN pg_class AS c ON c.relnamespace = n.oid AND c.relname = r.table_name
              WHERE s.id = $1 AND r.rows > 0 GROUP BY c.oid
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
            WHERE c.relkind = 'r' GROUP BY 1, 2 ORDER BY 1, 2
            """,
            [id],
            deadline: Self.patience
        ).rows.map { row in
            TouchedTable(schema: try row.text(0), table: try row.text(1), xid: row.int(2) ?? 0)
        }
    }

    /// Removes runs of the procedure that ended longer ago than the retention.
    package func pruneProcedures(retention: Duration, _ connection: PostgresConnection) async throws {
        _ = try await connection.query(
            """
            DELETE FROM \(self.table("procedure_run"))
            WHERE finished_at < now() - $1::bigint * interval '1 microsecond'
            """,
            [String(retention.wholeMicroseconds)],
            deadline: Self.patience
        )
    }
}
