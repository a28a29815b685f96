import ArgumentParser
import FoundationEssentials
import Logging
import ServiceLifecycle
import Shared
import UnixSignals

/// `worker sweep`: the session sweeper.
struct Sweep: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Removes expired sessions from Redis, again and again until it is stopped (SIGTERM)."
    )

    @Flag(help: "Sweep once, whenever the last sweep was, and exit.")
    var once = false

    @Flag(help: "Print each report as a JSON document instead of words.")
    var json = false

    func run() async throws {
        try await reportingErrors {
            let services = try Services(environment: .process(), label: "ebb.sweeper")
            let queue = try services.queue()
            guard let sweep = try services.sessionSweep(queue) else {
                throw ConfigurationError(
                    "\(try services.whyNoSweep()), so there are no sessions to sweep: name a layout, such as ayon, "
                        + "or describe one under sessions in the configuration file"
                )
            }
            for warning in try await queue.checkServer() {
                services.logger.log(.warning, "Redis is not as it should be", [.error: "\(warning)"])
            }
            let service = SweepService(
                sweep: sweep,
                interval: services.configuration.sessions.interval,
                isOnce: self.once,
                logger: services.logger,
                show: { [json] report in json ? try Self.printJSON(report) : print(report) }
            )
            let group = ServiceGroup(
                configuration: ServiceGroupConfiguration(
                    services: [
                        .init(
                            service: service,
                            successTerminationBehavior: .gracefullyShutdownGroup,
                            failureTerminationBehavior: .gracefullyShutdownGroup
                        )
                    ],
                    gracefulShutdownSignals: [.sigterm, .sigint],
                    // It would describe everything it is given, at debug level.
                    logger: Logger(label: "ebb.sweeper.lifecycle") { _ in SwiftLogNoOpLogHandler() }
                )
            )
            try await group.run()
            await queue.close()
        }
    }

    private static func printJSON(_ report: SweepReport) throws {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.sortedKeys, .prettyPrinted, .withoutEscapingSlashes]
        print(String(decoding: try encoder.encode(report), as: UTF8.self))
    }
}
