import Foundation
import PostgresClient
import Testing

/// `producer maintenance --json`.
struct ProcedureDocument: Decodable, Sendable {
    struct Stage: Decodable, Sendable {
        var name: String
        var kind: String
        var subject: String
        var state: String
        var reason: String?
        var started_at: String?
        var finished_at: String?
        var rows: Int
    }

    var procedure: String
    var state: String
    var error: String?
    var rows: Int
    var lapsed: Bool
    var taken_over: Int
    var only: [String]
    var skip: [String]
    var stages: [Stage]

    var states: [String] { self.stages.map { "\($0.name): \($0.state)" } }
}

/// The procedure as programs run it.
@Suite(.timeLimit(.minutes(3))) struct `Producer maintenance` {
    /// Two projects, a table of everybody's, and all kinds of stages.
    static let configuration = """
        presets: []
        schemas:
          projects: {like: "SCHEMA_*"}
        targets:
          Logs: {schema: SCHEMA, table: logs, key: id, max_age: {column: at, age: 1d}}
          Files: {in: projects, table: files, key: id, max_age: {column: at, age: 1d}}
          Off: {schema: SCHEMA, table: logs, key: id, max_age: {column: at, age: "${OFF_AGE}"}}
        indexes:
          Missing: {in: projects, indexes: [{name: files_at, table: files, definition: "(at)"}]}
        hooks:
          Note: {command: {argv: [/bin/true]}}
        procedure:
          time_zone: UTC
          schedule: {cron: "${MAINTENANCE_CRON}"}
          stages:
            - {hook: Note}
            - {target: Logs}
            - {target: Files}
            - {target: Off}
            - {index: Missing}
            - {vacuum: touched}
        roles: {setup: "${RUN_SETUP:-true}", server: "${RUN_SERVER:-true}", maintenance: "${RUN_MAINTENANCE:-true}"}

        """

    /// Short leases, so that what a killed process held is free again soon.
    static let environment: [String: String?] = [
        "EBB_LEASES_DURATION": "1500ms", "EBB_BATCHES_STATEMENT_TIMEOUT": "700ms", "EBB_BATCHES_IDLE_TIMEOUT": "500ms",
        "EBB_BATCHES_ROWS": "50",
    ]

    private func withProjects(_ body: (Sandbox) async throws -> Void) async throws {
        try await withSandbox(Self.configuration) { sandbox in
            let projects = ["a", "b", "c"].map { "\(sandbox.schema)_\($0)" }
            let result: Result<Void, any Error>
            do {
                try await sandbox.execute(
                    "CREATE TABLE \(sandbox.schema).logs (id integer PRIMARY KEY, at timestamptz)",
                    """
                    INSERT INTO \(sandbox.schema).logs SELECT n, now() - (n % 2) * interval '2 days' - interval '1 hour'
                    FROM generate_series(1, 1000) AS n
                    """
                )
                for project in projects {
                    try await sandbox.execute(
                        "CREATE SCHEMA \(project)",
                        "CREATE TABLE \(project).files (id integer PRIMARY KEY, at timestamptz)",
                        "INSERT INTO \(project).files SELECT n, now() - interval '2 days' FROM generate_series(1, 100) AS n"
                    )
                }
                result = .success(try await body(sandbox))
            } catch { result = .failure(error) }
            for project in projects { try await sandbox.execute("DROP SCHEMA IF EXISTS \(project) CASCADE") }
            try result.get()
        }
    }

    private func maintenance(_ sandbox: Sandbox, _ arguments: String...) async throws -> (ProcedureDocument, Outcome) {
        let outcome = try await sandbox.run(
            .producer,
            ["maintenance", "--json"] + arguments,
            environment: Self.environment
        )
        return (try outcome.json(), outcome)
    }

    /// Rows of the logs go slowly: four seconds in all.
    private func slowDown(_ sandbox: Sandbox) async throws {
        try await sandbox.execute(
            """
            CREATE FUNCTION \(sandbox.schema).slow() RETURNS trigger LANGUAGE plpgsql
            AS $$ BEGIN PERFORM pg_sleep(0.008); RETURN old; END $$
            """,
            """
            CREATE TRIGGER slow BEFORE DELETE ON \(sandbox.schema).logs
            FOR EACH ROW EXECUTE FUNCTION \(sandbox.schema).slow()
            """
        )
    }

    private func left(_ sandbox: Sandbox) async throws -> [Int] {
        var counts = [try await sandbox.number("SELECT count(*) FROM \(sandbox.schema).logs")]
        for project in ["a", "b", "c"] {
            counts.append(try await sandbox.number("SELECT count(*) FROM \(sandbox.schema)_\(project).files"))
        }
        return counts
    }

    @Test func `runs all stages with a worker of its own, and nothing is left to do for a second time`() async throws {
        try await self.withProjects { sandbox in
            let (first, outcome) = try await self.maintenance(sandbox)
            #expect(outcome.status == .exited(0), "\(outcome.errors) \(outcome.output)")
            // Other tests' snapshots may keep the vacuum from its work.
            #expect(
                first.states.dropLast() == [
                    "Note: finished", "Logs: finished", "Files: finished", "Off: off", "Missing: finished",
                ]
            )
            #expect(["finished", "skipped"].contains(first.stages[5].state))
            #expect(first.stages.map(\.rows) == [0, 500, 300, 0, 0, 0] && first.rows == 800)
            #expect(first.stages[3].reason == "OFF_AGE is not set")
            #expect(try await self.left(sandbox) == [500, 0, 0, 0])
            let (second, _) = try await self.maintenance(sandbox)
            #expect(second.state == "finished" && second.rows == 0 && second.procedure != first.procedure)
            #expect(second.stages[5].reason == "the procedure has deleted nothing")
            try await sandbox.expectQueueAtRest()
        }
    }

    @Test func `prints a line for each stage, and the stages that were asked for are run`() async throws {
        try await self.withProjects { sandbox in
            let outcome = try await sandbox.run(
                .producer,
                ["maintenance", "--only", "Note, Logs", "--skip", "Note"],
                environment: Self.environment
            )
            #expect(outcome.status == .exited(0), "\(outcome.errors)")
            let lines = outcome.output.split(separator: "\n").map(String.init)
            #expect(lines.contains("Logs: finished, 500 rows deleted"), "\(outcome.output)")
            #expect(lines.last == "finished, 500 rows deleted", "\(outcome.output)")
            #expect(try await self.left(sandbox) == [500, 100, 100, 100])
            let shown = try await sandbox.producer("maintenance", "--show")
            #expect(shown.output.contains("left out by --skip") && shown.output.contains("not named by --only"))
        }
    }

    @Test(arguments: ["--only", "--skip"])
    func `an unknown stage is a mistake in using it`(_ option: String) async throws {
        try await self.withProjects { sandbox in
            let outcome = try await sandbox.producer("maintenance", option, "Log")
            #expect(outcome.status == .exited(64))
            #expect(outcome.complaints.count == 1, "\(outcome.errors)")
            #expect(outcome.errors.hasPrefix("\(option): the procedure has no stage Log; did you mean Logs?"))
            #expect(try await sandbox.leftTraces() == [])
        }
    }

    @Test(arguments: [
        ["--only", ""], ["--only", ","], ["--only", " "], ["--skip", ""], ["--only", "Logs,"],
        ["--skip", "Logs", "--only", ""],
    ])
    func `an empty name, such as an unset variable's, is a mistake in using it`(_ options: [String]) async throws {
        try await self.withProjects { sandbox in
            let outcome = try await sandbox.run(.producer, ["maintenance"] + options)
            #expect(outcome.status == .exited(64), "\(outcome.output)")
            #expect(outcome.errors.contains("has an empty name; accepted: "), "\(outcome.errors)")
            #expect(try await sandbox.leftTraces() == [])
        }
    }

    @Test func `repeated options add up`() async throws {
        try await self.withProjects { sandbox in
            let (document, outcome) = try await self.maintenance(
                sandbox,
                "--only",
                "Logs",
                "--only",
                "Note,Files",
                "--skip",
                "Note",
                "--skip",
                "Off"
            )
            #expect(outcome.status == .exited(0), "\(outcome.errors)")
            #expect(document.only == ["Files", "Logs", "Note"] && document.skip == ["Note", "Off"])
            #expect(document.states.prefix(3) == ["Note: skipped", "Logs: finished", "Files: finished"])
        }
    }

    @Test func `without a procedure there is nothing to run`() async throws {
        try await withSandbox { sandbox in
            let outcome = try await sandbox.producer("maintenance", environment: ["EBB_PRESETS": "none"])
            #expect(outcome.status == .exited(2))
            #expect(outcome.errors.hasPrefix("there is no procedure; accepted: "), "\(outcome.errors)")
        }
    }

    @Test func `one project's failure stays its own`() async throws {
        try await self.withProjects { sandbox in
            try await sandbox.execute("DROP TABLE \(sandbox.schema)_b.files")
            let (document, outcome) = try await self.maintenance(sandbox)
            #expect(outcome.status == .exited(1))
            #expect(document.state == "failed" && document.error == "stage Files failed")
            let files = document.stages[2]
            #expect(files.state == "failed" && files.rows == 200)
            #expect(files.reason?.hasPrefix("1 of 3 runs failed, the first of them \(sandbox.schema)_b: ") == true)
            #expect(document.stages[1].state == "finished" && document.stages[4].state == "finished")
            #expect(try await sandbox.number("SELECT count(*) FROM \(sandbox.schema)_c.files") == 0)
        }
    }

    @Test func `a second one says that the first is under way, and refuses other stages`() async throws {
        try await self.withProjects { sandbox in
            try await self.slowDown(sandbox)
            let (_, outcome) = try await sandbox.during(.producer, ["maintenance"], environment: Self.environment) {
                _ in
                try await until("a run is at work") { try await sandbox.runs().count == 1 }
                let second = try await sandbox.producer("maintenance")
                #expect(second.status == .exited(0), "\(second.errors)")
                #expect(second.output.contains(" is under way: in progress at stage Logs"), "\(second.output)")
                let other = try await sandbox.producer("maintenance", "--skip", "Note")
                #expect(other.status == .exited(2))
                #expect(other.errors.contains("is under way with all stages, asked for --skip Note"), "\(other.errors)")
                let status = try await sandbox.producer("status")
                #expect(status.output.contains("procedure run ") && status.output.contains("at stage Logs"))
            }
            #expect(outcome.status == .exited(0), "\(outcome.errors) \(outcome.output)")
            #expect(try await sandbox.number("SELECT count(*) FROM \(sandbox.namespace).procedure_run") == 1)
        }
    }

    @Test func `is gone on with after a kill in the middle`() async throws {
        try await self.withProjects { sandbox in
            try await self.slowDown(sandbox)
            let (_, killed) = try await sandbox.during(.producer, ["maintenance"], environment: Self.environment) {
                first in
                try await until("some rows are gone") {
                    try await sandbox.number("SELECT count(*) FROM \(sandbox.schema).logs") < 1_000
                }
                first.send(SIGKILL)
            }
            #expect(killed.status == .killed(by: SIGKILL))
            try await until("it is lapsed, and shown so") {
                let shown = try await sandbox.producer("maintenance", "--show", "--json").json([ProcedureDocument].self)
                return shown.first?.lapsed == true && shown.first?.state == "in_progress"
            }
            let runs = try await sandbox.producer("runs")
            #expect(runs.output.contains("its process is gone"), "\(runs.output)")
            let (document, outcome) = try await self.maintenance(sandbox)
            #expect(outcome.status == .exited(0), "\(outcome.errors)")
            #expect(document.taken_over == 1 && document.state == "finished")
            // Exact, whoever started the runs.
            #expect(document.stages.map(\.rows) == [0, 500, 300, 0, 0, 0])
            #expect(try await self.left(sandbox) == [500, 0, 0, 0])
            #expect(try await sandbox.number("SELECT count(*) FROM \(sandbox.namespace).procedure_run") == 1)
        }
    }

    @Test func `is taken over by any serve`() async throws {
        try await self.withProjects { sandbox in
            try await self.slowDown(sandbox)
            _ = try await sandbox.during(.producer, ["maintenance"], environment: Self.environment) { first in
                try await until("some rows are gone") {
                    try await sandbox.number("SELECT count(*) FROM \(sandbox.schema).logs") < 1_000
                }
                first.send(SIGKILL)
            }
            _ = try await sandbox.during(.worker, environment: Self.environment) { worker in
                _ = try await sandbox.during(.producer, ["serve"], environment: Self.environment) { serve in
                    try await until("it is over") {
                        try await sandbox.number(
                            "SELECT count(*) FROM \(sandbox.namespace).procedure_run WHERE state = 'finished'"
                        ) == 1
                    }
                    try await serve.stop()
                }
                try await worker.stop()
            }
            #expect(try await self.left(sandbox) == [500, 0, 0, 0])
        }
    }

    @Test func `says in the ledger that it was told to stop`() async throws {
        try await self.withProjects { sandbox in
            try await self.slowDown(sandbox)
            let (_, outcome) = try await sandbox.during(.producer, ["maintenance"], environment: Self.environment) {
                first in
                try await until("some rows are gone") {
                    try await sandbox.number("SELECT count(*) FROM \(sandbox.schema).logs") < 1_000
                }
                first.send(SIGTERM)
            }
            #expect(outcome.status == .exited(1), "\(outcome.errors)")
            #expect(outcome.errors.contains("stopped by SIGTERM"))
            let shown = try await sandbox.producer("maintenance", "--show", "--json").json([ProcedureDocument].self)
            let document = try #require(shown.first)
            #expect(document.state == "failed" && document.error == "stopped by SIGTERM")
            #expect(document.states.prefix(3) == ["Note: finished", "Logs: failed", "Files: skipped"])
            // Nothing stands in the way of the next one.
            let (next, _) = try await self.maintenance(sandbox)
            #expect(next.state == "finished" && next.procedure != document.procedure)
            #expect(try await self.left(sandbox) == [500, 0, 0, 0])
        }
    }

    @Test func `roles decide what a start does`() async throws {
        try await self.withProjects { sandbox in
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
        try await self.withProjects { sandbox in
            var environment = Self.environment.merging(roles.mapValues { $0 }) { $1 }
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
        try await self.withProjects { sandbox in
            var environment = Self.environment
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
            #expect(try await self.left(sandbox) == [500, 0, 0, 0])
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
