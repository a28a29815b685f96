import Foundation
import RedisClient
import Testing

@Suite(.timeLimit(.minutes(15))) struct `A row that cannot be deleted` {
    @Test func `is the one dead letter of its run, and is deleted by a retry once it can be`() async throws {
        try await withSandbox(Items.target) { sandbox in
            try await sandbox.createItems(5_000, poison: [4_711])
            try await sandbox.withWorkers(environment: Items.hasty) { _ in
                let enqueue = ["enqueue", "Items", "--batch-rows", "500", "--wait", "--json"]
                let waited = try await sandbox.run(.producer, enqueue)
                #expect(waited.status == .exited(1), "\(waited.errors)")
                let run = try #require(try waited.json([StatusDocument].self).first?.run)
                #expect(try await sandbox.items() == [4_711])
                let failed = try await sandbox.expectEnd("failed", of: run, deletedFrom: 5_000, table: "items")
                #expect(failed.batches.dead == 1)
                #expect(failed.error?.contains("producer dead list shows") == true, "\(failed.error ?? "")")
                try await sandbox.expectQueueAtRest()

                let letter = try await Self.expectOneLetter(sandbox, run)
                let show = try await sandbox.producer("dead", "show", "--run", run, "--batch", letter.batch)
                #expect(show.status == .exited(0))
                for word in ["keys (4711)", "P0001", "row 4711 is poison"] { #expect(show.output.contains(word)) }

                try await sandbox.heal()
                let retry = try await sandbox.producer("dead", "retry", "--run", run)
                #expect(retry.status == .exited(0), "\(retry.errors)")
                #expect(retry.output == "run \(run): 1 batches are tried again\n")
                try await sandbox.untilState("finished", of: run)
                #expect(try await sandbox.items() == [])
                let finished = try await sandbox.expectEnd(of: run, deletedFrom: 5_000, table: "items")
                #expect(finished.batches.dead == 0)
                #expect(try await sandbox.deadLetters() == [])
            }
            try await sandbox.expectQueueAtRest()
        }
    }

    /// One letter, for the one row, with every name of the contract.
    private static func expectOneLetter(_ sandbox: Sandbox, _ run: String) async throws -> DeadLetterEntry {
        let list = try await sandbox.producer("dead", "list", "--json")
        let objects = try JSONSerialization.jsonObject(with: Data(list.output.utf8)) as? [[String: Any]]
        #expect(
            Set((objects ?? []).flatMap(\.keys)) == [
                "run", "batch", "target", "range", "attempts", "sqlstate", "error", "first_failed_at", "last_failed_at",
            ]
        )
        let letters = try list.json([DeadLetterEntry].self)
        #expect(letters.map(\.range) == ["keys (4711)"])
        let letter = try #require(letters.first)
        #expect(letter.run == run)
        #expect(letter.target == "Items")
        #expect(letter.attempts == 8)
        #expect(letter.sqlstate == "P0001")
        #expect(letter.error.contains("row 4711 is poison"))
        for moment in [letter.first_failed_at, letter.last_failed_at] {
            #expect(moment?.wholeMatch(of: /\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z/) != nil, "\(moment ?? "null")")
        }
        return letter
    }

    @Test func `is discarded, and its run stays failed`() async throws {
        try await withSandbox(Items.target) { sandbox in
            try await sandbox.createItems(1_000, poison: [7, 700])
            try await sandbox.withWorkers(environment: Items.hasty) { _ in
                let run = try await sandbox.enqueue("Items", batchRows: 100)
                try await sandbox.untilState("failed", of: run)
                let letters = try await sandbox.deadLetters("--run", run)
                #expect(Set(letters.map(\.range)) == ["keys (7)", "keys (700)"])

                // One of the two is tried again.
                try await sandbox.heal()
                let chosen = try #require(letters.first { $0.range == "keys (7)" })
                let retry = try await sandbox.producer("dead", "retry", "--run", run, "--batch", chosen.batch)
                #expect(retry.status == .exited(0), "\(retry.errors)")
                try await until("the run has ended again") {
                    let isThere = try await sandbox.number("SELECT count(*) FROM \(sandbox.schema).items WHERE id = 7")
                    return try await sandbox.state(of: run) == "failed" && isThere == 0
                }
                #expect(try await sandbox.deadLetters().map(\.range) == ["keys (700)"])
                #expect(try await sandbox.items() == [700])

                let discard = try await sandbox.producer("dead", "discard", "--run", run)
                #expect(discard.status == .exited(0), "\(discard.errors)")
                #expect(discard.output == "1 dead letters are discarded\n")
                #expect(try await sandbox.producer("dead", "list").output == "no batch was given up on\n")
                let status = try await sandbox.expectEnd("failed", of: run, deletedFrom: 1_000, table: "items")
                #expect(status.batches.dead == 1)

                // The row is the next run's.
                let next = try await sandbox.enqueue("Items", batchRows: 100, ["--wait"])
                #expect(next != run)
                try await sandbox.expectEnd(of: next, deletedFrom: 1, table: "items")
            }
            try await sandbox.expectQueueAtRest()
        }
    }

    @Test func `kills no innocent batch beside it`() async throws {
        let batches = ProcessInfo.processInfo.environment["EBB_CHAOS"] == nil ? 1_000 : 10_000
        try await withSandbox(Items.target) { sandbox in
            let poison = [batches * 3 + 5, batches * 8 + 1]
            try await sandbox.createItems(batches * 10, poison: poison)
            let environment = Items.hasty.merging(["EBB_LOG_LEVEL": "error"]) { $1 }
            let run = try await sandbox.withWorkers(2, environment: environment) { _ in
                let run = try await sandbox.enqueue("Items", batchRows: 10)
                try await until("the run is over", within: .seconds(600)) {
                    try await sandbox.state(of: run) == "failed"
                }
                return run
            }
            #expect(try await sandbox.items() == poison)
            #expect(Set(try await sandbox.deadLetters().map(\.range)) == Set(poison.map { "keys (\($0))" }))
            let status = try await sandbox.expectEnd("failed", of: run, deletedFrom: batches * 10, table: "items")
            #expect(status.batches.dead == 2)
            #expect(status.batches.cancelled == 0)
            #expect(status.batches.total >= batches)
            try await sandbox.expectQueueAtRest()
        }
    }
}
