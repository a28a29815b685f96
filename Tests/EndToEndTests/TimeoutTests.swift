import RedisClient
import Testing

@Suite(.timeLimit(.minutes(5))) struct `A run that is given a time` {
    @Test(arguments: ["enqueue --wait", "cleanup --workers 1"])
    func `ends, failed, when that is over, and finishes when resumed`(command: String) async throws {
        try await withSandbox { sandbox in
            try await sandbox.createEvents(20_000)
            // So that most of it is planned by then, and not done.
            try await sandbox.slowDown(by: 1)
            let before = try await sandbox.rows()
            let words = command.split(separator: " ").map(String.init)
            let arguments = [words[0], "Events", "--batch-rows", "50", "--timeout", "10s"] + words.dropFirst()
            let outcome = try await sandbox.withWorkers(words[0] == "cleanup" ? 0 : 1) { _ in
                try await sandbox.run(.producer, arguments)
            }
            let run = try #require(try await sandbox.runs().first)
            #expect(outcome.status == .exited(1), "\(outcome.errors)")
            let status = try await sandbox.expectEnd("failed", of: run, deletedFrom: before)
            #expect(status.error == "timed out")
            #expect(status.batches.cancelled > 50, "\(status.batches)")

            try await sandbox.slow(by: 0)
            let resume = try await sandbox.producer("resume", run)
            #expect(resume.status == .exited(0), "\(resume.errors)")
            try await sandbox.withWorkers(2) { _ in
                try await until("the run is over") { try await sandbox.state(of: run) == "finished" }
            }
            try await sandbox.expectEnd(of: run, deletedFrom: before)
            try await sandbox.expectSurvivors()
            try await sandbox.expectQueueAtRest()
        }
    }

    @Test func `and no worker ends all the same, and finishes when resumed`() async throws {
        try await withSandbox { sandbox in
            try await sandbox.createEvents(5_000)
            let before = try await sandbox.rows()
            let waited = try await sandbox.producer(
                "enqueue",
                "Events",
                "--batch-rows",
                "50",
                "--timeout",
                "300ms",
                "--wait",
                "--json"
            )
            #expect(waited.status == .exited(1), "\(waited.errors)")
            let failed = try #require(try waited.json([StatusDocument].self).first)
            #expect(failed.error == "timed out")
            #expect(failed.batches.cancelled == failed.batches.total)
            // Nobody has taken its batches out of the stream; they must not count again.
            #expect(try await sandbox.redis.send("XLEN", sandbox.key("stream:default")).int == failed.batches.total)
            #expect(try await sandbox.producer("resume", failed.run).status == .exited(0))
            let drain = try await sandbox.run(.worker, ["--drain"])
            #expect(drain.status == .exited(0), "\(drain.errors)")
            try await sandbox.expectEnd(of: failed.run, deletedFrom: before)
            try await sandbox.expectSurvivors()
            try await sandbox.expectQueueAtRest()
        }
    }
}
