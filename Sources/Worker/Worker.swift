import ArgumentParser
import Shared

/// `worker`: deletes what producers have planned.
@main
struct Worker: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "worker",
        abstract: "Claims batches of cleanups from Redis and deletes them from PostgreSQL. Start as many as you like.",
        subcommands: [Run.self, Sweep.self],
        defaultSubcommand: Run.self
    )
}
