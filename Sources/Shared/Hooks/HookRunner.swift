import FoundationEssentials
package import Logging
import RedisClient

/// Runs hooks: looks their variables up, keeps to their intervals, and says what became of each.
package struct HookRunner: Sendable {
    let environment: Environment
    let isOffline: Bool
    let queue: Queue
    let logger: Logger
    let transport: HTTPTransport

    /// - `isOffline`: whether nothing outside may be called.
    /// - `queue`: remembers when a hook last succeeded.
    package init(
        environment: Environment,
        isOffline: Bool,
        queue: Queue,
        logger: Logger,
        transport: HTTPTransport = .shared
    ) {
        self.environment = environment
        self.isOffline = isOffline
        self.queue = queue
        self.logger = logger
        self.transport = transport
    }

    /// Runs a hook; whatever happens to it is its result.
    ///
    /// When the task is cancelled, the hook ends as soon as it can, failed.
    ///
    /// - `context`: values of the run for the hook's `{name}`s.
    /// - Throws: `RedisError` when nobody can tell whether the hook is due, because Redis is away; it has not run then.
    package func run(_ hook: Hook, context: [String: String] = [:]) async throws -> HookResult {
        let started = ContinuousClock.now
        var result: HookResult
        do {
            result = try await self.perform(hook, context)
        } catch let error as RedisError where error.isServerAway {
            throw error
        } catch {
            result = HookResult(hook: hook.name, outcome: .failed, reason: "\(error)")
        }
        result.milliseconds = Int(started.duration(to: .now).wholeMicroseconds / 1_000)
        self.logger.log(
            result.outcome == .failed ? .warning : .info,
            "hook",
            [.hook: "\(hook.name)", .hookOutcome: "\(result.outcome.rawValue)", .error: "\(result.reason ?? "")"]
        )
        return result
    }

    private func perform(_ hook: Hook, _ context: [String: String]) async throws -> HookResult {
        let resolved: ResolvedHook
        switch try hook.resolve(self.environment, context, isOffline: self.isOffline) {
        case .off(let reason): return HookResult(hook: hook.name, outcome: .off, reason: reason)
        case .on(let hook): resolved = hook
        }
        if let reason = try await self.tooSoon(hook) {
            return HookResult(hook: hook.name, outcome: .skipped, reason: reason)
        }
        var result = HookResult(hook: hook.name, outcome: .done)
        let attempt: HookAttempt
        switch resolved.action {
        case .http(let http, let address, let headers, let body):
            let call = HTTPHook(
                hook: http,
                address: address,
                headers: headers,
                body: Array((body ?? "").utf8),
                transport: self.transport
            )
            (attempt, result.attempts) = await call.run()
        case .command(let command, let arguments, let environment, let directory):
            let call = CommandHook(
                hook: command,
                arguments: arguments,
                environment: environment,
                directory: directory
            )
            (attempt, result.attempts) = (await call.run(), 1)
        }
        result.code = attempt.code
        result.bytes = attempt.bytes
        result.output = attempt.excerpt(without: resolved.secrets)
        if let failure = attempt.failure {
            result.outcome = .failed
            result.reason = HookAttempt.hide(resolved.secrets, in: failure.reason)
        } else if hook.minInterval != nil {
            try await self.remember(hook)
        }
        return result
    }

    // MARK: Intervals

    /// Why a hook does not run yet; nil when it does.
    private func tooSoon(_ hook: Hook) async throws -> String? {
        guard let interval = hook.minInterval else { return nil }
        let times = try await self.script(hook, "last").array ?? []
        guard times.count == 2, let last = times[0].int, let now = times[1].int,
            now - last < interval.wholeMicroseconds / 1_000
        else { return nil }
        let time = Date(timeIntervalSince1970: Double(last) / 1_000).formatted(.iso8601)
        return "last ran \(time), and runs once in \(DurationText.format(interval))"
    }

    /// A success that cannot be remembered is one all the same: it would only be repeated too soon.
    private func remember(_ hook: Hook) async throws {
        do { _ = try await self.script(hook, "done") } catch let error as RedisError {
            self.logger.log(.warning, "a hook's time is lost", [.hook: "\(hook.name)", .error: "\(error)"])
        }
    }

    private func script(_ hook: Hook, _ verb: String) async throws -> RESPValue {
        try await self.queue.redis.evaluate(
            QueueScripts.hook,
            keys: [self.queue.keys.prefix],
            arguments: [hook.name, verb]
        )
    }
}

extension Services {
    /// Runs hooks.
    package func hookRunner(_ queue: Queue) -> HookRunner {
        HookRunner(
            environment: self.environment,
            isOffline: self.configuration.offline,
            queue: queue,
            logger: self.logger
        )
    }

    /// All hooks, by name; see ``Hook/load(_:)``.
    package func hooks() throws(ConfigurationError) -> [Hook] { try Hook.load(self.configuration) }
}
