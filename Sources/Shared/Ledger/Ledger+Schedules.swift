package import Foundation
package import PostgresClient

/// What became of the slots of schedules.
///
/// All times are the database's own: the clocks of those who ask do not matter.
extension Ledger {
    /// A slot of one target of a schedule, as one definition has it.
    package struct Slot: Sendable, Hashable {
        package var schedule: String
        package var target: String
        /// `ScheduleTiming.definition`: a replica that has another cannot settle it.
        package var definition: String
        package var moment: Date

        package init(schedule: String, target: String, definition: String, moment: Date) {
            self.schedule = schedule
            self.target = target
            self.definition = definition
            self.moment = moment
        }

        /// Slots are whole seconds.
        var epochSeconds: Int { Int(self.moment.timeIntervalSince1970.rounded()) }
    }

    /// What the ledger knows of one target of a schedule.
    package struct ScheduleState: Sendable, Equatable {
        package var schedule: String
        package var target: String
        package var definition: String
        /// When that definition was first seen; slots before it are nobody's.
        package var since: Date
        /// When a replica with that definition last looked.
        package var seenAt: Date
        /// The newest settled slot.
        package var lastSlot: Date?
        package var firedAt: Date?
        /// What became of it: `started`, or why not.
        package var outcome: String?
        /// The run that was started, or was in the way.
        package var run: String?
        /// How that run ended, or `not over`; nil when the ledger has forgotten it.
        package var runState: String?

        /// Slots after this are open.
        package var floor: Date { max(self.since, self.lastSlot ?? self.since) }
    }

    /// The ledger's knowledge of all schedules, with the database's time.
    package struct ScheduleBook: Sendable {
        package var now: Date
        package var states: [ScheduleState]

        package func state(of schedule: String, target: String) -> ScheduleState? {
            self.states.first { $0.schedule == schedule && $0.target == target }
        }
    }

    /// The first that has schedules, of targets and of the procedure.
    private static let versionWithSchedules = 7

    /// Time for one statement here: a server that falls silent must not stop all schedules.
    private static let patience = Duration.seconds(15)

    /// Reads what is known; nothing of a ledger that is not there yet, or is an older Ebb's.
    package func schedules(_ connection: PostgresConnection) async throws -> ScheduleBook {
        let columns = ["s.since", "s.seen_at", "s.last_slot", "s.fired_at"].map(Self.microseconds).joined(
            separator: ", "
        )
        let isThere = try await self.version(connection) >= Self.versionWithSchedules
        let rows =
            isThere
            ? try await connection.query(
                """
                SELECT s.schedule, s.target, s.definition, \(columns), s.outcome, s.run,
                       CASE WHEN r.run IS NOT NULL THEN coalesce(r.state, 'not over') ELSE p.state END
                FROM \(self.table("schedule")) AS s LEFT JOIN \(self.table("run")) AS r USING (run)
                LEFT JOIN \(self.table("procedure_run")) AS p ON p.id = s.run
                """,
                deadline: Self.patience
            ).rows : []
        // Last, so that nothing was settled after this moment that is not in the rows.
        let now = try await self.clock(connection)
        return ScheduleBook(
            now: now,
            states: try rows.map { row in
                ScheduleState(
                    schedule: try row.text(0),
                    target: try row.text(1),
                    definition: try row.text(2),
                    since: Self.date(row.int(3)) ?? now,
                    seenAt: Self.date(row.int(4)) ?? now,
                    lastSlot: Self.date(row.int(5)),
                    firedAt: Self.date(row.int(6)),
                    outcome: row[7],
                    run: row[8],
                    runState: row[9]
                )
            }
        )
    }

    /// The database's time.
    package func clock(_ connection: PostgresConnection) async throws -> Date {
        let row = try await connection.query(
            "SELECT \(Self.microseconds("clock_timestamp()"))",
            deadline: Self.patience
        ).rows.first
        guard let now = Self.date(row?.int(0)) else { throw LedgerError("the database does not tell its time") }
        return now
    }

    /// Takes a definition for the one that rules from now on; slots before are nobody's.
    ///
    /// - `old`: the definition that it takes the place of, nil for none; if another does meanwhile, nothing happens.
    package func adopt(
        _ definition: String,
        of schedule: String,
        target: String,
        insteadOf old: String?,
        _ connection: PostgresConnection
    ) async throws {
        _ = try await connection.query(
            """
            INSERT INTO \(self.table("schedule")) AS s (schedule, target, definition, since, seen_at)
            VALUES ($1, $2, $3, clock_timestamp(), clock_timestamp())
            ON CONFLICT (schedule, target) DO UPDATE
            SET definition = excluded.definition, since = excluded.since, seen_at = excluded.seen_at
            WHERE s.definition = $4
            """,
            [schedule, target, definition, old],
            deadline: Self.patience
        )
    }

    /// Begins a schedule anew that knows of slots which are still to come: the database's clock was ahead of what it is now.
    ///
    /// Slots before now are nobody's. None gets a second run, also when it is the present clock that is wrong: runs keep
    /// their slots, and `fire` looks for them.
    ///
    /// - `next`: the slot that comes next; one that is later cannot be settled yet.
    /// - Returns: whether it was so.
    package func restart(
        _ definition: String,
        of schedule: String,
        target: String,
        next: Date,
        _ connection: PostgresConnection
    ) async throws -> Bool {
        try await connection.query(
            """
            UPDATE \(self.table("schedule"))
            SET since = clock_timestamp(), seen_at = clock_timestamp(), last_slot = NULL
            WHERE schedule = $1 AND target = $2 AND definition = $3
              AND greatest(since, last_slot) > to_timestamp($4::bigint) AND to_timestamp($4::bigint) > clock_timestamp()
            """,
            [schedule, target, definition, String(Int(next.timeIntervalSince1970.rounded()))],
            deadline: Self.patience
        ).affectedRows > 0
    }

    /// Says that somebody with this definition is there.
    package func see(
        _ definition: String,
        of schedule: String,
        target: String,
        _ connection: PostgresConnection
    ) async throws {
        _ = try await connection.query(
            """
            UPDATE \(self.table("schedule")) SET seen_at = clock_timestamp()
            WHERE schedule = $1 AND target = $2 AND definition = $3
            """,
            [schedule, target, definition],
            deadline: Self.patience
        )
    }

    /// Settles a slot that gets no run; false when it is settled already, or another definition rules.
    package func settle(_ slot: Slot, outcome: String, _ connection: PostgresConnection) async throws -> Bool {
        let settlement = self.settlement(of: slot, outcome: outcome, run: nil)
        return try await connection.query(settlement.sql, settlement.parameters, deadline: Self.patience).affectedRows
            > 0
    }

    /// What became of a slot that was to get runs.
    package enum Firing: Sendable {
        case started(RunRecord)
        /// The target's last run is not over.
        case skipped(run: String)
        /// Of a target in a group of schemas: a run for each, or none where the last one is not over.
        case group(started: [RunRecord], outcome: String)
        /// A run of the procedure, which nobody owns yet.
        case procedure(String)
        /// It is settled already, or another definition rules.
        case taken
    }

    /// What a slot is to get.
    package enum Order: Sendable {
        case one(RunStarter.RunPlan)
        /// In each schema of a group, and what keeps schemas from getting one.
        case group([RunStarter.RunPlan], failures: [String], isEmpty: String)
        /// A run of the procedure.
        case procedure([Stage])
    }

    /// Settles a slot by creating its runs, all or none; of all that try, one does it.
    ///
    /// They are not known to the queue yet. Whoever dies here has either done nothing, or left runs in the ledger that the
    /// next one to look makes known.
    package func fire(_ slot: Slot, _ order: Order, _ connection: PostgresConnection) async throws -> Firing {
        try await self.transaction(connection) { connection in
            // After waiting for another's lock, PostgreSQL looks at the conditions again.
            let open = try connection.run(
                """
                SELECT 1 FROM \(self.table("schedule"))
                WHERE schedule = $1 AND target = $2 AND definition = $3
                  AND (last_slot IS NULL OR last_slot < to_timestamp($4::bigint))
                  AND to_timestamp($4::bigint) <= clock_timestamp()
                FOR UPDATE
                """,
                [slot.schedule, slot.target, slot.definition, String(slot.epochSeconds)]
            )
            guard !open.rows.isEmpty else { return .taken }
            // Of before the row was begun anew; see `restart`.
            let before = try connection.run(
                """
                SELECT run FROM \(self.table("run"))
                WHERE schedule = $1 AND target = $2 AND slot = to_timestamp($3::bigint)
                """,
                [slot.schedule, slot.target, String(slot.epochSeconds)]
            ).rows.first
            if let before {
                let settlement = self.settlement(of: slot, outcome: Self.started, run: try before.text(0))
                _ = try connection.run(settlement.sql, settlement.parameters)
                return .taken
            }
            let firing: Firing
            switch order {
            case .one(let plan): firing = try self.insert(plan, for: slot, connection)
            case .procedure(let stages):
                if let id = try self.insertProcedure(stages, for: slot, connection) {
                    firing = .procedure(id)
                } else {
                    firing = .skipped(run: try self.procedureInPlace(connection))
                }
            case .group(let plans, let failures, let isEmpty):
                var started: [RunRecord] = []
                var skipped = 0
                for plan in plans {
                    if case .started(let record) = try self.insert(plan, for: slot, connection) {
                        started.append(record)
                    } else {
                        skipped += 1
                    }
                }
                let outcome = Self.outcome(started: started.count, skipped: skipped, failures)
                firing = .group(started: started, outcome: outcome.isEmpty ? isEmpty : outcome)
            }
            let settlement: PostgresStatement
            switch firing {
            case .started(let record):
                settlement = self.settlement(of: slot, outcome: Self.started, run: record.run)
            case .skipped(let run): settlement = self.settlement(of: slot, outcome: Self.skipped(run), run: run)
            case .procedure(let id): settlement = self.settlement(of: slot, outcome: Self.started, run: id)
            case .group(_, let outcome): settlement = self.settlement(of: slot, outcome: outcome, run: nil)
            case .taken: return firing
            }
            _ = try connection.run(settlement.sql, settlement.parameters)
            return firing
        }
    }

    /// A slot of the procedure stays open, since what is in its way does not stand for it.
    package struct SlotHeld: Error, Sendable, CustomStringConvertible {
        package var description: String
    }

    /// The run of the whole procedure that is under way.
    ///
    /// - Throws: `SlotHeld` when there is none: one of some stages only, or one whose process has vanished and which somebody will
    ///   take over, is over before the slot is too old.
    private func procedureInPlace(_ connection: isolated PostgresConnection) throws -> String {
        guard let record = try self.unfinishedProcedure(connection) else {
            throw SlotHeld(description: "another procedure was just ending")
        }
        guard record.selection == StageSelection() else {
            throw SlotHeld(description: "procedure run \(record.id) is under way with \(record.selection.words)")
        }
        if record.isLapsed {
            throw SlotHeld(description: "procedure run \(record.id) is not over, and its process has vanished")
        }
        return record.id
    }

    private func insert(
        _ plan: RunStarter.RunPlan,
        for slot: Slot,
        _ connection: isolated PostgresConnection
    ) throws -> Firing {
        switch try self.insert(plan.run, for: slot, connection) {
        case .created(let record): .started(try self.insert(plan.drains, before: record, connection))
        case .exists(let run): .skipped(run: run)
        }
    }

    /// What became of a slot in all schemas of a group; empty when there is none.
    private static func outcome(started: Int, skipped: Int, _ failures: [String]) -> String {
        let parts = [
            started > 0 ? "started \(started) \(started == 1 ? "run" : "runs")" : nil,
            skipped > 0 ? "skipped \(skipped): their last runs are not over" : nil,
            failures.isEmpty ? nil : "failed \(failures.count): \(failures.joined(separator: "; "))",
        ]
        return parts.compactMap { $0 }.joined(separator: ", ")
    }

    private enum Insertion {
        case created(RunRecord)
        /// The target has an unfinished run; empty when it ended between the two statements that looked for it.
        case exists(String)
    }

    private func insert(
        _ new: NewRun,
        for slot: Slot?,
        _ connection: isolated PostgresConnection
    ) throws -> Insertion {
        let insertion = self.insertion(of: new, for: slot)
        if let row = try connection.run(insertion.sql, insertion.parameters).rows.first {
            return .created(try RunRecord(row))
        }
        let other = try connection.run(
            "SELECT run FROM \(self.table("run")) WHERE target = $1 AND schema_name = $2 AND finished_at IS NULL",
            [new.target, new.schema]
        ).rows.first
        return .exists(try other?.text(0) ?? "")
    }

    /// Creates the runs that have to be over before a new one, which learns of them; those that are under way already will do.
    private func insert(
        _ drains: [NewRun],
        before record: RunRecord,
        _ connection: isolated PostgresConnection
    ) throws -> RunRecord {
        guard !drains.isEmpty else { return record }
        var runs: [String] = []
        for drain in drains {
            switch try self.insert(drain, for: nil, connection) {
            case .created(let child): runs.append(child.run)
            case .exists(let run): if !run.isEmpty { runs.append(run) }
            }
        }
        let updated = try connection.run(
            """
            UPDATE \(self.table("run")) SET after_runs = string_to_array($2, ' ') WHERE run = $1
            RETURNING \(RunRecord.columns)
            """,
            [record.run, runs.joined(separator: " ")]
        ).rows.first
        return try updated.map { try RunRecord($0) } ?? record
    }

    /// The outcome of a slot that has a run.
    package static let started = "started"

    /// The outcome of a slot whose target was still busy.
    package static func skipped(_ run: String) -> String {
        run.isEmpty ? "skipped: another run was just ending" : "skipped: run \(run) is not over"
    }

    private func settlement(of slot: Slot, outcome: String, run: String?) -> PostgresStatement {
        PostgresStatement(
            """
            UPDATE \(self.table("schedule"))
            SET last_slot = to_timestamp($4::bigint), fired_at = clock_timestamp(), outcome = $5, run = nullif($6, '')
            WHERE schedule = $1 AND target = $2 AND definition = $3
              AND (last_slot IS NULL OR last_slot < to_timestamp($4::bigint))
              AND to_timestamp($4::bigint) <= clock_timestamp()
            """,
            [slot.schedule, slot.target, slot.definition, String(slot.epochSeconds), outcome, run]
        )
    }

    /// The runs that are not over.
    package func unfinishedRuns(_ connection: PostgresConnection) async throws -> [RunRecord] {
        try await connection.query(
            "SELECT \(RunRecord.columns) FROM \(self.table("run")) WHERE finished_at IS NULL ORDER BY created_at",
            deadline: Self.patience
        ).rows.map { try RunRecord($0) }
    }

    private static func microseconds(_ expression: String) -> String {
        "(extract(epoch FROM \(expression)) * 1000000)::bigint"
    }

    private static func date(_ microseconds: Int?) -> Date? {
        microseconds.map { Date(timeIntervalSince1970: TimeInterval($0) / 1_000_000) }
    }
}
