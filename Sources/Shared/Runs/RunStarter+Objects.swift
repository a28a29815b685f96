package import PostgresClient

/// Runs whose rows are objects.
extension RunStarter {
    /// Creates a run of a target of objects, or finds the one that is not over yet.
    ///
    /// Its cutoff is by the storage's clock.
    ///
    /// - `timeout`: after which a new run ends; one that is found keeps its own.
    /// - Throws: as for a target of rows, and `StorageError`.
    package func start(
        _ target: ObjectTarget,
        store: ObjectStore,
        knobs: KnobValues,
        priority: Priority = .default,
        timeout: Duration? = nil,
        _ connection: PostgresConnection
    ) async throws -> (run: RunRecord, isNew: Bool) {
        var new = try await self.newRun(target, store, knobs, timeout: timeout, connection)
        new.priority = priority
        // A target that cannot be planned leaves nothing behind, not even the ledger.
        try await self.ledger.setup(connection)
        try await self.queue.setup()
        return try await self.begin(new, connection)
    }

    /// Decides how a run of either kind would be cut; writes nothing, and needs no queue.
    ///
    /// - `timeout`: after which it ends.
    /// - Throws: `PlanningError`, `PostgresError`, `StorageError`; `RunRefusal` for objects of a store that is off.
    package func plan(
        _ entry: CatalogEntry,
        stores: Stores,
        knobs: KnobValues,
        batchRows: Int? = nil,
        timeout: Duration? = nil,
        _ connection: PostgresConnection
    ) async throws -> RunPlan {
        switch entry {
        case .table(let target):
            return try await self.plan(target, knobs: knobs, batchRows: batchRows, timeout: timeout, connection)
        case .objects(let target):
            guard case .on(let store) = try stores.store(named: target.store) else {
                throw RunRefusal("target \(target.name) is off: its store \(target.store) is")
            }
            return RunPlan(run: try await self.newRun(target, store, knobs, timeout: timeout, connection))
        }
    }

    private func newRun(
        _ target: ObjectTarget,
        _ store: ObjectStore,
        _ knobs: KnobValues,
        timeout: Duration?,
        _ connection: PostgresConnection
    ) async throws -> Ledger.NewRun {
        let plan = try await ObjectPlan.make(
            target,
            minAge: knobs.maxAge ?? .zero,
            store: store,
            limits: self.configuration.batches.timeLimits,
            connection
        )
        try await self.refusing(target.name, schema: plan.references.schema, connection) {
            try plan.checkReferences(most: self.configuration.foreignKeys.most)
        }
        return Ledger.NewRun(
            run: Self.newRunID(),
            target: target.name,
            schema: plan.references.schema,
            table: plan.location,
            definitionHash: target.definitionHash,
            priority: .default,
            knobs: knobs,
            batchRows: nil,
            strategy: .prefix,
            estimated: plan.estimatedObjects,
            timeout: timeout,
            cutoff: plan.cutoff,
            prefixDigits: plan.cut.digits
        )
    }
}
