import RedisClient
import Testing

@Suite(.timeLimit(.minutes(5))) struct `A run that Redis has lost` {
    @Test(arguments: ["running", "paused"])
    func `is recovered from the ledger and the table, and its count is exact`(state: String) async throws {
        try await withSandbox { sandbox in
            try await sandbox.createEvents(20_000)
            try await sandbox.slowDown(by: 1)
            let before = try await sandbox.rows()
            let run = try await sandbox.withWorkers(2) { workers in
                let run = try await sandbox.enqueue(batchRows: 50)
                try await sandbox.untilInTheMiddle(of: run)
                if state == "paused" { _ = try await sandbox.producer("pause", run) }
                let keys = try await sandbox.keys()
                _ = try await sandbox.redis.send(RedisCommand(["DEL"] + keys))
                for command in ["status", "pause", "resume"] {
                    try await sandbox.expectRefusal([command, run], "run \(run) is not known in Redis")
                }
                try await sandbox.slow(by: 0)
                let recover = try await sandbox.producer("recover", run)
                #expect(recover.status == .exited(0), "\(recover.errors)")
                #expect(recover.output.contains(" rows deleted before"))
                try await sandbox.untilState("finished", of: run)
                #expect(workers.filter { !$0.isAlive }.isEmpty)
                return run
            }
            try await sandbox.expectEnd(of: run, deletedFrom: before)
            try await sandbox.expectSurvivors()
            try await sandbox.expectQueueAtRest()
        }
    }

    @Test func `is named by status and doctor, once it is not just on its way`() async throws {
        try await withSandbox { sandbox in
            try await sandbox.createEvents(1_000)
            let run = try await sandbox.enqueue(batchRows: 50)
            let line = "run \(run) of Events is not over, and Redis does not know it; producer recover \(run)\n"
            let known = try await sandbox.producer("status")
            #expect(!known.output.contains("does not know"), "\(known.output)")
            _ = try await sandbox.redis.send(RedisCommand(["DEL"] + sandbox.keys()))
            #expect(try await sandbox.producer("status").output == "no run is under way\n")
            try await sandbox.execute(
                "UPDATE \(sandbox.namespace).run SET created_at = created_at - interval '61 seconds'"
            )
            #expect(try await sandbox.producer("status").output == "no run is under way\n\(line)")
            #expect(try await sandbox.producer("runs").output.hasSuffix(line))
            let (code, findings) = try await sandbox.doctor()
            #expect(code == 0)
            #expect(findings.contains { $0.level == "warning" && $0.fix == "producer recover \(run)" }, "\(findings)")
            let recover = try await sandbox.producer("recover", run)
            #expect(recover.status == .exited(0), "\(recover.errors)")
            let again = try await sandbox.producer("status")
            #expect(again.output.contains(run) && !again.output.contains("does not know"), "\(again.output)")
        }
    }

    @Test func `can be cancelled all the same`() async throws {
        try await withSandbox { sandbox in
            try await sandbox.createEvents(1_000)
            let run = try await sandbox.enqueue(batchRows: 50)
            let keys = try await sandbox.keys()
            _ = try await sandbox.redis.send(RedisCommand(["DEL"] + keys))
            let cancel = try await sandbox.producer("cancel", run)
            #expect(cancel.status == .exited(0), "\(cancel.errors)")
            #expect(cancel.output == "run \(run) is cancelled; Redis had lost it\n")
            try await sandbox.expectRefusal(["recover", run], "run \(run) is cancelled and cannot be recovered")
            #expect(try await sandbox.enqueue(batchRows: 50) != run)
        }
    }
}
