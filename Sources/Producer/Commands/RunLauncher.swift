import Shared

/// Starts runs and waits for them.
struct RunLauncher: Sendable {
    let session: Session
    /// Whether progress is shown; not with `--json`.
    let isQuiet: Bool

    /// How often a waiting command looks.
    private static let pause = Duration.milliseconds(200)

    /// The name under which this process leases steps.
    private let owner = "producer-\(String(UInt64.random(in: .min ... .max), radix: 36))"

    /// Starts a run, or finds the unfinished one, and plans as far as it can be planned now.
    func start(_ target: Target, knobs: KnobValues, priority: Priority, batchRows: Int?) async throws -> RunRecord {
        let starter = RunStarter(
            ledger: self.session.services.ledger,
            queue: self.session.queue,
            configuration: self.session.services.configuration
        )
        let rows = batchRows ?? self.session.services.configuration.batches.rows
        let (record, isNew) = try await starter.start(
            target,
            knobs: knobs,
            priority: priority,
            batchRows: rows,
            self.session.connection
        )
        if !isNew && !self.isQuiet { print("run \(record.run) of \(record.target) is not over yet; it goes on") }
        // Only the plan is this process's to start with; what comes later is for whoever is there then.
        if let step = try await self.takeStep(of: record.run) { try await self.perform(step) }
        return record
    }

    /// Waits until a run is over, doing its steps whenever one is free.
    func wait(for run: String) async throws -> RunStatus {
        var view = ProgressView()
        while true {
            let status = try await self.session.status(of: run)
            if !self.isQuiet { view.show(status) }
            if status.state.isOver { return status }
            if let step = try await self.takeStep(of: run) {
                try await self.perform(step)
            } else {
                try await Task.sleep(for: Self.pause)
            }
        }
    }

    private func takeStep(of run: String) async throws -> StepLease? {
        try await self.session.queue.takeStep(
            owner: self.owner,
            lease: self.session.services.configuration.leases.duration,
            run: run
        )
    }

    private func perform(_ step: StepLease) async throws {
        do {
            try await self.session.services.stepRunner(self.session.queue).run(step, self.session.connection)
        } catch is LeaseLost {
            // Another process does it.
        }
    }
}
