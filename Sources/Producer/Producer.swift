import ArgumentParser
import Shared

/// `producer`: plans cleanups into batches, enqueues them, and shows how they come along.
@main
struct Producer: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "producer",
        abstract:
            "Plans cleanups of PostgreSQL tables into batches, enqueues them into Redis, and shows their progress.",
        subcommands: [
            Setup.self, Targets.self, PlanCommand.self, Enqueue.self, Cleanup.self, Status.self, Runs.self, Pause.self,
            Resume.self, Cancel.self, Dead.self, Maintenance.self, Recover.self, DoctorCommand.self, Schedules.self,
            Events.self, Serve.self, Start.self,
        ]
    )
}
