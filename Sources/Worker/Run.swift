import ArgumentParser
import Logging
import PostgresClient
import ServiceLifecycle
import Shared
import UnixSignals

/// `worker run`: the worker itself.
struct Run: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Works until it is stopped (SIGTERM), or until nothing is left to do."
    )

    @Option(help: "Batches at a time, each on a connection of its own; overrides worker.concurrency.")
    var concurrency: Int?

    @Flag(help: "Exit once no run is planning, running or verifying.")
    var drain = false

    /// The process id of the command that a worker belongs to: a killed one must leave none behind.
    @Option(help: .hidden)
    var endWithParent: Int32?

    func validate() throws {
        if let concurrency, !(1...64).contains(concurrency) {
            throw ValidationError("--concurrency \(concurrency) is out of range; accepted: 1 to 64")
        }
    }

    func run() async throws {
        try await reportingErrors {
            let services = try Services(environment: .process(), label: "ebb.worker")
            let queue = try services.queue()
            try await self.check(services, queue)
            let worker = WorkerService(
                services: services,
                queue: queue,
                concurrency: self.concurrency ?? services.configuration.worker.concurrency,
                drains: self.drain
            )
            let group = ServiceGroup(
                configuration: ServiceGroupConfiguration(
                    services: [
                        .init(
                            service: worker,
                            successTerminationBehavior: .gracefullyShutdownGroup,
                            failureTerminationBehavior: .gracefullyShutdownGroup
                        )
                    ]
                        + [self.endWithParent].compactMap { $0 }.map {
                            .init(
                                service: ParentWatch(parent: $0),
                                successTerminationBehavior: .gracefullyShutdownGroup
                            )
                        },
                    gracefulShutdownSignals: [.sigterm, .sigint],
                    // It would describe everything it is given, at debug level.
                    logger: Logger(label: "ebb.worker.lifecycle") { _ in SwiftLogNoOpLogHandler() }
                )
            )
            try await group.run()
            await queue.close()
        }
    }

    /// Both servers must answer at the start, since a wrong URL shows there; outages later are ridden out.
    private func check(_ services: Services, _ queue: Queue) async throws {
        let connection = try await services.connectPostgres(as: "ebb worker")
        try await services.ledger.checkServer(connection)
        _ = try await services.ledger.upgrade(connection)
        await connection.close()
        let warnings = try await queue.checkServer()
        // The command that it belongs to has told them.
        for warning in warnings where self.endWithParent == nil {
            services.logger.log(.warning, "Redis is not as it should be", [.error: "\(warning)"])
        }
        // Last, since it writes.
        try await queue.setup()
    }
}
