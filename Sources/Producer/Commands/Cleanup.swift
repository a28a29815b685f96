import ArgumentParser
import FoundationEssentials
import Glibc
import Shared
import Subprocess
import Synchronization
import SystemPackage
import UnixSignals

/// `producer cleanup`: enqueue and wait, with workers of its own; made for cron and CronJobs.
struct Cleanup: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Cleans targets one after the other and waits for the end.",
        discussion: """
            Starts local workers for the duration: as many as --workers says, or one if no worker is alive. A target that \
            is off is skipped, which is no failure. An error does not stop the targets after it. One line for each target \
            says how it ended; the exit code is 1 if any failed or had no time.
            """
    )

    @OptionGroup var options: RunOptions

    @Option(
        help: "End a new run, failed, when it is not over after this time; all targets share it.",
        transform: RunOptions.duration
    )
    var timeout: Duration?

    @Option(help: "Local workers to start; without it, one if no worker is alive.")
    var workers: Int?

    @Flag(help: "Print one JSON document, at the end.")
    var json = false

    func validate() throws {
        if let workers, !(0...64).contains(workers) {
            throw ValidationError("--workers \(workers) is out of range; accepted: 0 to 64")
        }
    }

    func run() async throws {
        try await reportingErrors {
            let services = try Services.producer()
            let wanted = try self.wanted(services)
            let session = try await Session.open(services)
            // While all are off there is nothing to do, and nobody to do it.
            let isIdle = wanted.allSatisfy { if case .on = $0.knobs { false } else { true } }
            let workers = LocalWorkers(count: isIdle ? 0 : self.workers, session: session)
            let deadline = self.timeout.map { ContinuousClock.now + $0 }
            let results = Mutex<[CleanupResult]>([])
            let allSucceeded = try await workers.during {
                var current = session
                for wanted in wanted {
                    let ended = try await self.clean(wanted, until: deadline, &current)
                    results.withLock { $0 += ended }
                    if !self.json {
                        let isGroup = ended.contains { $0.schema != nil }
                        let lines = isGroup ? CleanupResult.lines(ended, of: wanted.entry.name) : ended.map(\.line)
                        for line in lines { print(line) }
                        // Whoever reads a pipe should know at once.
                        fflush(nil)
                    }
                }
                await current.close()
                return !results.withLock { $0.contains(where: \.isFailure) }
            }
            if self.json { try Output.json(results.withLock { $0 }) }
            if !allSucceeded { throw ExitCode.runFailed }
        }
    }

    /// The targets in the order in which they were named; one that was named twice is cleaned once.
    private func wanted(_ services: Services) throws -> [RunOptions.Wanted] {
        var names: Set<String> = []
        return try self.options.wanted(services).filter { names.insert($0.entry.name).inserted }
    }

    /// Cleans one target, in all its schemas at a time; an error is its result, so that the targets after it have their turn.
    ///
    /// - `session`: replaced when its connection has broken.
    /// - Throws: `CancellationError` when the command is being stopped, which says so itself.
    private func clean(
        _ wanted: RunOptions.Wanted,
        until deadline: ContinuousClock.Instant?,
        _ session: inout Session
    ) async throws -> [CleanupResult] {
        let name = wanted.entry.name
        guard case .on(let knobs) = wanted.knobs else {
            return [CleanupResult(name, .off, reason: wanted.knobs.reason)]
        }
        let started = ContinuousClock.now
        let left = deadline.map { started.duration(to: $0) }
        if let left, left <= .zero {
            let limit = self.timeout.map { DurationText.format($0) } ?? ""
            return [CleanupResult(name, .notBegun, reason: "the timeout of \(limit) was over")]
        }
        var results: [CleanupResult] = []
        do {
            session = try await session.mended()
            let launcher = RunLauncher(session: session, isQuiet: self.json || !Output.isTerminal)
            let starts = try await launcher.startAll(
                wanted.entry,
                knobs: knobs,
                batchRows: self.options.batchRows,
                timeout: left
            )
            results = starts.failures.map { CleanupResult(name, in: $0.schema, .failed, reason: "\($0.error)") }
            for (record, isNew) in starts.started {
                let status = try await launcher.wait(
                    for: record.run,
                    until: launcher.deadline(deadline, isNew: isNew)
                )
                var result = CleanupResult(
                    status,
                    timeout: self.timeout,
                    seconds: started.duration(to: .now).timeInterval
                )
                if wanted.entry.group != nil { result.schema = record.schema }
                results.append(result)
            }
            if starts.isEmpty { results = [CleanupResult(name, .finished, reason: wanted.entry.emptyGroup)] }
            return results
        } catch let error as CancellationError {
            throw error
        } catch {
            return results + [CleanupResult(name, .failed, reason: "\(error)")]
        }
    }
}

/// Worker processes that live as long as a command needs them.
private struct LocalWorkers: Sendable {
    /// How many; nil is one, started as soon as no worker is alive.
    let count: Int?
    let session: Session

    /// Time for a stopping worker to give its batches back.
    private static let grace = Duration.seconds(30)
    /// A worker that ends by itself is replaced so many times.
    private static let replacements = 5

    /// Runs `body` beside the workers and stops them afterwards.
    ///
    /// - Throws: `CommandError` when the worker's executable is not beside this one; exit code 1, with a sentence, when a
    ///   worker ends by itself again and again, or the command is told to stop.
    func during(_ body: @escaping @Sendable () async throws -> Bool) async throws -> Bool {
        let path = try Self.executable()
        return try await withThrowingTaskGroup(of: Bool?.self) { group in
            for _ in 0..<(self.count ?? 0) { group.addTask { try await Self.work(path) } }
            if self.count == nil {
                group.addTask {
                    try await self.waitUntilNoWorkerIsAlive()
                    return try await Self.work(path)
                }
            }
            group.addTask { try await body() }
            group.addTask { try await Self.stopOnSignal() }
            defer { group.cancelAll() }
            while let ended = try await group.next() {
                if let ended { return ended }
            }
            return false
        }
    }

    /// A worker that died counts as alive for up to a lease after its last beat, so once is not enough to ask.
    private func waitUntilNoWorkerIsAlive() async throws {
        let lease = self.session.services.configuration.leases.duration
        while try await self.session.queue.workersAlive(within: lease) > 0 {
            try await Task.sleep(for: min(.seconds(1), lease / 3))
        }
    }

    /// Lets the workers end, too, when this command is told to.
    private static func stopOnSignal() async throws -> Bool? {
        for await signal in await UnixSignalsSequence(trapping: .sigterm, .sigint) {
            complain("stopped by \(signal); runs under way go on as soon as a worker is there")
            throw ExitCode.runFailed
        }
        return nil
    }

    /// Runs one worker until this task is cancelled, replacing one that ends by itself.
    private static func work(_ path: String) async throws -> Bool? {
        for _ in 0...Self.replacements {
            let status = try await self.workOnce(path)
            if Task.isCancelled { return nil }
            complain("a local worker ended by itself (\(status)); run worker to see why")
            try await Task.sleep(for: .seconds(1))
        }
        throw ExitCode.runFailed
    }

    private static func workOnce(_ path: String) async throws -> TerminationStatus {
        var options = PlatformOptions()
        options.teardownSequence = [.gracefulShutDown(allowedDurationToNextStep: Self.grace)]
        return try await Subprocess.run(
            .path(FilePath(path)),
            arguments: ["--concurrency", "1", "--end-with-parent"],
            platformOptions: options,
            input: .none,
            output: .discarded,
            error: .discarded
        ).terminationStatus
    }

    /// `worker` beside this very executable.
    private static func executable() throws -> String {
        let own = try FileManager.default.destinationOfSymbolicLink(atPath: "/proc/self/exe")
        let path = own.split(separator: "/").dropLast().map { "/\($0)" }.joined() + "/worker"
        guard FileManager.default.isExecutableFile(atPath: path) else {
            throw CommandError("there is no worker at \(path); install it beside producer, or start workers elsewhere")
        }
        return path
    }
}
