import Foundation
import Logging
import PostgresClient
import Shared
import Synchronization
import TestSupport

@testable import Producer

/// A replica of `producer serve`, as far as schedules go, that looks when a test says so.
struct Replica {
    private(set) var scheduler: Scheduler
    let log: MessageLog

    mutating func look() async throws { _ = try await self.pause() }

    /// Looks, again and again while the ledger does not answer, as `serve` does; returns how long nothing is due then.
    mutating func pause() async throws -> Duration {
        let deadline = ContinuousClock.now + .seconds(120)
        while true {
            do { return try await self.scheduler.look() } catch  where Fault(error) == .serverAway && .now < deadline {
                try await Task.sleep(for: .milliseconds(100))
            }
        }
    }
}

extension [Replica] {
    /// Lets all of them look three times, at once.
    func race() async throws {
        try await withThrowingTaskGroup { group in
            for replica in self {
                group.addTask {
                    var replica = replica
                    for _ in 0..<3 { try await replica.look() }
                }
            }
            try await group.waitForAll()
        }
    }
}

/// What a replica has logged.
final class MessageLog: Sendable {
    private let messages = Mutex<[String]>([])

    var all: [String] { self.messages.withLock { $0 } }

    func count(_ fragment: String) -> Int { self.all.count { $0.contains(fragment) } }

    /// Writes here.
    var logger: Logger { Logger(label: "test") { _ in RecordingHandler(log: self) } }

    fileprivate func append(_ message: String) { self.messages.withLock { $0.append(message) } }
}

private struct RecordingHandler: LogHandler {
    var log: MessageLog
    var metadata: Logger.Metadata = [:]
    var logLevel = Logger.Level.info

    subscript(metadataKey key: String) -> Logger.Metadata.Value? {
        get { self.metadata[key] }
        set { self.metadata[key] = newValue }
    }

    func log(event: LogEvent) {
        self.log.append("\(event.level) \(event.message) \(event.metadata ?? [:])")
    }
}

extension TestBed {
    /// A new replica, with connections of its own.
    ///
    /// - `variables`: what its schedules read.
    func replica(
        _ variables: [String: String] = [:],
        queue: Queue? = nil,
        planningLimit: Duration = .seconds(30)
    ) throws -> Replica {
        let log = MessageLog()
        var services = self.services
        services.logger = log.logger
        let entries = try ScheduleEntry.load(
            services.configuration,
            catalog: services.catalog,
            environment: Environment(["TZ": "UTC"].merging(variables) { $1 })
        )
        let scheduler = Scheduler(
            services: services,
            queue: queue ?? self.queue,
            entries: entries,
            pool: ConnectionPool(try services.postgresConfiguration(as: "ebb test")),
            planningLimit: planningLimit
        )
        return Replica(scheduler: scheduler, log: log)
    }

    /// The slots that have runs, in order, as `12:10`.
    func slots() async throws -> [String] {
        try await self.strings(
            """
            SELECT to_char(slot AT TIME ZONE 'UTC', 'HH24:MI') FROM \(self.ledger.table("run"))
            WHERE schedule IS NOT NULL ORDER BY slot
            """
        )
    }

    /// What became of the last slot of the only schedule.
    func outcome() async throws -> String? {
        try await self.connection.query("SELECT outcome FROM \(self.ledger.table("schedule"))").rows.first?[0]
    }

    /// Ends all runs, as if a worker had come by.
    func endRuns() async throws {
        for record in try await self.ledger.unfinishedRuns(self.connection) {
            _ = try await self.ledger.finish(record.run, state: .finished, error: nil, self.connection)
        }
    }
}

/// The target that `withScheduledTarget` has a schedule for.
let scheduledTarget = """
      Target:
        table: events
        key: id
        max_age: {column: created_at, age: "${AGE:-1d}"}
    """

/// A target of 100 expired rows with a schedule, at 12:05 by the database's own clock.
///
/// - `schedule`: its YAML fields.
func withScheduledTarget(
    _ schedule: String,
    targets: String = scheduledTarget,
    _ body: (TestBed) async throws -> Void
) async throws {
    let settings = "presets: []\nschedules: {nightly: {\(schedule), targets: Target}}\n"
    try await withTestBed(targets: targets, settings: settings, ownClock: true) { bed in
        try await bed.run(
            "CREATE TABLE events (id bigint PRIMARY KEY, created_at timestamptz)",
            "INSERT INTO events SELECT n, now() - interval '2 days' FROM generate_series(1, 100) AS n"
        )
        try await bed.ledger.setup(bed.connection)
        try await bed.setClock("2031-05-21 12:05:00Z")
        try await body(bed)
    }
}
