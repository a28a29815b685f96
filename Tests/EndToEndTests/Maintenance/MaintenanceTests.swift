import Foundation
import PostgresClient
import Testing

/// The procedure as programs run it.
@Suite(.timeLimit(.minutes(5))) struct `Producer maintenance` {
    @Test func `runs all stages with a worker of its own, and nothing is left to do for a second time`() async throws {
        try await Projects.withProjects { sandbox in
            let (first, outcome) = try await Projects.maintenance(sandbox)
            #expect(outcome.status == .exited(0), "\(outcome.errors) \(outcome.output)")
            // Another session's snapshot may keep the vacuum from its work.
            #expect(
                first.states.dropLast() == [
                    "Note: finished", "Logs: finished", "Files: finished", "Off: off", "Missing: finished",
                ]
            )
            #expect(["finished", "skipped"].contains(first.stages[5].state))
            #expect(first.stages.map(\.rows) == [0, 500, 300, 0, 0, 0] && first.rows == 800)
            #expect(first.stages[3].reason == "OFF_AGE is not set")
            #expect(try await Projects.left(sandbox) == [500, 0, 0, 0])
            let (second, _) = try await Projects.maintenance(sandbox)
            #expect(second.state == "finished" && second.rows == 0 && second.procedure != first.procedure)
            #expect(second.stages[5].reason == "the procedure has deleted nothing")
            try await sandbox.expectQueueAtRest()
        }
    }

    @Test func `prints a line for each stage, and the stages that were asked for are run`() async throws {
        try await Projects.withProjects { sandbox in
            let outcome = try await sandbox.run(
                .producer,
                ["maintenance", "--only", "Note, Logs", "--skip", "Note"],
                environment: Projects.environment
            )
            #expect(outcome.status == .exited(0), "\(outcome.errors)")
            let lines = outcome.output.split(separator: "\n").map(String.init)
            #expect(lines.contains("Logs: finished, 500 rows deleted"), "\(outcome.output)")
            #expect(lines.last == "finished, 500 rows deleted", "\(outcome.output)")
            #expect(try await Projects.left(sandbox) == [500, 100, 100, 100])
            let shown = try await sandbox.producer("maintenance", "--show")
            #expect(shown.output.contains("left out by --skip") && shown.output.contains("not named by --only"))
        }
    }

    @Test(arguments: ["--only", "--skip"])
    func `an unknown stage is a mistake in using it`(_ option: String) async throws {
        try await Projects.withProjects { sandbox in
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
        try await Projects.withProjects { sandbox in
            let outcome = try await sandbox.run(.producer, ["maintenance"] + options)
            #expect(outcome.status == .exited(64), "\(outcome.output)")
            #expect(outcome.errors.contains("has an empty name; accepted: "), "\(outcome.errors)")
            #expect(try await sandbox.leftTraces() == [])
        }
    }

    @Test func `repeated options add up`() async throws {
        try await Projects.withProjects { sandbox in
            let (document, outcome) = try await Projects.maintenance(
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
        try await Projects.withProjects { sandbox in
            try await sandbox.execute("DROP TABLE \(sandbox.schema)_b.files")
            let (document, outcome) = try await Projects.maintenance(sandbox)
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
        try await Projects.withProjects { sandbox in
            try await Projects.slowDown(sandbox, by: 1)
            let environment = Projects.patient(lease: "30s")
            let (_, outcome) = try await sandbox.during(.producer, ["maintenance"], environment: environment) { _ in
                try await until("a run is at work") { try await sandbox.runs().count == 1 }
                let second = try await sandbox.producer("maintenance")
                #expect(second.status == .exited(0), "\(second.errors)")
                #expect(second.output.contains(" is under way: in progress at stage Logs"), "\(second.output)")
                let other = try await sandbox.producer("maintenance", "--skip", "Note")
                #expect(other.status == .exited(2))
                #expect(other.errors.contains("is under way with all stages, asked for --skip Note"), "\(other.errors)")
                let status = try await sandbox.producer("status")
                #expect(status.output.contains("procedure run ") && status.output.contains("at stage Logs"))
                try await Projects.letGo(sandbox)
            }
            #expect(outcome.status == .exited(0), "\(outcome.errors) \(outcome.output)")
            #expect(try await sandbox.number("SELECT count(*) FROM \(sandbox.namespace).procedure_run") == 1)
        }
    }

    @Test func `has batches of one stage at all workers at once`() async throws {
        try await Projects.withProjects { sandbox in
            try await Projects.slowDown(sandbox, by: 1)
            let environment = Projects.patient(lease: "60s")
            let outcome = try await sandbox.withWorkers(2, ["--concurrency", "1"], environment: environment) { _ in
                let command = ["maintenance", "--workers", "0", "--json"]
                return try await sandbox.during(.producer, command, environment: environment) { _ in
                    try await until("both workers delete") { try await Projects.twoWorkersDelete(sandbox) }
                    try await Projects.letGo(sandbox)
                }.outcome
            }
            #expect(outcome.status == .exited(0), "\(outcome.errors) \(outcome.output)")
            let document = try outcome.json(ProcedureDocument.self)
            #expect(document.state == "finished" && document.stages.map(\.rows) == [0, 500, 300, 0, 0, 0])
            #expect(try await Projects.left(sandbox) == [500, 0, 0, 0])
            try await sandbox.expectQueueAtRest()
        }
    }

    @Test func `is gone on with after a kill in the middle`() async throws {
        try await Projects.withProjects { sandbox in
            try await Projects.slowDown(sandbox)
            let (_, killed) = try await sandbox.during(.producer, ["maintenance"], environment: Projects.environment) {
                first in
                try await until("some rows are gone") {
                    try await sandbox.number("SELECT count(*) FROM \(sandbox.schema).logs") < 1_000
                }
                first.send(SIGKILL)
            }
            #expect(killed.status == .killed(by: SIGKILL))
            try await Projects.letGo(sandbox)
            try await until("it is lapsed, and shown so") {
                let shown = try await sandbox.producer("maintenance", "--show", "--json").json([ProcedureDocument].self)
                return shown.first?.lapsed == true && shown.first?.state == "in_progress"
            }
            let runs = try await sandbox.producer("runs")
            #expect(runs.output.contains("its process is gone"), "\(runs.output)")
            let (document, outcome) = try await Projects.maintenance(sandbox)
            #expect(outcome.status == .exited(0), "\(outcome.errors)")
            #expect(document.taken_over == 1 && document.state == "finished")
            // Exact, whoever started the runs.
            #expect(document.stages.map(\.rows) == [0, 500, 300, 0, 0, 0])
            #expect(try await Projects.left(sandbox) == [500, 0, 0, 0])
            #expect(try await sandbox.number("SELECT count(*) FROM \(sandbox.namespace).procedure_run") == 1)
        }
    }

    @Test func `is gone on with by one that is started right after a kill`() async throws {
        try await Projects.withProjects { sandbox in
            try await Projects.slowDown(sandbox)
            // Long enough for the second one to begin within it, even on a busy machine.
            let environment = Projects.environment.merging(["EBB_LEASES_DURATION": "6s"]) { $1 }
            let (_, killed) = try await sandbox.during(.producer, ["maintenance"], environment: environment) { first in
                try await until("some rows are gone") {
                    try await sandbox.number("SELECT count(*) FROM \(sandbox.schema).logs") < 1_000
                }
                first.send(SIGKILL)
            }
            #expect(killed.status == .killed(by: SIGKILL))
            try await Projects.letGo(sandbox)
            let next = try await sandbox.run(.producer, ["maintenance", "--json"], environment: environment)
            #expect(next.status == .exited(0), "\(next.errors)")
            let document = try next.json(ProcedureDocument.self)
            #expect(document.state == "finished" && document.taken_over == 1, "\(next.output)")
            #expect(try await Projects.left(sandbox) == [500, 0, 0, 0])
        }
    }

    @Test func `is taken over by any serve`() async throws {
        try await Projects.withProjects { sandbox in
            try await Projects.slowDown(sandbox)
            _ = try await sandbox.during(.producer, ["maintenance"], environment: Projects.environment) { first in
                try await until("some rows are gone") {
                    try await sandbox.number("SELECT count(*) FROM \(sandbox.schema).logs") < 1_000
                }
                first.send(SIGKILL)
            }
            try await Projects.letGo(sandbox)
            _ = try await sandbox.during(.worker, environment: Projects.environment) { worker in
                _ = try await sandbox.during(.producer, ["serve"], environment: Projects.environment) { serve in
                    try await until("it is over") {
                        try await sandbox.number(
                            "SELECT count(*) FROM \(sandbox.namespace).procedure_run WHERE state = 'finished'"
                        ) == 1
                    }
                    try await serve.stop()
                }
                try await worker.stop()
            }
            #expect(try await Projects.left(sandbox) == [500, 0, 0, 0])
        }
    }

    @Test func `says in the ledger that it was told to stop`() async throws {
        try await Projects.withProjects { sandbox in
            try await Projects.slowDown(sandbox)
            let environment = Projects.patient(lease: "60s")
            let (_, outcome) = try await sandbox.during(.producer, ["maintenance"], environment: environment) { first in
                try await until("some rows are gone") {
                    try await sandbox.number("SELECT count(*) FROM \(sandbox.schema).logs") < 1_000
                }
                first.send(SIGTERM)
            }
            try await Projects.letGo(sandbox)
            #expect(outcome.status == .exited(1), "\(outcome.errors)")
            #expect(outcome.errors.contains("stopped by SIGTERM"))
            let shown = try await sandbox.producer("maintenance", "--show", "--json").json([ProcedureDocument].self)
            let document = try #require(shown.first)
            #expect(document.state == "failed" && document.error == "stopped by SIGTERM")
            #expect(document.states.prefix(3) == ["Note: finished", "Logs: failed", "Files: skipped"])
            // Nothing stands in the way of the next one.
            let (next, _) = try await Projects.maintenance(sandbox)
            #expect(next.state == "finished" && next.procedure != document.procedure)
            #expect(try await Projects.left(sandbox) == [500, 0, 0, 0])
        }
    }

    @Test func `begins no other one when it is stopped in the middle of one that was left for long`() async throws {
        try await Projects.withProjects { sandbox in
            try await Projects.slowDown(sandbox)
            let environment = Projects.patient(lease: "60s")
            _ = try await sandbox.during(.producer, ["maintenance"], environment: environment) { first in
                try await until("some rows are gone") {
                    try await sandbox.number("SELECT count(*) FROM \(sandbox.schema).logs") < 1_000
                }
                first.send(SIGKILL)
            }
            let runs = "\(sandbox.namespace).procedure_run"
            try await sandbox.execute(
                "UPDATE \(runs) SET beat_at = now() - interval '3 hours', lease_until = now() - interval '2 hours'"
            )
            let (_, outcome) = try await sandbox.during(.producer, ["maintenance"], environment: environment) {
                second in
                try await until("it has taken the other over") {
                    try await sandbox.number("SELECT count(*) FROM \(runs) WHERE lease_until > now()") == 1
                }
                try await second.stop()
            }
            try await Projects.letGo(sandbox)
            #expect(outcome.status == .exited(1), "\(outcome.errors)")
            #expect(try await sandbox.number("SELECT count(*) FROM \(runs)") == 1)
            #expect(try await sandbox.value("SELECT error FROM \(runs)") == "stopped by SIGTERM")
        }
    }
}
