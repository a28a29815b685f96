import ArgumentParser
import Logging
import PostgresClient
import ServiceLifecycle
import Shared
import UnixSignals

/// `producer serve`: fires schedules, executes the procedure, and takes steps of runs.
struct Serve: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Fires schedules and does steps of runs until it is stopped (SIGTERM).",
        discussion: """
            Start as many replicas as you like: a slot fires once, and a procedure whose replica has vanished is gone on with. \
            Batches are executed by workers, which run beside it. It does both whatever "roles" says: \
            a role that is switched off, also by a product's own variable, is left out by producer start. A server that \
            cannot be reached is waited for; a wrong setting, password or database ends it with exit code 2.
            """
    )

    func run() async throws {
        try await reportingErrors {
            try await Serving(services: Services(environment: .process(), label: "ebb.serve"), roles: Roles()).run()
        }
    }
}

/// What a long-running producer does, by its roles.
struct Serving {
    let services: Services
    let roles: Roles

    /// Runs until it is told to stop.
    func run() async throws {
        let (services, roles) = (self.services, self.roles)
        let entries = try services.schedules().filter { entry in
            entry.work.isProcedure ? roles.maintenance : roles.server
        }
        let queue = try services.queue()
        _ = try services.postgresConfiguration(as: "ebb serve")
        var parts: [any Service] = [SchedulerService(services: services, queue: queue, entries: entries)]
        if roles.server { parts.append(StepService(services: services, queue: queue)) }
        if roles.maintenance, let procedure = try services.procedure() {
            parts.append(ProcedureService(services: services, queue: queue, procedure: procedure))
        }
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
