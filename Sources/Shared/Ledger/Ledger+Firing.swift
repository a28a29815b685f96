package import PostgresClient

/// Slots that get runs.
///
/// A slot and its runs are settled in one transaction, so that a slot fires once, whoever tries.
extension Ledger {
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

    /// A slot stays open, since what is in its way does not stand for it and is over soon.
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
            """
            SELECT run, deadline <= clock_timestamp() FROM \(self.table("run"))
            WHERE target = $1 AND schema_name = $2 AND finished_at IS NULL
            """,
            [new.target, new.schema]
        ).rows.first
        // It ends at its next step, and must not cost the slot its run.
        if let other, other.bool(1) == true {
            throw SlotHeld(description: "run \(try other.text(0)) of \(new.target) is out of time and about to end")
        }
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
}
