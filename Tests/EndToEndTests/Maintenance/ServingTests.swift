import Foundation
import PostgresClient
import Testing

/// The procedure in processes that run on and on.
@Suite(.timeLimit(.minutes(5))) struct `A procedure that is served` {
    @Test func `roles decide what a start does`() async throws {
        try await Projects.withProjects { sandbox in
            let none = try await sandbox.producer(
                "start",
                environment: ["RUN_SERVER": "0", "RUN_MAINTENANCE": "False"]
            )
            #expect(none.status == .exited(0), "\(none.errors)")
            #expect(none.output.contains("streams are ready\nBoth server and maintenance are disabled. Exiting...\n"))
            let wrong = try await sandbox.producer("start", environment: ["RUN_SETUP": "perhaps"])
            #expect(
                wrong.status == .exited(2) && wrong.errors.contains("RUN_SETUP: \"perhaps\" is neither true nor false")
            )
            let away = try await sandbox.producer("start", environment: ["DATABASE_URL": "postgres://127.0.0.1:1/none"])
            #expect(away.status == .exited(2))
            try await sandbox.execute("DROP SCHEMA \(sandbox.namespace) CASCADE")
            let bare = try await sandbox.producer(
                "start",
                environment: ["RUN_SETUP": "no", "RUN_SERVER": "n", "RUN_MAINTENANCE": "f"]
            )
            #expect(
                bare.status == .exited(0) && bare.output == "Both server and maintenance are disabled. Exiting...\n"
            )
            #expect(try await sandbox.value("SELECT to_regnamespace('\(sandbox.namespace)')") == nil)
        }
    }

    @Test(arguments: [(["RUN_SERVER": "off"], true), (["RUN_MAINTENANCE": "off"], false)])
    func `a start without one of them serves the other`(_ roles: [String: String], _ hasProcedure: Bool) async throws {
        try await Projects.withProjects { sandbox in
            var environment = Projects.environment.merging(roles.mapValues { $0 }) { $1 }
            environment["MAINTENANCE_CRON"] = "0 3 * * *"
            let (_, outcome) = try await sandbox.during(.producer, ["start"], environment: environment) { start in
                let schedules = "\(sandbox.namespace).schedule"
                try await until("it serves") {
                    try await sandbox.number(
                        """
                        SELECT count(*) FROM pg_stat_activity
                        WHERE application_name = 'ebb serve' AND to_regclass('\(schedules)') IS NOT NULL
                        """
                    ) > 0
                }
                if hasProcedure {
                    try await until("the schedule is known") {
                        try await sandbox.number("SELECT count(*) FROM \(schedules)") == 1
                    }
                }
                try await start.stop()
            }
            #expect(outcome.status == .exited(0), "\(outcome.errors)")
            let known = try await sandbox.number("SELECT count(*) FROM \(sandbox.namespace).schedule")
            #expect(known == (hasProcedure ? 1 : 0))
        }
    }

    @Test func `a missed day is caught up by whoever serves next`() async throws {
        try await Projects.withProjects { sandbox in
            var environment = Projects.environment
            // A slot of some hours ago, and the next one as many hours away.
            let hour =
                (try await sandbox.number("SELECT extract(hour FROM now() AT TIME ZONE 'UTC')::integer") + 14) % 24
            environment["MAINTENANCE_CRON"] = "0 \(hour) * * *"
            let served = environment
            @Sendable func serve(
                until what: Comment,
                _ condition: @Sendable @escaping () async throws -> Bool
            ) async throws {
                _ = try await sandbox.during(.producer, ["serve"], environment: served) { serve in
                    try await until(what) { try await condition() }
                    try await serve.stop()
                }
            }
            try await serve(until: "the schedule is known") {
                guard try await sandbox.value("SELECT to_regclass('\(sandbox.namespace).schedule')") != nil else {
                    return false
                }
                return try await sandbox.number("SELECT count(*) FROM \(sandbox.namespace).schedule") == 1
            }
            #expect(try await sandbox.number("SELECT count(*) FROM \(sandbox.namespace).procedure_run") == 0)
            // As if it had been known for days, and nobody had served at its slot.
            try await sandbox.execute(
                "UPDATE \(sandbox.namespace).schedule SET since = now() - interval '3 days', seen_at = now()"
            )
            try await sandbox.withWorkers(1) { _ in
                try await serve(until: "the procedure is over") {
                    try await sandbox.number(
                        "SELECT count(*) FROM \(sandbox.namespace).procedure_run WHERE state = 'finished' AND slot IS NOT NULL"
                    ) == 1
                }
            }
            #expect(try await Projects.left(sandbox) == [500, 0, 0, 0])
            let document = try await sandbox.run(.producer, ["schedules"], environment: served)
            #expect(document.output.contains("(finished)"), "\(document.output)")
            // The slot fires once.
            try await serve(until: "it has looked") {
                try await sandbox.number(
                    "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'ebb serve' AND query LIKE '%\(sandbox.namespace)%'"
                ) > 0
            }
            #expect(try await sandbox.number("SELECT count(*) FROM \(sandbox.namespace).procedure_run") == 1)
        }
    }
}
