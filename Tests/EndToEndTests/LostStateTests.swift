import PostgresClient
import RedisClient
import Testing

@Suite struct `Redis that lost its state` {
    @Test(.timeLimit(.minutes(5)))
    func `is filled again by the next enqueue, and the count stays exact`() async throws {
        try await withSandbox { sandbox in
            try await sandbox.createEvents(100_000)
            try await sandbox.slowDown()
            let before = try await sandbox.rows()
            let enqueue = ["enqueue", "Events", "--batch-rows", "120", "--json"]
            let document = try await sandbox.withWorkers(2) { _ in
                let first = try await sandbox.run(.producer, enqueue).json([StatusDocument].self)
                let run = try #require(first.first?.run)
                try await until("some batches are done") { try await sandbox.field("done", of: run) >= 30 }
                let keys = try await sandbox.keys()
                _ = try await sandbox.redis.send(RedisCommand(["DEL"] + keys))
                #expect(try await sandbox.state(of: run) == nil)
                #expect(try await sandbox.rows() > sandbox.number("SELECT count(*) FROM \(sandbox.schema).survivors"))
                try await sandbox.slow(by: 0)

                let outcome = try await sandbox.run(.producer, enqueue + ["--wait"])
                #expect(outcome.status == .exited(0), "\(outcome.errors)")
                let again = try #require(try outcome.json([StatusDocument].self).first)
                #expect(again.run == run)
                return again
            }
            let deleted = before - (try await sandbox.rows())
            #expect(document.state == "finished")
            #expect(document.rows.deleted == deleted)
            #expect(try await sandbox.ledgerSum(of: document.run) == deleted)
            try await sandbox.expectSurvivors()
            try await sandbox.expectQueueAtRest()
        }
    }
}
