import Foundation
import Testing

/// `producer cleanup` and the workers that belong to it, when something ends before its time.
@Suite(.timeLimit(.minutes(5))) struct `A cleanup with workers of its own` {
    /// Short leases, so that what a killed worker held is free again soon.
    private static let environment: [String: String?] = [
        "EBB_LEASES_DURATION": "1500ms", "EBB_BATCHES_STATEMENT_TIMEOUT": "700ms", "EBB_BATCHES_IDLE_TIMEOUT": "500ms",
    ]

    private func workers(_ sandbox: Sandbox, of producer: Running) throws -> [Int] {
        try ProcessTable.pids(with: "EBB_NAMESPACE", sandbox.namespace).filter { $0 != producer.pid }
    }

    /// Runs a cleanup of slow batches, with two workers; `body` begins when both are at work.
    private func withCleanup(
        environment: [String: String?] = Self.environment,
        _ body: @escaping @Sendable (Sandbox, Running) async throws -> Void,
        then check: @Sendable (Outcome) throws -> Void
    ) async throws {
        try await withSandbox { sandbox in
            try await sandbox.createEvents(3_000)
            try await sandbox.slowDown()
            let (_, outcome) = try await sandbox.during(
                .producer,
                ["cleanup", "Events", "--workers", "2", "--batch-rows", "10"],
                environment: environment
            ) { producer in
                try await until("two workers are at work") {
                    guard let run = try await sandbox.runs().first else { return false }
                    return try await sandbox.field("leased", of: run) >= 2
                }
                try await body(sandbox, producer)
            }
            try await until("no worker is left") {
                try ProcessTable.pids(with: "EBB_NAMESPACE", sandbox.namespace).isEmpty
            }
            if outcome.status == .exited(0) { try await sandbox.expectSurvivors() }
            try check(outcome)
        }
    }

    @Test func `replaces a worker that was killed`() async throws {
        try await self.withCleanup { sandbox, producer in
            let workers = try self.workers(sandbox, of: producer)
            let worker = try #require(workers.first)
            kill(pid_t(worker), SIGKILL)
            try await until("there is another") {
                try self.workers(sandbox, of: producer).contains { !workers.contains($0) }
            }
            try await sandbox.slow(by: 0)
        } then: { outcome in
            #expect(outcome.status == .exited(0), "\(outcome.errors)")
            #expect(outcome.errors.contains("a local worker ended by itself"), "\(outcome.errors)")
        }
    }

    @Test func `stops its workers when it is told to stop, and says so`() async throws {
        // With leases that no busy machine lets lapse, of which a worker would warn.
        try await self.withCleanup(environment: [:]) { _, producer in
            try await producer.stop()
        } then: { outcome in
            #expect(outcome.status == .exited(1), "\(outcome.errors)")
            #expect(outcome.complaints.count == 1, "\(outcome.errors)")
            #expect(outcome.errors.contains("stopped by SIGTERM"), "\(outcome.errors)")
        }
    }

    @Test func `leaves no worker behind when it is killed`() async throws {
        try await self.withCleanup { _, producer in
            producer.send(SIGKILL)
        } then: { outcome in
            #expect(outcome.status == .killed(by: SIGKILL))
        }
    }

    @Test func `leaves no worker behind either when it was killed before the worker looked`() async throws {
        try await withSandbox { sandbox in
            // No process has this id, as if it had ended.
            let outcome = try await sandbox.run(.worker, ["--end-with-parent", "\(Int32.max)"])
            #expect(outcome.status == .exited(0), "\(outcome.errors)")
        }
    }

    @Test func `does not wait longer than it may for a run that was there before`() async throws {
        try await withSandbox { sandbox in
            try await sandbox.createEvents(1_000)
            let enqueued = try await sandbox.producer("enqueue", "Events", "--json").json([StatusDocument].self)
            let run = try #require(enqueued.first?.run)
            let paused = try await sandbox.producer("pause", run)
            #expect(paused.status == .exited(0), "\(paused.errors)")
            let cleanup = try await sandbox.producer("cleanup", "Events", "--timeout", "1s", "--workers", "0")
            #expect(cleanup.status == .exited(1), "\(cleanup.errors)")
            let line = "Events: timed out: the timeout of 1s was over, and the run is still paused, 0 rows deleted"
            #expect(cleanup.output.contains(line), "\(cleanup.output)")
        }
    }
}
