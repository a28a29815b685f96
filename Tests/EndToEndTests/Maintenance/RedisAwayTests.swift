import Foundation
import Testing

@Suite(.timeLimit(.minutes(5))) struct `Producer maintenance without Redis` {
    @Test func `waits at its stage until Redis is back, and counts exactly`() async throws {
        let procedure = "procedure: {stages: [{target: Events, timeout: 10m}, {vacuum: touched}]}\n"
        let environment = Projects.environment
        try await withRedisSandbox(Events.target() + procedure) { sandbox, server in
            try await sandbox.createEvents(2_000)
            try await sandbox.slowDown()
            let before = try await sandbox.rows()
            let (_, outcome) = try await sandbox.during(
                .producer,
                ["maintenance", "--json"],
                environment: environment
            ) { _ in
                try await until("some rows are gone") { try await sandbox.rows() < before }
                try await server.kill(SIGTERM)
                try await until("the worker stands still") {
                    try await sandbox.number(
                        """
                        SELECT count(*) FROM pg_stat_activity
                        WHERE state <> 'idle' AND query LIKE '%\(sandbox.namespace)%' AND pid <> pg_backend_pid()
                        """
                    ) == 0
                }
                try await sandbox.slow(by: 0)
                try await server.start()
            }
            #expect(outcome.status == .exited(0), "\(outcome.errors) \(outcome.output)")
            let document = try outcome.json(ProcedureDocument.self)
            #expect(document.stages.first?.state == "finished")
            let after = try await sandbox.rows()
            #expect(document.rows == before - after)
            try await sandbox.expectSurvivors()
            try await sandbox.expectQueueAtRest()
        }
    }
}
