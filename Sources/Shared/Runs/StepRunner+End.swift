import Logging
import PostgresClient

/// The end of a run.
extension StepRunner {
    /// Vacuums what the run has emptied, unless somebody has the table locked: waiting for that has no limit.
    ///
    /// A database that refuses does not make the run fail: every row is gone.
    func vacuum(
        _ lease: StepLease,
        _ context: RunContext,
        _ connection: PostgresConnection
    ) async throws -> Next {
        let rows = try await self.queue.fields(of: lease.run)["rows"].flatMap { Int($0) } ?? 0
        if rows > 0 {
            do {
                let result = try await connection.query(
                    Vacuum.statement(context.resolved.facts.name),
                    deadline: Vacuum.longest
                )
                for notice in result.notices {
                    self.logger.log(.warning, "vacuum", [.run: "\(lease.run)", .error: "\(notice)"])
                }
            } catch let error as PostgresError where !error.isConnectionProblem {
                self.logger.log(.warning, "vacuum was refused", [.run: "\(lease.run)", .error: "\(error)"])
            }
        }
        guard try await self.queue.advance(lease, ["step": StepLease.Step.reconcile.rawValue]) else {
            throw LeaseLost()
        }
        return .step(.reconcile)
    }

    /// Ends the run with the ledger's figures: in the ledger first, then in the queue.
    func reconcile(_ lease: StepLease, _ connection: PostgresConnection) async throws {
        let fields = try await self.queue.fields(of: lease.run)
        let isEnding = fields["ending"] != nil
        if isEnding { try await self.queue.dropDelayed(lease) }
        guard let record = try await self.ledger.run(lease.run, connection) else {
            return try await self.forget(lease, fields, connection)
        }
        var left: String?
        var late = 0
        if record.strategy == .prefix {
            if let pause = try await self.settleLists(of: record, isEnding: isEnding, connection) {
                return try await self.leave(lease, .rest(for: pause))
            }
            late = try await self.ledger.lateReferences(lease.run, connection)
        } else {
            left = try await self.removeFiles(of: record, isEnding: isEnding, connection)
        }
        let letters = try await self.queue.deadLetters(of: lease.run).count
        let (state, error) = Self.end(fields, deadLetters: letters, late: late, left: left)
        guard let sum = try await self.ledger.finish(lease.run, state: state, error: error, connection),
            let ended = try await self.ledger.run(lease.run, connection)
        else { return try await self.forget(lease, fields, connection) }
        let retention = self.configuration.ledger.retention
        let isOver = try await self.queue.finish(
            lease,
            state: ended.state ?? state,
            sum: sum,
            error: ended.error,
            retention: retention
        )
        guard isOver else { throw LeaseLost() }
        self.logger.log(
            .info,
            "run over",
            [.run: "\(lease.run)", .state: "\(state.rawValue)", .rows: "\(sum.rows)"]
        )
        try await self.ledger.prune(retention: retention, connection)
    }

    /// Ends a run that the ledger does not have, as after a restore to before its creation, when an operator has cancelled it.
    ///
    /// Otherwise it may be this process that has the wrong database.
    private func forget(
        _ lease: StepLease,
        _ fields: [String: String],
        _ connection: PostgresConnection
    ) async throws {
        let unknown = RunContext.Obstacle.unknownRun(lease.run)
        guard fields["ending"] == RunState.cancelled.rawValue else { throw unknown }
        let now = try await connection.query("SELECT to_char(now() AT TIME ZONE 'UTC', '\(RunRecord.format)')").rows
            .first
        let sum = Ledger.Sum(rows: 0, cascaded: 0, batches: 0, finishedAt: try now?.text(0) ?? "")
        let isOver = try await self.queue.finish(
            lease,
            state: .cancelled,
            sum: sum,
            error: "\(unknown)",
            retention: self.configuration.ledger.retention
        )
        guard isOver else { throw LeaseLost() }
        self.logger.log(.warning, "run over", [.run: "\(lease.run)", .error: "\(unknown)"])
    }

    /// How a run ends, by what the queue knows of it.
    ///
    /// - `late`: objects that were deleted while a reference to them appeared.
    /// - `left`: what it says of files that it leaves behind.
    private static func end(
        _ fields: [String: String],
        deadLetters: Int,
        late: Int,
        left: String?
    ) -> (state: RunState, error: String?) {
        if let ending = fields["ending"].flatMap(RunState.init(rawValue:)) {
            let errors = [fields["ending_error"].flatMap { $0.isEmpty ? nil : $0 }, left].compactMap { $0 }
            return (ending, errors.isEmpty ? nil : errors.joined(separator: "; "))
        }
        // What verification has left out for letters that are gone by now.
        let discarded = max(0, (fields["excused"].flatMap { Int($0) } ?? 0) - deadLetters)
        let errors = [
            deadLetters > 0 ? "\(deadLetters) batches were given up on; producer dead list shows them" : nil,
            discarded > 0 ? "\(discarded) batches were given up on, and their dead letters discarded" : nil,
            fields["stuck"],
            late > 0
                ? "\(late) objects were deleted while references to them appeared; the workers' logs name them" : nil,
            left,
        ].compactMap { $0 }
        return errors.isEmpty ? (.finished, nil) : (.failed, errors.joined(separator: "; "))
    }
}
