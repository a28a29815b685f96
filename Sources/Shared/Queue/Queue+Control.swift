import RedisClient

/// Runs that are paused, resumed, or ended early.
extension Queue {
    /// What became of a wish to change a run.
    package enum Change: Sendable, Hashable {
        /// The state that the run is in now.
        case state(RunState)
        /// The run is ending early already.
        case ending
        case unknown
    }

    /// Pauses a run that is planning, running or verifying: batches under way end, others are parked as they turn up.
    ///
    /// - `error`: why, when it is not an operator who asks; shows in the status.
    @discardableResult
    package func pause(_ run: String, error: String? = nil) async throws -> Change {
        try await self.change(run, "pause", error ?? "")
    }

    /// Lets a paused run go on where it was.
    package func resume(_ run: String) async throws -> Change { try await self.change(run, "resume", "") }

    private func change(_ run: String, _ verb: String, _ error: String) async throws -> Change {
        let reply = try await self.redis.evaluate(
            QueueScripts.pause,
            keys: [self.keys.prefix],
            arguments: [run, verb, error]
        ).string
        switch reply {
        case "ending": return .ending
        case let text?: return RunState(rawValue: text).map { .state($0) } ?? .unknown
        case nil: return .unknown
        }
    }

    /// Lets a run end early: nothing of it is begun any more, and its last step comes as soon as no lease of it is open.
    ///
    /// - `state`: `failed` or `cancelled`.
    /// - Returns: false when it is unknown, over, or ending already.
    @discardableResult
    package func end(_ run: String, as state: RunState, error: String?) async throws -> Bool {
        try await self.redis.evaluate(
            QueueScripts.endRun,
            keys: [self.keys.prefix],
            arguments: [run, state.rawValue, error ?? ""]
        ).int == 1
    }

    /// Whether a run ends early.
    package func isEnding(_ run: String) async throws -> Bool {
        try await self.redis.send("HEXISTS", self.keys.run(run), "ending").int == 1
    }

    /// Cancels the delayed batches of a run that ends early, unless its step was lost.
    func dropDelayed(_ step: StepLease) async throws {
        var cursor = "0"
        repeat {
            let reply = try await self.redis.evaluate(
                QueueScripts.dropDelayed,
                keys: [self.keys.prefix],
                arguments: [step.run, cursor, String(step.token)]
            )
            cursor = reply.string ?? "0"
        } while cursor != "0"
    }

    /// Cancels the batches of a run that ends early whose leases have lapsed, as when no worker is left to take them over.
    package func dropLapsed(of run: String, lease: Duration) async throws {
        for stream in self.streams {
            var position = "-"
            repeat {
                let reply = try await self.redis.evaluate(
                    QueueScripts.dropLapsed,
                    keys: [self.keys.prefix, stream],
                    arguments: [run, lease.milliseconds, position]
                )
                position = reply.string ?? ""
            } while !position.isEmpty
        }
    }

    /// Says that a worker cannot work on a run; when no live worker can, the run is paused.
    ///
    /// - `age`: within which a live worker has given a sign of life.
    /// - Returns: whether the run was paused.
    @discardableResult
    package func decline(_ run: String, consumer: String, within age: Duration, error: String) async throws -> Bool {
        try await self.redis.evaluate(
            QueueScripts.blind,
            keys: [self.keys.prefix],
            arguments: [run, consumer, age.milliseconds, error]
        ).int == 1
    }
}
