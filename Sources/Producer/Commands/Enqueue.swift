import ArgumentParser
import Shared

/// `producer enqueue`: starts runs.
struct Enqueue: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Plans targets into batches and enqueues them.",
        discussion: "A target whose last run is not over gets no second one: that run is shown instead."
    )

    @OptionGroup var options: RunOptions

    @Option(help: "Which stream the batches travel in: high, default or low.")
    var priority: Priority = .default

    @Option(
        help: "End a new run, failed, when it is not over after this time.",
        transform: RunOptions.duration
    )
    var timeout: Duration?

    @Flag(help: "Wait until the runs are over, with their progress.")
    var wait = false

    @Flag(help: "Print one JSON document.")
    var json = false

    func run() async throws {
        try await reportingErrors {
            let services = try Services.producer()
            let wanted = try self.options.wanted(services).map { wanted in
                guard case .on(let knobs) = wanted.knobs else {
                    throw CommandError("target \(wanted.entry.name) is off: \(wanted.knobs.reason)")
                }
                return (wanted.entry, knobs)
            }
            let session = try await Session.open(services)
            let launcher = RunLauncher(session: session, isQuiet: self.json)
            let timeLimit = self.timeout.map { ContinuousClock.now + $0 }
            var runs: [(id: String, deadline: ContinuousClock.Instant?)] = []
            var hasFailed = false
            for (target, knobs) in wanted {
                let starts = try await launcher.startAll(
                    target,
                    knobs: knobs,
                    priority: self.priority,
                    batchRows: self.options.batchRows,
                    timeout: self.timeout
                )
                for (record, isNew) in starts.started {
                    runs.append((record.run, launcher.deadline(timeLimit, isNew: isNew)))
                    if !self.json {
                        print("run \(record.run) of \(record.title): cut by \(record.strategy.rawValue)")
                    }
                }
                for (schema, error) in starts.failures { complain("\(target.name) in \(schema): \(error)") }
                hasFailed = hasFailed || !starts.failures.isEmpty
                if starts.isEmpty, !self.json {
                    print("\(target.name): nothing to do, \(target.emptyGroup ?? "there is no place")")
                }
            }
            if self.wait { try await launcher.warnWithoutWorkers() }
            var statuses: [RunStatus] = []
            var isLate = false
            for (run, deadline) in runs {
                guard self.wait else {
                    let status = try await session.status(of: run)
                    statuses.append(status)
                    if let error = status.error, status.state == .planning {
                        complain("run \(run) is not planned yet, a worker will try again: \(error)")
                    }
                    continue
                }
                let status = try await launcher.wait(for: run, until: deadline)
                statuses.append(status)
                if status.isPausedByError {
                    complain("run \(run) waits for you: mend its error, then producer resume \(status.toResume ?? run)")
                } else if !status.state.isOver {
                    complain("run \(run) is still \(status.state.rawValue), the time is over")
                    isLate = true
                }
            }
            if self.json {
                try Output.json(statuses)
            } else {
                for status in statuses { self.summarize(status) }
            }
            await session.close()
            if isLate || hasFailed || statuses.contains(where: \.isFailure) { throw ExitCode.runFailed }
        }
    }

    private func summarize(_ status: RunStatus) {
        if self.wait { return ProgressView.details(status) }
        print(
            "\(status.batches.total) batches so far for about \(Output.number(status.rows.estimated)) rows; "
                + "watch with: producer status \(status.run) --watch"
        )
    }
}

extension Priority: ExpressibleByArgument {}

extension TargetSwitch {
    /// Why a target is off; empty for one that is on.
    var reason: String { if case .off(let reason) = self { reason } else { "" } }
}
