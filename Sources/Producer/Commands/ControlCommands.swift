import ArgumentParser
import Shared

/// `producer pause`: no batch of the run begins any more, until it is resumed.
struct Pause: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Pauses a run: batches under way end, no other begins until it is resumed."
    )

    @Argument(help: "The run; producer status lists those under way.")
    var run: String

    func run() async throws {
        try await reportingErrors {
            let services = try Services.producer()
            let queue = try services.queue()
            try await services.runControl(queue).pause(self.run)
            print("run \(self.run) is paused; producer resume \(self.run) lets it go on")
            await queue.close()
        }
    }
}

/// `producer resume`: a paused run goes on, a failed one is tried again.
struct Resume: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Lets a paused run go on, or takes a failed one back to running.",
        discussion: """
            The dead letters of a failed run are tried again, and what was cancelled is planned anew. When the database \
            server was restored, promoted or replaced, resuming accepts the one that DATABASE_URL leads to now.
            """
    )

    @Argument(help: "The run.")
    var run: String

    func run() async throws {
        try await reportingErrors {
            let session = try await Session.open(try Services.producer())
            let state = try await session.services.runControl(session.queue).resume(self.run, session.connection)
            print("run \(self.run) is \(state.rawValue)")
            await session.close()
        }
    }
}

/// `producer cancel`: a run ends early.
struct Cancel: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Ends a run early: batches under way end, no other begins.",
        discussion: "What is deleted stays deleted and counted. A cancelled run cannot go on; enqueue its target anew."
    )

    @Argument(help: "The run.")
    var run: String

    /// A batch under way ends, or is rolled back by its time limits, sooner than a lease lasts.
    private static let patience = 1.2

    func run() async throws {
        try await reportingErrors {
            let session = try await Session.open(try Services.producer())
            try await session.services.runControl(session.queue).cancel(self.run, session.connection)
            let launcher = RunLauncher(session: session, isQuiet: true)
            let limit = session.services.configuration.leases.duration * Self.patience
            switch try await launcher.waitForEnd(of: self.run, within: limit) {
            case let status? where status.state.isOver:
                print(
                    "run \(self.run) is \(status.state.rawValue); \(Output.count(status.rows.deleted, "row")) deleted"
                )
            case let status?:
                print("run \(self.run) ends as soon as its \(status.batches.leased) batches under way have")
            case nil: print("run \(self.run) is cancelled; Redis had lost it")
            }
            await session.close()
        }
    }
}

/// `producer recover`: rebuilds a run that Redis has lost.
struct Recover: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Rebuilds a run whose state in Redis was lost, from the ledger and the table.",
        discussion: "What has ended stays ended and counted; what is left in the table is planned anew."
    )

    @Argument(help: "The run; producer status names those that Redis has lost.")
    var run: String

    func run() async throws {
        try await reportingErrors {
            let session = try await Session.open(try Services.producer())
            let control = session.services.runControl(session.queue)
            if try await control.recover(self.run, session.connection) {
                let launcher = RunLauncher(session: session, isQuiet: true)
                try await launcher.plan(self.run)
                let status = try await session.status(of: self.run)
                print(
                    "run \(self.run) is \(status.state.rawValue) again; \(Output.count(status.rows.deleted, "row")) deleted before"
                )
            } else {
                let state = try await session.status(of: self.run).state
                print("run \(self.run) is \(state.rawValue); Redis has not lost it, nothing to recover")
            }
            await session.close()
        }
    }
}
