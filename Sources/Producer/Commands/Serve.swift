import ArgumentParser
import Logging
import PostgresClient
import ServiceLifecycle
import Shared
import UnixSignals

/// `producer serve`: fires schedules, and takes steps of runs.
struct Serve: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Fires schedules and does steps of runs until it is stopped (SIGTERM).",
        discussion: """
            Start as many replicas as you like: a slot fires once. Batches are executed by workers, which run beside it. A \
            server that cannot be reached is waited for; a wrong setting, password or database ends it with exit code 2.
            """
    )

    func run() async throws {
        try await reportingErrors {
            let services = try Services(environment: .process(), label: "ebb.serve")
            let entries = try services.schedules()
            let queue = try services.queue()
            _ = try services.postgresConfiguration(as: "ebb serve")
            let parts: [any Service] = [
                SchedulerService(services: services, queue: queue, entries: entries),
                StepService(services: services, queue: queue),
            ]
            let group = ServiceGroup(
                configuration: ServiceGroupConfiguration(
                    services: parts.map {
                        .init(
                            service: $0,
                            successTerminationBehavior: .gracefullyShutdownGroup,
                            failureTerminationBehavior: .gracefullyShutdownGroup
                        )
                    },
                    gracefulShutdownSignals: [.sigterm, .sigint],
                    // It would describe everything it is given, at debug level.
                    logger: Logger(label: "ebb.serve.lifecycle") { _ in SwiftLogNoOpLogHandler() }
                )
            )
            try await group.run()
            await queue.close()
        }
    }
}
