import ArgumentParser
import PostgresClient
import Shared

/// `producer maintenance`: the procedure, once, in the foreground.
struct Maintenance: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Runs the stages of the maintenance procedure one after the other, and waits for the end.",
        discussion: """
            Two at once are impossible: while one is under way, this says so and exits 0, or 2 if that one has other stages. One whose \
            process has vanished is gone on with first, unless it has stages to do that were not asked for (exit code 2); whether it has \
            shows within a lease. Starts a local worker while none is alive. One line for each stage that was not left out says how it \
            ended; the exit code is 1 if any failed.
            """
    )

    @Option(help: "Only these stages, with commas between them; may be repeated.", transform: Self.names)
    var only: [[String]] = []

    @Option(help: "Leave these stages out.", transform: Self.names)
    var skip: [[String]] = []

    @Option(help: "Local workers to start; without it, one if no worker is alive.")
    var workers: Int?

    @Flag(help: "Run nothing, show the latest run.")
    var show = false

    @Flag(help: "Print one JSON document, at the end.")
    var json = false

    func validate() throws {
        if let workers, !(0...64).contains(workers) {
            throw ValidationError("--workers \(workers) is out of range; accepted: 0 to 64")
        }
        // What an unset variable leaves behind must not mean all stages.
        for (option, names) in self.names where names.contains("") {
            throw ValidationError("\(option) has an empty name; accepted: names of stages with commas between them")
        }
    }

    private static func names(_ text: String) -> [String] {
        text.replacing(" ", with: "").split(separator: ",", omittingEmptySubsequences: false).map(String.init)
    }

    /// The stages that each option names, however often it is given.
    private var names: [(option: String, names: [String])] {
        [("--only", self.only.flatMap(\.self)), ("--skip", self.skip.flatMap(\.self))]
    }

    func run() async throws {
        try await reportingErrors {
            let services = try Services.producer()
            if self.show { return try await self.showLatest(services) }
            guard let procedure = try services.procedure() else {
                throw CommandError(
                    "there is no procedure; accepted: stages under \"procedure\", or a preset that has some"
                )
            }
            let selection = try self.selection(procedure)
            let session = try await Session.open(services)
            try await services.ledger.setup(session.connection)
            try await session.queue.setup()
            let executor = ProcedureExecutor(
                services: services,
                queue: session.queue,
                procedure: procedure,
                pool: ConnectionPool(try services.postgresConfiguration(as: "ebb producer")),
                observers: [try ProcedureTeller(services, session.queue)] + (self.json ? [] : [MaintenanceView()])
            )
            let record = try await self.run(executor, selection, session)
            await session.close()
            if self.json { try Output.json(record) }
            if record.state == .failed { throw ExitCode.runFailed }
        }
    }

    /// The stages that were asked for; an unknown one is a mistake in using the command.
    private func selection(_ procedure: Procedure) throws -> StageSelection {
        do {
            for (option, names) in self.names {
                for name in names { _ = try procedure.stage(named: name, option: option) }
            }
        } catch {
            complain("\(error)")
            throw ExitCode.validationFailure
        }
        return StageSelection(only: self.only.flatMap(\.self), skip: self.skip.flatMap(\.self))
    }

    /// Runs the procedure, after one that was left for long, or unfinished with other stages, or of whose end not all were told.
    private func run(
        _ executor: ProcedureExecutor,
        _ selection: StageSelection,
        _ session: Session
    ) async throws -> ProcedureRecord {
        while true {
            let start = try await session.services.ledger.startProcedure(
                executor.procedure.stages,
                selection: selection,
                owner: executor.owner,
                lease: executor.lease,
                session.connection
            )
            switch start {
            case .owned(let record, let isNew):
                let (ended, wasStopped) = try await self.execute(record, isNew: isNew, executor, session)
                // One that was left for long has done some of its stages long ago.
                let isFresh = isNew || record.lapsedSeconds < Self.fresh
                let isWanted = record.state == .inProgress && record.selection == selection && isFresh
                if isWanted || wasStopped { return ended }
            case .alive(let record):
                guard record.selection == selection else {
                    let words = "\(record.selection.words), asked for \(selection.words)"
                    throw CommandError(
                        record.isLapsed
                            ? "procedure run \(record.id) was left unfinished with \(words); let producer serve, "
                                + "or producer maintenance with what it has still to do, end it first"
                            : "procedure run \(record.id) is under way with \(words); let it end first"
                    )
                }
                guard let record = try await self.signOfLife(of: record, session) else { continue }
                if !self.json {
                    let verb = record.state == .inProgress ? "is" : "was"
                    print("procedure run \(record.id) \(verb) under way: \(MaintenanceView.summary(of: record))")
                }
                return record
            }
        }
    }

    /// Waits until the owner of a run renews its lease or ends it; nil when the lease lapses, as of one that was killed just now.
    ///
    /// Without that, a container that is started again at once would take its killed predecessor for somebody at work.
    private func signOfLife(of seen: ProcedureRecord, _ session: Session) async throws -> ProcedureRecord? {
        while true {
            let record = try await session.services.ledger.procedure(seen.id, session.connection)
            guard let record, !record.isLapsed else { return nil }
            if record.state != .inProgress || (record.owner, record.beatAt) != (seen.owner, seen.beatAt) {
                return record
            }
            try await Task.sleep(for: Self.pause)
        }
    }

    /// How often to look for a sign of life.
    private static let pause = Duration.milliseconds(200)

    /// How many seconds a run may have been left for what it has done to count.
    private static let fresh = 3_600

    private func execute(
        _ record: ProcedureRecord,
        isNew: Bool,
        _ executor: ProcedureExecutor,
        _ session: Session
    ) async throws -> (record: ProcedureRecord, wasStopped: Bool) {
        let names = Set(record.stages.filter { !$0.state.isOver }.map(\.name))
        let needsWorkers = executor.procedure.stages.contains { $0.work.kind == .target && names.contains($0.name) }
        let workers = LocalWorkers(count: needsWorkers ? self.workers : 0, session: session)
        do {
            return (try await workers.during { try await executor.execute(record, isNew: isNew) }, false)
        } catch let stopped as CommandStopped {
            let ended = try await self.stop(record, reason: "\(stopped)", executor)
            complain("\(stopped); runs under way go on as soon as a worker is there")
            return (ended, true)
        } catch is LeaseLost {
            complain("procedure run \(record.id) was taken over by another process, which goes on with it")
            throw ExitCode.runFailed
        } catch {
            // Nobody should wait for this one's lease to run out.
            _ = try await self.stop(record, reason: "\(error)", executor)
            throw error
        }
    }

    /// Ends a run before its time, unless PostgreSQL is away for longer than others have to wait for it anyway.
    private func stop(
        _ record: ProcedureRecord,
        reason: String,
        _ executor: ProcedureExecutor
    ) async throws -> ProcedureRecord {
        do {
            return try await withTimeLimit(executor.lease) { try await executor.stop(record, reason: reason) }
        } catch is TimeLimitExceeded {
            complain(
                "\(reason); PostgreSQL does not answer, so procedure run \(record.id) stays unfinished: "
                    + "the next producer maintenance, or a producer serve, goes on with it"
            )
            throw ExitCode.runFailed
        }
    }

    private func showLatest(_ services: Services) async throws {
        let connection = try await services.connectPostgres(as: "ebb producer")
        let latest = try await services.ledger.procedures(1, connection).first
        await connection.close()
        if self.json { return try Output.json([latest].compactMap { $0 }) }
        guard let latest else { return print("the procedure has never run") }
        Output.table(
            [["STAGE", "KIND", "STATE", "DONE", "STARTED", "FINISHED", "REASON"]]
                + latest.stages.map { stage in
                    [
                        stage.name, stage.kind, stage.state.rawValue,
                        MaintenanceView.figures(of: stage).joined(separator: ", "), stage.startedAt ?? "",
                        stage.finishedAt ?? "", stage.reason ?? "",
                    ]
                }
        )
        print("procedure run \(latest.id) of \(latest.createdAt): \(MaintenanceView.summary(of: latest))")
    }
}
