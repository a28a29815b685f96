package import FoundationEssentials
package import PostgresClient

extension Ledger {
    /// What a new run fixes; the rest comes from the database's clock.
    package struct NewRun: Sendable {
        package var run: String
        package var target: String
        package var schema: String
        package var table: String
        package var definitionHash: String
        package var priority: Priority
        package var knobs: KnobValues
        package var batchRows: Int?
        package var strategy: Strategy
        package var estimated: Int
        /// After which the run ends, failed; nil for no limit.
        package var timeout: Duration?
        /// Runs that have to be over before this one is planned.
        package var after: [String]
        /// By another clock than the database's; nil lets the database reckon it.
        package var cutoff: Date?
        /// See `RunRecord.prefixDigits`.
        package var prefixDigits: Int?

        package init(
            run: String,
            target: String,
            schema: String,
            table: String,
            definitionHash: String,
            priority: Priority,
            knobs: KnobValues,
            batchRows: Int?,
            strategy: Strategy,
            estimated: Int,
            timeout: Duration? = nil,
            after: [String] = [],
            cutoff: Date? = nil,
            prefixDigits: Int? = nil
        ) {
            self.run = run
            self.target = target
            self.schema = schema
            self.table = table
            self.definitionHash = definitionHash
            self.priority = priority
            self.knobs = knobs
            self.batchRows = batchRows
            self.strategy = strategy
            self.estimated = estimated
            self.timeout = timeout
            self.after = after
            self.cutoff = cutoff
            self.prefixDigits = prefixDigits
        }
    }

    /// Creates a run with its cutoff, or returns the unfinished run that the target already has in this schema.
    package func create(_ new: NewRun, _ connection: PostgresConnection) async throws -> (run: RunRecord, isNew: Bool) {
        // The age is subtracted as an interval of microseconds only, and the transaction runs in UTC, so that a day is
        // 24 hours whatever the server's time zone does.
        let results = try await connection.pipeline([
            PostgresStatement("BEGIN ISOLATION LEVEL READ COMMITTED"),
            PostgresStatement("SET LOCAL TimeZone TO 'UTC'"),
            self.insertion(of: new),
            PostgresStatement("COMMIT"),
        ])
        if let row = results[2].rows.first { return (try RunRecord(row), true) }
        if let existing = try await self.unfinished(target: new.target, schema: new.schema, connection) {
            return (existing, false)
        }
        // It ended between the two statements.
        return try await self.create(new, connection)
    }

    /// Inserts a run, in a transaction in UTC; returns no row when the target has an unfinished one.
    ///
    /// - `slot`: what of a schedule it is created for.
    func insertion(of new: NewRun, for slot: Slot? = nil) -> PostgresStatement {
        PostgresStatement(
            """
            INSERT INTO \(self.table("run"))
              (run, target, schema_name, table_name, definition_hash, priority, max_age, keep, batch_rows, strategy,
               estimated, created_at, cutoff, deadline, after_runs, server, schedule, slot,
               prefix_digits)
            VALUES ($1, $2, $3, $4, $5, $6, $7::bigint, $8::integer, $9::integer, $10, $11::bigint, now(),
                    coalesce(timestamptz 'epoch' + $16::bigint * interval '1 microsecond',
                             now() - $7::bigint * interval '1 microsecond'),
                    now() + $12::bigint * interval '1 microsecond',
                    string_to_array($13, ' '), \(Self.serverIdentity), $14, to_timestamp($15::bigint), $17::integer)
            ON CONFLICT (target, schema_name) WHERE finished_at IS NULL DO NOTHING
            RETURNING \(RunRecord.columns)
            """,
            [
                new.run, new.target, new.schema, new.table, new.definitionHash, new.priority.rawValue,
                new.knobs.maxAge.map { String($0.wholeMicroseconds) }, new.knobs.keep.map { String($0) },
                new.batchRows.map { String($0) }, new.strategy.rawValue, String(new.estimated),
                new.timeout.map { String($0.wholeMicroseconds) },
                new.after.isEmpty ? nil : new.after.joined(separator: " "),
                slot?.schedule, slot.map { String($0.epochSeconds) },
                new.cutoff.map { String(Int(($0.timeIntervalSince1970 * 1_000_000).rounded())) },
                new.prefixDigits.map { String($0) },
            ]
        )
    }

    /// The unfinished run of a target in a schema.
    package func unfinished(
        target: String,
        schema: String,
        _ connection: PostgresConnection
    ) async throws -> RunRecord? {
        try await connection.query(
            """
            SELECT \(RunRecord.columns) FROM \(self.table("run"))
            WHERE target = $1 AND schema_name = $2 AND finished_at IS NULL
            """,
            [target, schema]
        ).rows.first.map { try RunRecord($0) }
    }

    /// Whether a target has an unfinished run in a schema; asks a ledger of any version, or none, and writes nothing.
    func hasUnfinished(target: String, schema: String, _ connection: PostgresConnection) async throws -> Bool {
        guard try await self.version(connection) > 0 else { return false }
        let result = try await connection.query(
            """
            SELECT EXISTS (SELECT FROM \(self.table("run"))
                           WHERE target = $1 AND schema_name = $2 AND finished_at IS NULL)
            """,
            [target, schema]
        )
        return result.rows.first?.bool(0) == true
    }

    /// A run by its id; nil when this database has no such run.
    package func run(_ run: String, _ connection: PostgresConnection) async throws -> RunRecord? {
        try await connection.query("SELECT \(RunRecord.columns) FROM \(self.table("run")) WHERE run = $1", [run])
            .rows.first.map { try RunRecord($0) }
    }

    /// The highest plan generation that a run has left traces of; 0 for none.
    package func generation(of run: String, _ connection: PostgresConnection) async throws -> Int {
        try await connection.query(
            """
            SELECT greatest(
              (SELECT max(split_part(batch, '.', 1)::integer) FROM \(self.table("batch")) WHERE run = $1),
              (SELECT max(generation) FROM \(self.table("pivot_set")) WHERE run = $1), 0)
            """,
            [run]
        ).rows.first?.int(0) ?? 0
    }

    /// What a run has removed by the ledger, which is exact.
    package struct Sum: Sendable, Equatable {
        package var rows: Int
        package var cascaded: Int
        /// Of objects.
        package var bytes = 0
        /// Batches done.
        package var batches: Int
        /// `2026-11-21 00:00:00.123456`, UTC.
        package var finishedAt: String
    }

    /// Ends a run in the ledger: sums up its batches, and drops its pivots unless dead letters may need them again.
    ///
    /// From then on none of its batches can take effect: each locks the run's row and looks whether it is over. Repeating
    /// it returns the same.
    package func finish(
        _ run: String,
        state: RunState,
        error: String?,
        _ connection: PostgresConnection
    ) async throws -> Sum? {
        try await self.transaction(connection) { connection in
            // First, in a statement of its own: whoever is in the middle of a batch has to commit before the sum is taken.
            _ = try connection.run("SELECT 1 FROM \(self.table("run")) WHERE run = $1 FOR UPDATE", [run])
            let result = try connection.run(
                """
                UPDATE \(self.table("run")) AS r
                SET finished_at = coalesce(r.finished_at, clock_timestamp()), state = coalesce(r.state, $2),
                    error = coalesce(r.error, $3), rows = s.rows, cascaded = s.cascaded,
                    bytes = s.bytes
                FROM (SELECT coalesce(sum(rows), 0) AS rows, coalesce(sum(cascaded), 0) AS cascaded,
                             coalesce(sum(bytes), 0) AS bytes,
                             count(*) FILTER (WHERE outcome = 'done') AS batches
                      FROM \(self.table("batch")) WHERE run = $1) AS s
                WHERE r.run = $1
                RETURNING s.rows, s.cascaded, s.batches, to_char(r.finished_at AT TIME ZONE 'UTC', '\(RunRecord.format)'),
                  s.bytes
                """,
                [run, state.rawValue, error]
            )
            if state != .failed { try self.dropPivots(of: [run], connection) }
            guard let row = result.rows.first, let rows = row.int(0), let cascaded = row.int(1),
                let batches = row.int(2)
            else { return nil }
            return Sum(
                rows: rows,
                cascaded: cascaded,
                bytes: row.int(4) ?? 0,
                batches: batches,
                finishedAt: try row.text(3)
            )
        }
    }

    private func dropPivots(of runs: [String], _ connection: isolated PostgresConnection) throws {
        for name in ["pivot", "pivot_set"] {
            for run in runs { _ = try connection.run("DELETE FROM \(self.table(name)) WHERE run = $1", [run]) }
        }
    }

    /// Removes runs that ended longer ago than the retention, with their batches; at most 100 runs a call.
    ///
    /// One that has left files stays: nothing else knows of them any more.
    ///
    /// - Returns: how many runs went.
    @discardableResult
    package func prune(retention: Duration, _ connection: PostgresConnection) async throws -> Int {
        try await self.transaction(connection) { connection in
            let old = try connection.run(
                """
                SELECT run FROM \(self.table("run")) AS r
                WHERE finished_at < now() - $1::bigint * interval '1 microsecond'
                  AND NOT EXISTS (SELECT FROM \(self.table("file_list")) AS l WHERE l.run = r.run AND l.deleted IS NULL)
                ORDER BY finished_at LIMIT 100 FOR UPDATE SKIP LOCKED
                """,
                [String(retention.wholeMicroseconds)]
            ).rows.map { try $0.text(0) }
            try self.dropPivots(of: old, connection)
            for run in old {
                for name in ["object_list", "file_list", "batch", "run"] {
                    _ = try connection.run("DELETE FROM \(self.table(name)) WHERE run = $1", [run])
                }
            }
            return old.count
        }
    }
}

extension Duration {
    /// Whole microseconds, the resolution of PostgreSQL's times; what is finer is cut off.
    package var wholeMicroseconds: Int64 {
        self.components.seconds * 1_000_000 + self.components.attoseconds / 1_000_000_000_000
    }
}
