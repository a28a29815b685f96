import Shared

/// The stages that are one call of something else.
extension Services {
    /// Sweeps sessions once.
    func sweepStage(_ queue: Queue) async throws -> Ledger.StageEnd {
        guard let sweep = try self.sessionSweep(queue) else {
            return Ledger.StageEnd(.off, reason: try self.whyNoSweep())
        }
        var report = try await sweep.run()
        if report.outcome == .elsewhere {
            // The lease of one that was killed, maybe with this stage's last owner, has lapsed by then; one at work has renewed it.
            try await Task.sleep(for: report.wait + Self.slack)
            report = try await sweep.run()
        }
        let detail = try JSONValue(report)
        switch report.outcome {
        case .finished: return Ledger.StageEnd(.finished, detail: detail)
        case .stopped: throw CancellationError()
        case .elsewhere: return Ledger.StageEnd(.skipped, reason: "another sweeper is at work", detail: detail)
        }
    }

    /// How much slower than this one's Redis's clock may be within a lease.
    private static var slack: Duration { .milliseconds(50) }

    /// Calls a hook once.
    ///
    /// - `context`: what its texts may name.
    func hookStage(_ name: String, context: [String: String], _ queue: Queue) async throws -> Ledger.StageEnd {
        guard let hook = try self.hooks().first(where: { $0.name == name }) else {
            throw CommandError("there is no hook \(name)")
        }
        let result = try await self.hookRunner(queue).run(hook, context: context)
        // A hook that was told to stop has failed, which is not its fault.
        try Task.checkCancellation()
        let state: StageState =
            switch result.outcome {
            case .done: .finished
            case .failed: .failed
            case .skipped: .skipped
            case .off: .off
            }
        return Ledger.StageEnd(state, reason: result.reason, detail: try JSONValue(result))
    }
}

extension ProcedureRecord {
    /// What the texts of hooks may name.
    func context(_ stage: String) -> [String: String] {
        [
            "run": self.id, "stage": stage, "rows": String(self.rows), "created_at": self.createdAt,
            "failed": self.stages.filter { $0.state == .failed }.map(\.name).joined(separator: " "),
        ]
    }
}
