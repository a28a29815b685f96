import ArgumentParser
import PostgresClient
import Shared

/// `producer status`: how runs come along, from Redis; which of them it has lost, from the ledger.
struct Status: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Shows the progress of one run, or of all that are not over."
    )

    @Argument(help: "The run; without it, all that are not over.")
    var run: String?

    @Flag(help: "Keep showing it until it is over.")
    var watch = false

    @Flag(help: "Print one JSON document.")
    var json = false

    private static let pause = Duration.milliseconds(250)

    func validate() throws {
        if self.watch && self.json { throw ValidationError("--watch and --json exclude each other; poll with --json") }
        if self.watch && self.run == nil { throw ValidationError("--watch needs a run; producer runs lists them") }
    }

    func run() async throws {
        try await reportingErrors {
            let services = try Services.producer()
            let queue = try services.queue()
            if let run = self.run {
                var status = try await queue.status(of: run)
                if self.json {
                    try Output.json(status)
                } else if self.watch {
                    var view = ProgressView()
                    view.show(status)
                    while !status.state.isOver {
                        try await Task.sleep(for: Self.pause)
                        do { status = try await queue.status(of: run) } catch  where Fault(error) == .queueAway {
                            continue
                        }
                        view.show(status)
                    }
                } else {
                    ProgressView.details(status)
                }
            } else {
                try await RunList.show(
                    try await queue.activeRuns(),
                    queue,
                    json: self.json,
                    none: "no run is under way"
                )
                if !self.json { await services.showLedger(queue) }
            }
            await queue.close()
        }
    }
}

/// `producer runs`: recent runs.
struct Runs: AsyncParsableCommand {
    static let configuration = CommandConfiguration(abstract: "Lists recent runs and how they ended.")

    @Flag(help: "Print one JSON document.")
    var json = false

    @Option(help: "How many at most.")
    var limit = 20

    func validate() throws {
        if self.limit < 1 { throw ValidationError("--limit \(self.limit) is not possible; accepted: 1 or more") }
    }

    func run() async throws {
        try await reportingErrors {
            let services = try Services.producer()
            let queue = try services.queue()
            try await RunList.show(
                try await queue.recentRuns(self.limit),
                queue,
                json: self.json,
                none: "no run is remembered"
            )
            if !self.json { await services.showLedger(queue) }
            await queue.close()
        }
    }
}

extension Services {
    /// Lines about what only the ledger knows: runs that Redis has lost, and the run of the procedure that is not over.
    fileprivate func showLedger(_ queue: Queue) async {
        guard self.configuration.databaseURL != nil else { return }
        do {
            let connection = try await self.connectPostgres(as: "ebb producer")
            for record in try await self.runControl(queue).lost(connection) ?? [] {
                print(
                    "run \(record.run) of \(record.target) is not over, and Redis does not know it; producer recover \(record.run)"
                )
            }
            let records = try await self.ledger.procedures(1, unfinished: true, connection)
            await connection.close()
            for record in records { print("procedure run \(record.id): \(MaintenanceView.summary(of: record))") }
        } catch {
            complain("what the ledger has cannot be told: \(error)")
        }
    }
}

/// Several runs as a table or as one JSON array.
private enum RunList {
    static func show(_ runs: [String], _ queue: Queue, json: Bool, none: String) async throws {
        var statuses: [RunStatus] = []
        for run in runs {
            let fields = try await queue.fields(of: run)
            // A run may be forgotten between the two reads.
            if !fields.isEmpty { statuses.append(try RunStatus(fields: fields)) }
        }
        if json { return try Output.json(statuses) }
        if statuses.isEmpty { return print(none) }
        Output.table(
            [["RUN", "TARGET", "SCHEMA", "STATE", "ROWS", "BATCHES", "CREATED", "ERROR"]]
                + statuses.map { status in
                    [
                        status.run, status.target, status.schema, status.state.rawValue,
                        Output.number(status.rows.deleted),
                        "\(status.batches.done)/\(status.batches.total)", status.createdAt ?? "", status.error ?? "",
                    ]
                }
        )
    }
}
