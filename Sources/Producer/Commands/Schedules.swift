import ArgumentParser
import Foundation
import PostgresClient
import Shared

/// `producer schedules`: what `producer serve` fires, and what became of it; from configuration and ledger, without Redis.
struct Schedules: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Lists schedules: cron, on or off and why, the last slot and what became of it, the next slot."
    )

    @Flag(help: "Print one JSON document.")
    var json = false

    /// One target of one schedule; the names of its fields are a contract.
    private struct Line: Encodable {
        var schedule: String
        var target: String
        @OrNull var cron: String? = nil
        @OrNull var timeZone: String? = nil
        @OrNull var jitterSeconds: Double? = nil
        @OrNull var catchUpSeconds: Double? = nil
        @OrNull var timeoutSeconds: Double? = nil
        var on: Bool
        @OrNull var reason: String? = nil
        @OrNull var lastSlot: String? = nil
        @OrNull var settledAt: String? = nil
        @OrNull var outcome: String? = nil
        @OrNull var run: String? = nil
        @OrNull var runState: String? = nil
        @OrNull var nextSlot: String? = nil
        @OrNull var nextDue: String? = nil
        /// When a `producer serve` with this definition last looked; nil for never.
        @OrNull var seenAt: String? = nil

        private enum CodingKeys: String, CodingKey {
            case schedule, target, cron, on, reason, outcome, run
            case timeZone = "time_zone"
            case jitterSeconds = "jitter_seconds"
            case catchUpSeconds = "catch_up_seconds"
            case timeoutSeconds = "timeout_seconds"
            case lastSlot = "last_slot"
            case settledAt = "settled_at"
            case runState = "run_state"
            case nextSlot = "next_slot"
            case nextDue = "next_due"
            case seenAt = "seen_at"
        }
    }

    func run() async throws {
        try await reportingErrors {
            let services = try Services.producer()
            let entries = try services.schedules()
            let connection = try await services.connectPostgres(as: "ebb producer")
            let book = try await services.ledger.schedules(connection)
            await connection.close()
            let lines = entries.map { Self.line($0, book) }
            if self.json { return try Output.json(lines) }
            if lines.isEmpty { return print("there is no schedule") }
            Output.table(
                [["SCHEDULE", "TARGET", "CRON", "ZONE", "ON", "LAST", "OUTCOME", "NEXT"]] + lines.map(Self.cells)
            )
        }
    }

    private static func line(_ entry: ScheduleEntry, _ book: Ledger.ScheduleBook) -> Line {
        var line = Line(
            schedule: entry.schedule,
            target: entry.work.name,
            on: entry.reason == nil,
            reason: entry.reason
        )
        if let state = book.state(of: entry.schedule, target: entry.work.name) {
            line.lastSlot = state.lastSlot?.formatted(.iso8601)
            line.settledAt = state.firedAt?.formatted(.iso8601)
            line.outcome = state.outcome
            line.run = state.run
            line.runState = state.runState
            if state.definition == entry.timing?.definition { line.seenAt = state.seenAt.formatted(.iso8601) }
        }
        guard let timing = entry.timing else { return line }
        line.cron = timing.cron.text
        line.timeZone = timing.zone.name
        line.jitterSeconds = timing.jitter.timeInterval
        line.catchUpSeconds = timing.catchUp.timeInterval
        line.timeoutSeconds = timing.timeout?.timeInterval
        let floor = book.state(of: entry.schedule, target: entry.work.name)?.floor ?? book.now
        if let next = timing.next(at: book.now, after: floor) {
            line.nextSlot = next.slot.formatted(.iso8601)
            line.nextDue = next.due.formatted(.iso8601)
        }
        return line
    }

    private static func cells(_ line: Line) -> [String] {
        let outcome = [line.outcome, line.run, line.runState.map { "(\($0))" }].compactMap { $0 }
        return [
            line.schedule, line.target, line.cron ?? "", line.timeZone ?? "",
            line.on ? "on" : "off: \(line.reason ?? "")", line.lastSlot ?? "never",
            // A skipped slot's outcome names the run already.
            line.outcome == Ledger.started ? outcome.joined(separator: " ") : line.outcome ?? "", line.nextSlot ?? "",
        ]
    }
}
