import Foundation
import Testing

/// A run that outlived whoever started it, and its own time, as after a CronJob's pod was evicted.
@Suite(.timeLimit(.minutes(5))) struct `A run whose time was over while nobody was there` {
    private func withLeftover(_ body: (Sandbox, _ run: String) async throws -> Void) async throws {
        try await withSandbox { sandbox in
            try await sandbox.createEvents(5_000)
            let arguments = ["enqueue", "Events", "--batch-rows", "50", "--timeout", "300ms"]
            let enqueue = try await sandbox.run(.producer, arguments)
            #expect(enqueue.status == .exited(0), "\(enqueue.errors)")
            let run = try #require(try await sandbox.runs().first)
            try await until("its time is over") {
                try await sandbox.number(
                    "SELECT count(*) FROM \(sandbox.namespace).run WHERE deadline < clock_timestamp() AND finished_at IS NULL"
                ) == 1
            }
            try await body(sandbox, run)
        }
    }

    @Test(arguments: [[], ["--max-age", "31d"]])
    func `does not stand in the way of the next cleanup, whatever it was made with`(knobs: [String]) async throws {
        try await self.withLeftover { sandbox, leftover in
            let outcome = try await sandbox.run(
                .producer,
                ["cleanup", "Events", "--timeout", "4m", "--workers", "1"] + knobs
            )
            #expect(outcome.status == .exited(0), "\(outcome.output) \(outcome.errors)")
            #expect(outcome.output.contains("Events: finished, "), "\(outcome.output)")
            let end = try await sandbox.status(of: leftover)
            #expect((end.state, end.error) == ("failed", "timed out"))
            #expect(try await sandbox.number("SELECT count(*) FROM \(sandbox.namespace).run") == 2)
            if knobs.isEmpty { try await sandbox.expectSurvivors() }
            try await sandbox.expectQueueAtRest()
        }
    }

    @Test func `ends although its target has another definition by now`() async throws {
        try await self.withLeftover { sandbox, leftover in
            let other = Events.target(keepsNewest: false).replacing("SCHEMA", with: sandbox.schema)
            try other.write(toFile: sandbox.directory + "/ebb.yaml", atomically: true, encoding: .utf8)
            let outcome = try await sandbox.producer("cleanup", "Events", "--workers", "1")
            #expect(outcome.status == .exited(0), "\(outcome.output) \(outcome.errors)")
            #expect(try await sandbox.status(of: leftover).error == "timed out")
        }
    }
}
