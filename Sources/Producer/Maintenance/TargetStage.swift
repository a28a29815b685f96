import PostgresClient
import Shared
import Synchronization

/// Cleans a target in all its schemas, a few at a time, and waits for the end.
struct TargetStage: Sendable {
    let executor: ProcedureExecutor
    let stage: StageRecord
    /// The id of the run of the procedure.
    let procedure: String
    let limit: StageLimit?
    let contexts: RunContexts

    /// How many runs are under way at a time: enough for all workers, few enough to be looked at.
    private static let width = 8
    /// How often progress is told.
    private static let pause = Duration.milliseconds(500)

    private var services: Services { self.executor.services }

    /// A run that did not end well, or could not be started.
    private struct Failure: Encodable {
        @OrNull var schema: String?
        @OrNull var run: String?
        var error: String
    }

    private struct Detail: Encodable {
        var runs: Int
        var cascaded: Int
        /// The first few.
        var failed: [Failure]
    }

    /// How many failures are told one by one.
    private static let mostFailures = 20

    func run(_ name: String, _ definition: Stage) async throws -> Ledger.StageEnd {
        let entry = try self.services.catalog.entry(named: name)
        let knobs: KnobValues
        switch try self.services.resolve(entry, maxAge: definition.maxAge, keep: definition.keep) {
        case .off(let reason): return Ledger.StageEnd(.off, reason: reason)
        case .on(let values): knobs = values
        }
        let entries = try await self.inTime {
            try await self.executor.patiently { try await self.services.places(of: entry, $0) }
        }
        let runs = StartedRuns()
        let failures = try await withThrowingTaskGroup(of: [Failure].self) { group in
            group.addTask {
                try await self.clean(entries, knobs) { runs.append($0) }
            }
            group.addTask { try await self.watch(runs) }
            defer { group.cancelAll() }
            return try await group.next() ?? []
        }
        return try await self.end(entry, failures, of: entries.count)
    }

    private func end(_ entry: CatalogEntry, _ failures: [Failure], of count: Int) async throws -> Ledger.StageEnd {
        let (stage, procedure, ledger) = (self.stage, self.procedure, self.services.ledger)
        let runs = try await self.executor.patiently { try await ledger.runs(of: stage, of: procedure, $0) }
        let detail = Detail(
            runs: runs.count,
            cascaded: runs.reduce(0) { $0 + $1.cascaded },
            failed: Array(failures.prefix(Self.mostFailures))
        )
        var end = Ledger.StageEnd(
            failures.isEmpty ? .finished : .failed,
            rows: runs.reduce(0) { $0 + $1.rows },
            detail: try JSONValue(detail)
        )
        if count == 0 { end.reason = entry.emptyGroup }
        if let first = failures.first {
            let place = first.schema.map { "\($0): " } ?? ""
            end.reason =
                count == 1
                ? first.error : "\(failures.count) of \(count) runs failed, the first of them \(place)\(first.error)"
        }
        return end
    }

    /// Cleans all; one that fails does not stop the others.
    private func clean(
        _ entries: [CatalogEntry],
        _ knobs: KnobValues,
        started: @escaping @Sendable (String) -> Void
    ) async throws -> [Failure] {
        try await withThrowingTaskGroup(of: Failure?.self) { group in
            var waiting = entries.makeIterator()
            func begin() {
                guard let entry = waiting.next() else { return }
                group.addTask { try await self.clean(entry, knobs, started) }
            }
            for _ in 0..<Self.width { begin() }
            var failures: [Failure] = []
            while let failure = try await group.next() {
                if let failure { failures.append(failure) }
                begin()
            }
            return failures
        }
    }

    private func clean(
        _ entry: CatalogEntry,
        _ knobs: KnobValues,
        _ started: @Sendable (String) -> Void
    ) async throws -> Failure? {
        var failure = Failure(schema: entry.schemaOfGroup, run: nil, error: "")
        do {
            var error: String?
            var isNew = true
            repeat {
                let record: RunRecord
                (record, isNew) = try await self.inTime { try await self.start(entry, knobs) }
                failure.run = record.run
                started(record.run)
                error = try await self.wait(for: record)
                // One that was there already ends by a timeout of its own, maybe from before an outage: another has its time.
            } while !isNew && error == StageLimit.timedOut && self.limit?.left != .zero
            guard let error else { return nil }
            failure.error = error
        } catch let error as CancellationError {
            throw error
        } catch is TimeLimitExceeded {
            failure.error = self.reason
        } catch  where Fault(error) == .locked {
            failure.error =
                "somebody has locked its table for longer than \(DurationText.format(self.executor.lockPatience)): \(error)"
        } catch {
            failure.error = "\(error)"
        }
        return failure
    }

    private func start(_ entry: CatalogEntry, _ knobs: KnobValues) async throws -> (run: RunRecord, isNew: Bool) {
        let patience = ContinuousClock.now + self.executor.lockPatience
        return try await self.executor.patiently {
            $0 == .locked ? .now < patience : Self.outages.contains($0)
        } _: { connection in
            try await self.launcher(connection).start(
                entry,
                knobs: knobs,
                priority: .default,
                batchRows: self.services.configuration.batches.rows,
                timeout: self.runTimeout
            )
        }
    }

    /// A run ends by itself, should this process and all that could take over vanish; a closing window gives it a little longer,
    /// so that its error is the window's.
    private var runTimeout: Duration? {
        guard let limit else { return nil }
        return max(.milliseconds(1), limit.left) + (limit.isTimeout ? .zero : self.executor.lease * 2)
    }

    /// Waits until a run is over, or somebody has paused it, or its time is up; nil when it ended well.
    private func wait(for record: RunRecord) async throws -> String? {
        do {
            return try await self.inTime {
                let launcher = try await self.executor.patiently { self.launcher($0) }
                for child in record.after {
                    // One that Redis does not know counts as over, here as in the queue.
                    do {
                        let status = try await launcher.wait(for: child, whilePaused: false)
                        if status.state == .paused { return Self.words(paused: status) }
                    } catch is CommandError {}
                }
                let status = try await launcher.wait(for: record.run, whilePaused: false)
                if status.state == .paused { return Self.words(paused: status) }
                return status.state == .finished ? nil : status.error ?? status.state.rawValue
            }
        } catch is TimeLimitExceeded {
            return try await self.end(record.run)
        }
    }

    private static func words(paused status: RunStatus) -> String {
        if let error = status.error { return "paused by an error: \(error)" }
        return "run \(status.run) of \(status.target) is paused; producer resume lets it go on"
    }

    /// Ends a run whose time is up, unless somebody had started it before the stage began; nil when it ended well at the last
    /// moment.
    private func end(_ run: String) async throws -> String? {
        let (stage, procedure) = (self.stage, self.procedure)
        let deadline = ContinuousClock.now + self.executor.lease * 3
        do {
            return try await self.executor.patiently {
                .now < deadline && ($0 == .locked || Self.outages.contains($0))
            } _: { connection in
                if try await self.services.ledger.isOlder(run, than: stage, of: procedure, connection) {
                    return "\(self.reason); run \(run) was there before and goes on"
                }
                try await self.executor.queue.end(run, as: .failed, error: self.reason)
                let left = ContinuousClock.now.duration(to: deadline)
                let ended = try await self.launcher(connection).waitForEnd(of: run, within: left)
                return ended?.state == .finished ? nil : self.reason
            }
        } catch  where Self.outages.contains(Fault(error)) {
            return "\(self.reason), and could not be ended: \(error)"
        }
    }

    /// What is over by itself before long.
    private static let outages: Set<Fault> = [.serverAway, .queueAway, .conflict]

    /// Why the stage is over when its time is up.
    private var reason: String { self.limit?.reason ?? StageLimit.timedOut }

    /// Lets go of what is not done when the stage's time is up, whatever it waits for.
    ///
    /// - Throws: `TimeLimitExceeded`, or what `body` throws.
    private func inTime<Value: Sendable>(_ body: @escaping @Sendable () async throws -> Value) async throws -> Value {
        guard let limit else { return try await body() }
        if limit.left == .zero { throw TimeLimitExceeded(limit: .zero) }
        return try await withTimeLimit(limit.left, body)
    }

    private func launcher(_ connection: PostgresConnection) -> RunLauncher {
        let session = Session(
            services: self.services,
            queue: self.executor.queue,
            connection: connection,
            contexts: self.contexts
        )
        return RunLauncher(session: session, isQuiet: true)
    }

    /// Tells progress, and once that there is none because no worker has been alive for a lease.
    private func watch(_ runs: StartedRuns) async throws -> Never {
        let lease = self.executor.lease
        var alive = ContinuousClock.now
        var isTold = false
        while true {
            try await Task.sleep(for: Self.pause)
            await self.tellProgress(runs.all)
            if isTold || runs.all.isEmpty { continue }
            if try await self.executor.queue.mayHaveWorkers(within: lease) {
                alive = .now
            } else if alive.duration(to: .now) >= lease {
                isTold = true
                await self.executor.tell(.waits(self.stage))
            }
        }
    }

    private func tellProgress(_ runs: [String]) async {
        var (rows, estimated) = (0, 0)
        do {
            for run in runs {
                let fields = try await self.executor.queue.fields(of: run)
                rows += fields["rows"].flatMap { Int($0) } ?? 0
                estimated += fields["estimated"].flatMap { Int($0) } ?? 0
            }
        } catch {
            // Redis is away: progress is told when it is back.
            return
        }
        await self.executor.tell(.progress(self.stage, rows: rows, estimated: estimated))
    }
}

/// The runs of a stage that were started so far.
private final class StartedRuns: Sendable {
    private let runs = Mutex<[String]>([])

    var all: [String] { self.runs.withLock { $0 } }

    func append(_ run: String) { self.runs.withLock { $0.append(run) } }
}

extension Services {
    /// The schemas that a scope names: those of the group of that name, or else just the one.
    func schemas(of scope: String, _ connection: PostgresConnection) async throws -> [String] {
        guard let group = self.catalog.schemaGroups.first(where: { $0.name == scope }) else { return [scope] }
        return try await self.schemas(of: group, connection)
    }
}
