import Foundation
import RedisClient
import Testing

@Suite(.timeLimit(.minutes(5))) struct `An operator` {
    @Test func `pauses a run with two workers, and it goes on when resumed`() async throws {
        try await withSandbox { sandbox in
            try await sandbox.createEvents(20_000)
            try await sandbox.slowDown(by: 1)
            let before = try await sandbox.rows()
            // No batch that has begun comes back.
            let patient: [String: String?] = [
                "EBB_LEASES_DURATION": "300s", "EBB_BATCHES_STATEMENT_TIMEOUT": "100s",
                "EBB_BATCHES_IDLE_TIMEOUT": "100s",
            ]
            let run = try await sandbox.withWorkers(2, environment: patient) { _ in
                let (run, _, waited) = try await sandbox.duringRun(batchRows: 50) { run in
                    let pause = try await sandbox.producer("pause", run)
                    #expect(pause.status == .exited(0), "\(pause.errors)")
                    #expect(pause.output.contains("run \(run) is paused"))
                    let atPause = try await sandbox.fields("done", "leased", of: run)
                    #expect(atPause[1] <= 4, "two workers have two slots each")

                    // Its batches are parked as they turn up; those under way end.
                    try await until("nothing of the run is open but what is parked") {
                        try await sandbox.fields("queued", "leased", "delayed", of: run) == [0, 0, 0]
                    }
                    let parked = try await sandbox.status(of: run)
                    #expect(parked.state == "paused")
                    #expect(parked.error == nil)
                    #expect(parked.batches.done == atPause[0] + atPause[1], "a batch began after the pause")
                    #expect(parked.batches.parked > 50)
                    #expect(parked.batches.total == parked.batches.done + parked.batches.parked)
                    let rows = try await sandbox.rows()
                    #expect(parked.rows.deleted == before - rows)
                    // A paused run does not count for it.
                    let drain = try await sandbox.run(.worker, ["--drain"])
                    #expect(drain.status == .exited(0), "\(drain.errors)")
                    #expect(try await sandbox.rows() == rows)

                    try await sandbox.slow(by: 0)
                    let resume = try await sandbox.producer("resume", run)
                    #expect(resume.status == .exited(0), "\(resume.errors)")
                    #expect(resume.output == "run \(run) is running\n")
                }
                // An operator's pause does not end the wait.
                #expect(waited.status == .exited(0), "\(waited.errors)")
                #expect(try waited.json([StatusDocument].self).map(\.state) == ["finished"])
                return run
            }
            let status = try await sandbox.expectEnd(of: run, deletedFrom: before)
            #expect(status.batches.done == status.batches.total)
            try await sandbox.expectSurvivors()
            try await sandbox.expectQueueAtRest()
        }
    }

    @Test func `cancels a run with two workers, and starts another`() async throws {
        try await withSandbox { sandbox in
            try await sandbox.createEvents(20_000)
            try await sandbox.slowDown(by: 1)
            let before = try await sandbox.rows()
            try await sandbox.withWorkers(2) { _ in
                let (run, _, waited) = try await sandbox.duringRun(batchRows: 50) { run in
                    let cancel = try await sandbox.producer("cancel", run)
                    #expect(cancel.status == .exited(0), "\(cancel.errors)")
                    #expect(cancel.output.contains("run \(run) is cancelled"))
                }
                #expect(waited.status == .exited(1))
                #expect(try waited.json([StatusDocument].self).map(\.state) == ["cancelled"])
                let status = try await sandbox.expectEnd("cancelled", of: run, deletedFrom: before)
                #expect(status.batches.done >= 10)
                #expect(status.batches.cancelled > 50)
                try await sandbox.untilQueueIsAtRest()
                #expect(try await sandbox.status(of: run) == status, "what was left in the stream counts for nothing")
                // Cancelling it again changes nothing.
                #expect(try await sandbox.producer("cancel", run).status == .exited(0))

                try await sandbox.slow(by: 0)
                let left = try await sandbox.rows()
                let next = try await sandbox.enqueue(batchRows: 50, ["--wait"])
                #expect(next != run)
                try await sandbox.expectEnd(of: next, deletedFrom: left)
                try await sandbox.expectSurvivors()
            }
            try await sandbox.expectQueueAtRest()
        }
    }

    @Test func `cancels a paused run`() async throws {
        try await withSandbox { sandbox in
            try await sandbox.createEvents(20_000)
            try await sandbox.slowDown(by: 0.5)
            let before = try await sandbox.rows()
            try await sandbox.withWorkers { _ in
                let run = try await sandbox.enqueue(batchRows: 50)
                try await sandbox.untilInTheMiddle(of: run)
                #expect(try await sandbox.producer("pause", run).status == .exited(0))
                try await until("some batches are parked") { try await sandbox.field("parked", of: run) > 0 }
                #expect(try await sandbox.producer("cancel", run).status == .exited(0))
                try await sandbox.expectEnd("cancelled", of: run, deletedFrom: before)
                try await sandbox.untilQueueIsAtRest()
            }
        }
    }

    @Test func `cancels a run while no worker is alive, and what is left of it disturbs nobody`() async throws {
        try await withSandbox { sandbox in
            try await sandbox.createEvents(5_000)
            let before = try await sandbox.rows()
            let run = try await sandbox.enqueue(batchRows: 50)
            #expect(try await sandbox.producer("cancel", run).status == .exited(0))
            let status = try await sandbox.expectEnd("cancelled", of: run, deletedFrom: before)
            #expect(status.rows.deleted == 0)
            #expect(status.batches.cancelled == status.batches.total)

            let next = try await sandbox.enqueue(batchRows: 50)
            #expect(next != run)
            #expect(try await sandbox.run(.worker, ["--drain"]).status == .exited(0))
            try await sandbox.expectEnd(of: next, deletedFrom: before)
            #expect(try await sandbox.status(of: run) == status)
            try await sandbox.expectSurvivors()
            try await sandbox.expectQueueAtRest()
        }
    }

    @Test(arguments: ["pause", "resume", "cancel", "recover", "dead retry --run"])
    func `is refused in one sentence`(command: String) async throws {
        try await withSandbox { sandbox in
            try await sandbox.createEvents(100)
            let words = command.split(separator: " ").map(String.init)
            #expect(try await sandbox.producer("setup").status == .exited(0))
            if words[0] != "dead" { try await sandbox.expectRefusal(words + ["nonsense"], "run nonsense is not") }
            let run = try await sandbox.enqueue(batchRows: 50)
            if words[0] == "recover" {
                let known = try await sandbox.producer("recover", run)
                #expect(known.status == .exited(0))
                #expect(known.output.contains("Redis has not lost it"))
            }
            #expect(try await sandbox.run(.worker, ["--drain"]).status == .exited(0))
            let over = try await sandbox.status(of: run)
            #expect(over.state == "finished")
            switch words[0] {
            case "recover":
                _ = try await sandbox.redis.send("DEL", sandbox.key("run:\(run)"))
                try await sandbox.expectRefusal(words + [run], "run \(run) is finished and cannot be recovered")
            case "dead":
                let retry = try await sandbox.run(.producer, words + [run])
                #expect(retry.status == .exited(0))
                #expect(retry.output == "no batch was given up on\n")
                try await sandbox.expectRefusal(words + [run, "--batch", "1.1"], "has no dead letter")
            default: try await sandbox.expectRefusal(words + [run], "run \(run) is finished and cannot be")
            }
            let after = try await sandbox.run(.producer, ["status", run, "--json"])
            if words[0] != "recover" { #expect(try after.json(StatusDocument.self) == over) }
        }
    }

    @Test func `is told how to end a run of another definition`() async throws {
        try await withSandbox { sandbox in
            try await sandbox.createEvents(1_000)
            let run = try await sandbox.enqueue(batchRows: 50)
            let other = Events.target().replacing("SCHEMA", with: sandbox.schema)
                .replacing("order: [created_at]", with: "order: [created_at, id]")
            try other.write(toFile: sandbox.directory + "/ebb.yaml", atomically: true, encoding: .utf8)
            try await sandbox.expectRefusal(["enqueue", "Events"], "or end that run: producer cancel \(run)\n")
            let cancel = try await sandbox.producer("cancel", run)
            #expect(cancel.status == .exited(0), "\(cancel.errors)")
            let cleanup = try await sandbox.producer("cleanup", "Events", "--workers", "1")
            #expect(cleanup.status == .exited(0), "\(cleanup.output) \(cleanup.errors)")
            #expect(try await sandbox.status(of: run).state == "cancelled")
        }
    }
}
