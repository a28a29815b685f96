import PostgresClient

extension StepRunner {
    /// Plans chunk by chunk until the plan is complete or enough batches are ahead.
    ///
    /// Each chunk is sized by what the run's finished batches took.
    func plan(
        _ lease: StepLease,
        _ context: RunContext,
        _ connection: PostgresConnection
    ) async throws -> Next {
        var fields = try await self.queue.fields(of: lease.run)
        let generation = fields["generation"].flatMap { Int($0) } ?? 1
        let planner = ChunkPlanner(context.statements(generation: generation), connection)
        var text = fields["cursor"] ?? ""
        var current: PlanCursor?
        if text.isEmpty {
            current = try await self.start(context, generation: generation, planner, connection)
        } else {
            current = try PlanCursor(encoded: text)
        }
        while true {
            var chunk: PlannedChunk?
            if var cursor = current {
                var limit = Self.chunk
                if context.record.batchRows == nil {
                    let measured = Self.measured(fields, cursor)
                    cursor.sizing = cursor.sizing.next(
                        measured: measured,
                        target: self.configuration.batches.duration
                    )
                    // As few as possible by the cost model's guess.
                    if measured == nil { limit = Queue.ahead.unmeasured }
                }
                chunk = try await planner.next(cursor, limit: limit)
            }
            let batches = (chunk?.batches ?? []).enumerated().map { position, batch in
                (id: "\(generation).\((current?.sequence ?? 1) + position)", batch: batch)
            }
            let isComplete = chunk?.isComplete ?? true
            let encoded = chunk?.cursor.encoded ?? "empty"
            var changes = ["cursor": encoded]
            if isComplete {
                changes["step"] = "drain"
                changes["state"] = RunState.running.rawValue
            }
            let open = try await self.queue.append(
                batches,
                of: lease,
                priority: context.record.priority,
                from: text,
                fields: changes
            )
            guard let open else { throw LeaseLost() }
            if isComplete || open >= Queue.ahead.most { return .rest(for: .zero) }
            fields = try await self.queue.fields(of: lease.run)
            // Nothing measured yet and workers at it: what is left can wait for their first figures.
            if Self.measured(fields, current) == nil, open >= Queue.ahead.unmeasured,
                try await self.queue.workersAlive(within: self.configuration.leases.duration) > 0
            {
                return .rest(for: .zero)
            }
            text = encoded
            current = chunk?.cursor
        }
    }

    /// Batches appended at once, with half as many again at a plan's end: one script handles at most 100.
    private static let chunk = 64

    /// Pivots first, if the rule has any, then the first cursor; nil when there is nothing to delete.
    private func start(
        _ context: RunContext,
        generation: Int,
        _ planner: ChunkPlanner,
        _ connection: PostgresConnection
    ) async throws -> PlanCursor? {
        var pivots = 0
        if context.record.terms.keepsNewest {
            let query = PivotQuery(context.resolved, terms: context.record.terms, namespace: self.ledger.namespace)
            pivots = try await self.ledger.findPivots(query, generation: generation, connection).count
        }
        let sizing = try await self.firstSize(context, connection)
        return try await planner.start(context.record.strategy, sizing: sizing, pivots: pivots)
    }

    /// What the run's batches took so far, in the unit of the cursor; nil before the first, and when the cursor has changed
    /// over to blocks, for which nothing was measured.
    private static func measured(_ fields: [String: String], _ cursor: PlanCursor?) -> (units: Int, duration: Duration)?
    {
        guard let units = fields["units"].flatMap({ Int($0) }),
            let time = fields["microseconds"].flatMap({ Int64($0) }),
            units > 0, cursor?.strategy.rawValue == fields["strategy"]
        else { return nil }
        return (units, .microseconds(time))
    }

    /// The size of batches before anything was measured, as the run's creation chose it.
    func firstSize(_ context: RunContext, _ connection: PostgresConnection) async throws -> BatchSizing {
        let estimate = try await Estimate.read(context.resolved, terms: context.record.terms, connection)
        return BatchSizing(
            first: context.record.strategy,
            estimate: estimate,
            duration: self.configuration.batches.duration,
            fixedRows: context.record.batchRows
        )
    }
}
