import ArgumentParser
import Glibc
import Shared
import Synchronization

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
        help: "End a new run, failed, when it is not over after this time; all targets share it, and 0 is no limit.",
        transform: RunOptions.timeLimit
    )
    var timeout: Duration?

    /// What `timeout` says, as Distr's own command takes it: 0 sets no limit.
    private var limit: Duration? { self.timeout.flatMap { $0 > .zero ? $0 : nil } }

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
            let deadline = self.limit.map { ContinuousClock.now + $0 }
            let turns = Mutex<[CleanupTurn]>([])
            do {
                try await workers.during {
                    var current = session
                    for wanted in wanted {
                        turns.withLock { $0.append(CleanupTurn(wanted, hasBegun: true)) }
                        try await self.clean(wanted, until: deadline, &current) { change in
                            turns.withLock { change(&$0[$0.count - 1]) }
                        }
                        if let turn = turns.withLock(\.last) { self.show(turn) }
                    }
                    await current.close()
                }
            } catch let stop as CommandStopped {
                complain("\(stop); runs under way go on as soon as a worker is there")
                self.end(turns, wanted, stop)
            }
            let results = turns.withLock { $0.flatMap(\.results) }
            if self.json { try Output.json(results) }
            if results.contains(where: \.isFailure) { throw ExitCode.runFailed }
        }
    }

    /// Says what became of the target that was being cleaned, and of those whose turn had not come.
    private func end(_ turns: borrowing Mutex<[CleanupTurn]>, _ wanted: [RunOptions.Wanted], _ stop: CommandStopped) {
        let left = turns.withLock { turns in
            let first = (turns.lastIndex { $0.isOver } ?? -1) + 1
            turns += wanted.dropFirst(turns.count).map { CleanupTurn($0) }
            for index in turns.indices.dropFirst(first) { turns[index].stop(stop) }
            return Array(turns.dropFirst(first))
        }
        for turn in left { self.show(turn) }
    }

    private func show(_ turn: CleanupTurn) {
        if self.json { return }
        let isGroup = turn.results.contains { $0.schema != nil }
        let lines = isGroup ? CleanupResult.lines(turn.results, of: turn.wanted.entry.name) : turn.results.map(\.line)
        for line in lines { print(line) }
        // Whoever reads a pipe should know at once.
        fflush(nil)
    }

    /// The targets in the order in which they were named; one that was named twice is cleaned once.
    private func wanted(_ services: Services) throws -> [RunOptions.Wanted] {
        var names: Set<String> = []
        return try self.options.wanted(services).filter { names.insert($0.entry.name).inserted }
    }

    /// Cleans one target, in all its schemas at a time; an error is its result, so that the targets after it have their turn.
    ///
    /// - `session`: replaced when its connection has broken.
    /// - `note`: changes what is known of its turn.
    /// - Throws: `CancellationError` when the command is being stopped, which says so itself.
    private func clean(
        _ wanted: RunOptions.Wanted,
        until deadline: ContinuousClock.Instant?,
        _ session: inout Session,
        _ note: ((inout CleanupTurn) -> Void) -> Void
    ) async throws {
        let name = wanted.entry.name
        guard case .on(let knobs) = wanted.knobs else {
            return note { $0.end(CleanupResult(name, .off, reason: wanted.knobs.reason)) }
        }
        let started = ContinuousClock.now
        let left = deadline.map { started.duration(to: $0) }
        if let left, left <= .zero {
            let limit = self.limit.map { DurationText.format($0) } ?? ""
            return note { $0.end(CleanupResult(name, .notBegun, reason: "the timeout of \(limit) was over")) }
        }
        do {
            session = try await session.mended()
            let launcher = RunLauncher(session: session, isQuiet: self.json || !Output.isTerminal)
            let starts = try await launcher.startAll(
                wanted.entry,
                knobs: knobs,
                batchRows: self.options.batchRows,
                timeout: left
            )
            note { turn in
                turn.results = starts.failures.map {
                    CleanupResult(name, in: $0.schema, .failed, reason: "\($0.error)")
                }
                turn.runs = starts.runs
            }
            for (record, isNew) in starts.started {
                let status = try await launcher.wait(
                    for: record.run,
                    until: launcher.deadline(deadline, isNew: isNew)
                )
                let seconds = started.duration(to: .now).timeInterval
                note { $0.add(CleanupResult(status, timeout: self.limit, seconds: seconds), of: record) }
            }
            note { turn in
                if starts.isEmpty { turn.end(CleanupResult(name, .finished, reason: wanted.entry.emptyGroup)) }
                turn.isOver = true
            }
        } catch let error as CancellationError {
            throw error
        } catch {
            note { $0.end(CleanupResult(name, .failed, reason: "\(error)")) }
        }
    }
}
