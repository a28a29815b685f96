import ArgumentParser
import FoundationEssentials
import Glibc
import Shared
import UnixSignals

/// `producer events`: what has happened, and what happens; from Redis alone.
struct Events: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        abstract:
            "Shows the newest events of runs, procedures and sweeps that deleted something, and follows what comes.",
        discussion: "With --follow, SIGTERM or Ctrl-C ends it with exit code 0."
    )

    @Flag(help: "Go on and show events as they come.")
    var follow = false

    @Flag(help: "Print one JSON array; with --follow, one document per line.")
    var json = false

    @Option(help: "How many of the newest events to begin with.")
    var limit = 20

    /// How long one look at the stream may block: how late a signal ends the command at most.
    private static let patience = Duration.milliseconds(500)

    func validate() throws {
        if self.limit == 0 && !self.follow { throw ValidationError("--limit 0 shows nothing; accepted with --follow") }
        if self.limit < 0 { throw ValidationError("--limit \(self.limit) is not possible; accepted: 0 or more") }
    }

    func run() async throws {
        try await reportingErrors {
            let services = try Services.producer()
            // Its own connection, which blocks while it waits.
            let queue = try services.queue()
            guard self.follow else {
                let events = try await queue.events.latest(self.limit)
                if self.json {
                    try Output.json(events)
                } else if events.isEmpty {
                    print("nothing has happened yet")
                } else {
                    for event in events { print(Self.line(event)) }
                }
                return await queue.close()
            }
            try await withThrowingTaskGroup(of: Void.self) { group in
                group.addTask { try await self.follow(queue) }
                group.addTask {
                    // The first signal is the end.
                    for await _ in await UnixSignalsSequence(trapping: .sigterm, .sigint) { return }
                }
                try await group.next()
                group.cancelAll()
            }
            await queue.close()
        }
    }

    /// Shows events until the task is cancelled; waits through an outage of Redis.
    private func follow(_ queue: Queue) async throws {
        let start = try await queue.events.latest(max(self.limit, 1))
        for event in start.suffix(self.limit) { try self.show(event) }
        var last = start.last?.id ?? ""
        while !Task.isCancelled {
            do {
                for event in try await queue.events.events(after: last, patience: Self.patience) {
                    try self.show(event)
                    last = event.id
                }
            } catch  where Fault(error) == .queueAway {
                // The connection itself waits before it tries again.
                continue
            }
        }
    }

    private func show(_ event: EbbEvent) throws {
        if self.json { try Output.jsonLine(event) } else { print(Self.line(event)) }
        // Whoever reads a pipe should know at once.
        fflush(nil)
    }

    /// Aligned by itself, since nobody knows what is yet to come.
    private static func line(_ event: EbbEvent) -> String {
        let time = event.time?.formatted(.iso8601) ?? ""
        let target = [event.schema, event.target].filter { !$0.isEmpty }.joined(separator: ".")
        let columns = [
            (time, 20), (event.topic, 13), (event.subject, 16), (target, 28), ("\(Int(event.progress))%", 4),
        ]
        let cells = columns.map { text, width in
            text + String(repeating: " ", count: max(0, width - text.count))
        }
        let words = event.description.isEmpty ? event.status : event.description
        return (cells + [words + (event.error.map { ": \($0)" } ?? "")]).joined(separator: "  ")
    }
}
