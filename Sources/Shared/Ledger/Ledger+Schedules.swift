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

    /// The outcome of a slot that has a run.
    package static let started = "started"

    /// The outcome of a slot whose target was still busy.
    package static func skipped(_ run: String) -> String {
        run.isEmpty ? "skipped: another run was just ending" : "skipped: run \(run) is not over"
    }

    /// Settles a slot, unless it is settled already or another definition rules.
    func settlement(of slot: Slot, outcome: String, run: String?) -> PostgresStatement {
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

    /// The runs that are not over, oldest first.
    ///
    /// - `age`: how old they are at least; any age without.
    package func unfinishedRuns(
        atLeast age: Duration? = nil,
        _ connection: PostgresConnection
    ) async throws -> [RunRecord] {
        try await connection.query(
            """
            SELECT \(RunRecord.columns) FROM \(self.table("run"))
            WHERE finished_at IS NULL AND ($1::bigint IS NULL OR created_at <= now() - $1::bigint * interval '1 microsecond')
            ORDER BY created_at
            """,
            [age.map { String($0.wholeMicroseconds) }],
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
