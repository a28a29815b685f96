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

    /// Creates a run of the procedure, or takes over one that was left; see ``takeOverProcedure(_:owner:lease:_:)``.
    ///
    /// An unfinished one is taken over only if all that it still has to do was asked for.
    ///
    /// - `stages`: of a new one; one that is taken over keeps its own.
    /// - `owner`: the token that the caller's further writes are fenced by.
    /// - Returns: `alive` also for one that was left and has to do what was not asked for.
    package func startProcedure(
        _ stages: [Stage],
        selection: StageSelection,
        owner: String,
        lease: Duration,
        _ connection: PostgresConnection
    ) async throws -> ProcedureStart {
        while true {
            let unfinished = try await self.procedures(1, unfinished: true, connection).first
            if let unfinished, !unfinished.isLapsed || !selection.covers(unfinished) { return .alive(unfinished) }
            let taken = try await self.takeOverProcedure(
                unfinished.map { .this($0.id) } ?? .ended,
                owner: owner,
                lease: lease,
                connection
            )
            if let taken { return .owned(taken.record, isNew: taken.isNew) }
            let created = try await self.transaction(connection) { connection in
                try self.insertProcedure(stages, selection: selection, owner: owner, lease: lease, connection)
            }
            if let id = created, let record = try await self.procedure(id, connection) {
                return .owned(record, isNew: true)
            }
            // One began or ended between two of the statements.
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

    /// The run that is not over, without its stages; nil when there is none.
    func unfinishedProcedure(_ connection: isolated PostgresConnection) throws -> ProcedureRecord? {
        try connection.run(
            "SELECT \(ProcedureRecord.columns) FROM \(self.table("procedure_run")) WHERE finished_at IS NULL"
        ).rows.first.map { try ProcedureRecord($0) }
    }

    /// Ends a run; stages that were not over are skipped, one at work has failed.
    ///
    /// It keeps its lease, during which its owner is to tell of its end.
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
                SET finished_at = clock_timestamp(), state = $3, error = $4
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
            [end.state.rawValue, end.reason?.storable, String(end.rows), end.detail?.text()],
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
