import Logging
import PostgresClient
import ServiceLifecycle
import Shared

/// Lets a scheduler look whenever something is due, as long as the program runs.
struct SchedulerService: Service {
    let services: Services
    let queue: Queue
    let entries: [ScheduleEntry]

    /// An outage must not make a slot late for longer than catch-up allows by default.
    private static let longestPause = Duration.seconds(10)

    func run() async throws {
        do {
            try await cancelWhenGracefulShutdown { try await self.look() }
        } catch is CancellationError {}
    }

    private func look() async throws {
        let pool = ConnectionPool(try self.services.postgresConfiguration(as: "ebb serve"))
        var scheduler = Scheduler(services: self.services, queue: self.queue, entries: self.entries, pool: pool)
        var outage = Outage(self.services.configuration.outages)
        var isReady = false
        while true {
            var pause: Duration
            do {
                if !isReady { try await self.prepare(pool) }
                isReady = true
                pause = try await scheduler.look()
                if outage.isOn { self.services.logger.info("PostgreSQL is back") }
                outage.ended()
            } catch let error as CancellationError {
                throw error
            } catch  where isReady || Self.mayEnd(error) {
                if !outage.isOn {
                    self.services.logger.log(.warning, "PostgreSQL is away; schedules wait", [.error: "\(error)"])
                }
                pause = min(outage.failed(), Self.longestPause)
            }
            try await Task.sleep(for: pause)
        }
    }

    private func prepare(_ pool: ConnectionPool) async throws {
        let ledger = self.services.ledger
        try await pool.withConnection { try await ledger.setup($0) }
        let on = self.entries.filter { $0.timing != nil }.count
        self.services.logger.log(.info, "scheduler started", [.schedules: "\(on)"])
    }

    /// Whether what stands in the way at the start is an outage, and not a wrong password or database, which a person has
    /// to put right.
    private static func mayEnd(_ error: any Error) -> Bool {
        let state = (error as? PostgresError)?.sqlState?.classCode
        return [.serverAway, .conflict, .locked].contains(Fault(error)) && state != "28" && state != "3D"
    }
}
