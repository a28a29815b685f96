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

    /// AYON's preset and no file; no slot comes while a test lasts.
    private static let ayon: [String: String?] = [
        "EBB_CONFIG": nil, "EBB_PRESETS": "ayon", "EBB_MAINTENANCE_CRON": "0 0 1 1 *",
        "EBB_AYON_WEB_ACTIONS_CRON": "0 0 1 1 *",
    ]

    private static func roles(setup: String, server: String, maintenance: String) -> [String: String?] {
        Self.ayon.merging([
            "AYON_RUN_SETUP": setup, "AYON_RUN_SERVER": server, "AYON_RUN_MAINTENANCE": maintenance,
        ]) { $1 }
    }

    /// The schedules that the ledger knows; nil before there is a ledger.
    private static func schedules(_ sandbox: Sandbox) async throws -> String? {
        let table = "\(sandbox.namespace).schedule"
        guard try await sandbox.value("SELECT to_regclass('\(table)')") != nil else { return nil }
        return try await sandbox.value("SELECT string_agg(schedule, ' ') FROM \(table)")
    }

    @Test func `AYON's variables switch its roles off, in all spellings that AYON takes for false`() async throws {
        try await withSandbox { sandbox in
            let farewell = "Both server and maintenance are disabled. Exiting...\n"
            // AYON's start script knows the first two, its server the others as well.
            for text in ["0", "false", "no", "off", "n", "f"] {
                var environment = Self.roles(setup: text, server: text, maintenance: text)
                // A role that is on all the same would want it, and end at once.
                environment["DATABASE_URL"] = .some(nil)
                let none = try await sandbox.run(.producer, ["start"], environment: environment)
                #expect(none.status == .exited(0) && none.output == farewell, "\(text): \(none.errors)")
            }
            #expect(try await sandbox.leftTraces() == [])
            let environment = Self.roles(setup: "", server: "0", maintenance: "false")
            let empty = try await sandbox.run(.producer, ["start"], environment: environment)
            #expect(empty.status == .exited(0), "\(empty.errors)")
            #expect(empty.output == "ledger schema \(sandbox.namespace) and streams are ready\n\(farewell)")
        }
    }

    @Test(arguments: [("0", "", "procedure"), ("", "false", "WebActions")])
    func `of AYON's roles one is off and the other, which is empty, on`(
        _ server: String,
        _ maintenance: String,
        _ schedule: String
    ) async throws {
        try await withSandbox { sandbox in
            let environment = Self.roles(setup: "true", server: server, maintenance: maintenance)
            let (_, outcome) = try await sandbox.during(.producer, ["start"], environment: environment) { start in
                try await until("its schedule is known") { try await Self.schedules(sandbox) == schedule }
                try await start.stop()
            }
            #expect(outcome.status == .exited(0), "\(outcome.errors)")
            // It has no other that it only did not come to.
            #expect(outcome.errors.contains("schedule.count=1 "), "\(outcome.errors)")
            #expect(try await Self.schedules(sandbox) == schedule)
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
