import PostgresClient
import RedisClient
import Shared
import TestSupport
import Testing

extension TestBed {
    /// Cancels a run in the ledger; as a step, again when it has waited for a lock in vain.
    fileprivate func finish(_ run: String) async throws -> Ledger.Sum? {
        while true {
            do {
                return try await self.ledger.finish(run, state: .cancelled, error: nil, self.connection)
            } catch SQLState.lockNotAvailable {}
        }
    }
}

/// Runs that cannot go on: they pause or end, and say why.
@Suite(.timeLimit(.minutes(5))) struct StoppingTests {
    private func withBed(
        _ settings: String = Poison.settings(),
        _ body: (TestBed, RunControl) async throws -> Void
    ) async throws {
        try await withTestBed(targets: Poison.target(.block), settings: settings) { bed in
            try await body(bed, bed.services.runControl(bed.queue))
        }
    }

    /// What an operator has to mend: how it breaks, how it is mended, what the error says.
    struct Obstacle: Sendable {
        var breaking: String
        var mending: String
        var error: String
    }

    @Test(arguments: [
        Obstacle(
            breaking: "ALTER TABLE events RENAME TO moved",
            mending: "ALTER TABLE moved RENAME TO events",
            error: "does not exist"
        ),
        Obstacle(
            breaking: "ALTER TABLE events RENAME COLUMN source TO origin",
            mending: "ALTER TABLE events RENAME COLUMN origin TO source",
            error: "has no column \"source\""
        ),
        Obstacle(
            breaking: "UPDATE LEDGER.run SET server = '1/00000001'",
            mending: "SELECT 1",
            error: "the database server is another one"
        ),
        Obstacle(
            breaking: "UPDATE LEDGER.run SET definition_hash = 'other' || definition_hash",
            mending: "UPDATE LEDGER.run SET definition_hash = substr(definition_hash, 6)",
            error: "another definition"
        ),
    ])
    func `a run that only an operator can mend is paused, and goes on when resumed`(_ obstacle: Obstacle) async throws {
        try await self.withBed { bed, control in
            try await bed.createEvents(1_000)
            let record = try await bed.start(batchRows: 100)
            try await bed.step(record.run)
            func run(_ statement: String) async throws {
                try await bed.run(statement.replacing("LEDGER", with: bed.namespace))
            }
            try await run(obstacle.breaking)
            // A drain does not wait for what is paused.
            try await bed.work()
            let paused = try RunStatus(fields: try await bed.queue.fields(of: record.run))
            #expect(paused.isPausedByError)
            #expect(paused.error?.contains(obstacle.error) == true, "\(paused)")
            #expect(paused.batches.dead == 0 && paused.rows.deleted == 0)
            try await run(obstacle.mending)
            #expect(try await control.resume(record.run, bed.connection) == .running)
            try await bed.work()
            expectFinished(try await bed.outcome(of: record.run), rows: 990)
        }
    }

    @Test func `a dead letter that is discarded before the end stays its run's failure`() async throws {
        try await self.withBed { bed, _ in
            try await bed.createEvents(200)
            try await bed.onDelete(where: "old.id = 7", "RAISE EXCEPTION 'row 7 is poison'")
            let record = try await bed.start(batchRows: 50)
            try await bed.step(record.run)
            // Verification reads it after the letters.
            try await bed.discarding(record.run, at: "pivot_set")
            let outcome = try await bed.outcome(of: record.run)
            #expect(outcome.state == "failed" && outcome.ledgerState == "failed", "\(outcome.fields)")
            #expect(outcome.fields["error"]?.contains("dead letters discarded") == true, "\(outcome.fields)")
            #expect(outcome.ledgerRows == 189 && outcome.count("dead") == 1)
        }
    }

    /// As after a restore of the database to before the run's creation.
    @Test func `a run that the ledger does not have can be cancelled`() async throws {
        try await self.withBed { bed, control in
            try await bed.createEvents(1_000)
            let record = try await bed.start(batchRows: 100)
            try await bed.step(record.run)
            try await bed.run("DELETE FROM \(bed.namespace).run")
            try await control.cancel(record.run, bed.connection)
            try await bed.work()
            #expect(try await bed.queue.fields(of: record.run)["state"] == "cancelled")
            #expect(try await bed.queue.activeRuns() == [])
            #expect(try await bed.int("SELECT count(*) FROM events") == 1_000)
        }
    }

    @Test func `a table that disappears between two batches pauses the run`() async throws {
        try await self.withBed { bed, _ in
            // So many that the table disappears long before their end.
            try await bed.createEvents(50_000)
            try await bed.onDelete("PERFORM pg_sleep(0.002)")
            let record = try await bed.start(batchRows: 50)
            try await bed.step(record.run)
            async let work: Void = bed.work()
            try await eventually("batches are done") {
                try await bed.queue.fields(of: record.run)["done"].flatMap { Int($0) } ?? 0 > 2
            }
            try await bed.run("DROP TABLE events")
            try await work
            let status = try RunStatus(fields: try await bed.queue.fields(of: record.run))
            #expect(status.isPausedByError && status.error?.contains("does not exist") == true, "\(status)")
            #expect(status.batches.dead == 0)
        }
    }

    @Test func `a run of which most batches fail is stopped and says why`() async throws {
        try await self.withBed { bed, _ in
            try await bed.createEvents(20_000)
            try await bed.onDelete("RAISE EXCEPTION 'nothing may go'")
            let outcome = try #require(try await bed.drain("Target", batchRows: 50).first)
            #expect(outcome.state == "failed" && outcome.ledgerState == "failed")
            let error = outcome.fields["error"] ?? ""
            #expect(error.contains("50 of the first 50 batches failed"), "\(error)")
            #expect(error.contains("nothing may go"), "\(error)")
            #expect(outcome.count("cancelled") >= 14)
            #expect(outcome.ledgerRows == 0)
            #expect(try await bed.int("SELECT count(*) FROM events") == 20_000)
        }
    }

    @Test func `a time that is over ends the run, and a resumed one finishes`() async throws {
        try await self.withBed { bed, control in
            // Half a minute of work, of which a second is done before the time is over.
            try await bed.createEvents(20_000)
            try await bed.onDelete("PERFORM pg_sleep(0.003)")
            guard case .on(let knobs) = try bed.target().resolveKnobs(environment: bed.services.environment) else {
                return
            }
            let starter = RunStarter(ledger: bed.ledger, queue: bed.queue, configuration: bed.services.configuration)
            let (record, _) = try await starter.start(
                try bed.target(),
                knobs: knobs,
                batchRows: 20,
                timeout: .seconds(3_600),
                bed.connection
            )
            let fields = try await bed.queue.fields(of: record.run)
            #expect(fields["deadline_ms"].flatMap { Int($0) } ?? 0 > 0)
            try await bed.step(record.run)
            async let work: Void = bed.work()
            try await eventually("batches are done") {
                try await bed.queue.fields(of: record.run)["done"].flatMap { Int($0) } ?? 0 > 2
            }
            // An hour passes.
            _ = try await bed.queue.redis.send("HSET", bed.queue.keys.run(record.run), "deadline_ms", "1")
            try await work
            var outcome = try await bed.outcome(of: record.run)
            #expect((outcome.state, outcome.ledgerState) == ("failed", "failed"))
            #expect(outcome.fields["error"] == "timed out")
            let deleted = 20_000 - (try await bed.int("SELECT count(*) FROM events"))
            #expect(outcome.ledgerRows == deleted && outcome.count("rows") == deleted)
            #expect((1..<19_990).contains(deleted))
            #expect(outcome.count("total") == outcome.count("done") + outcome.count("cancelled"))
            try await bed.run("DROP TRIGGER on_delete ON events")
            #expect(try await control.resume(record.run, bed.connection) == .planning)
            try await bed.work()
            outcome = try await bed.outcome(of: record.run)
            #expect((outcome.state, outcome.ledgerState, outcome.ledgerRows) == ("finished", "finished", 19_990))
            #expect(outcome.count("rows") == 19_990)
            #expect(outcome.unrest == [])
        }
    }

    @Test func `dead letters are tried again and end well, or are discarded`() async throws {
        try await self.withBed { bed, control in
            try await bed.createEvents(1_000)
            try await bed.onDelete(where: "old.id IN (7, 8)", "RAISE EXCEPTION 'not yet'")
            let run = try #require(try await bed.drain("Target", batchRows: 100).first).run
            let letters = try await bed.queue.deadLetters(of: run)
            #expect(letters.count == 2)
            try await bed.run("DROP TRIGGER on_delete ON events")
            #expect(try await control.retry([letters[0].batch], of: run, bed.connection) == 1)
            try await bed.work()
            var outcome = try await bed.outcome(of: run)
            #expect((outcome.state, outcome.ledgerState, outcome.ledgerRows) == ("failed", "failed", 989))
            #expect(try await control.resume(run, bed.connection) == .running)
            try await bed.work()
            outcome = try await bed.outcome(of: run)
            #expect((outcome.state, outcome.ledgerState, outcome.ledgerRows) == ("finished", "finished", 990))
            #expect(outcome.count("rows") == 990 && outcome.count("dead") == 0)
            #expect(outcome.unrest == [])
            #expect(try await bed.queue.deadLetters() == [])
        }
    }

    @Test func `what was discarded and then mended does not keep a resumed run from its end`() async throws {
        try await self.withBed { bed, control in
            try await bed.createEvents(1_000)
            try await bed.onDelete(where: "old.id IN (7, 8)", "RAISE EXCEPTION 'not yet'")
            let run = try #require(try await bed.drain("Target", batchRows: 100).first).run
            try await bed.queue.discard(try await bed.queue.deadLetters(of: run))
            #expect(try await bed.outcome(of: run).state == "failed")
            try await bed.run("DROP TRIGGER on_delete ON events")
            _ = try await control.resume(run, bed.connection)
            try await bed.work()
            let outcome = try await bed.outcome(of: run)
            #expect((outcome.state, outcome.ledgerState, outcome.ledgerRows) == ("finished", "finished", 990))
            #expect(outcome.count("dead") == 0)
            #expect(outcome.unrest == [])
        }
    }

    @Test func `a run that was taken back in the ledger alone is taken back by the next start`() async throws {
        try await self.withBed { bed, control in
            try await bed.createEvents(1_000)
            try await bed.onDelete(where: "old.id = 7", "RAISE EXCEPTION 'not yet'")
            let run = try #require(try await bed.drain("Target", batchRows: 100).first).run
            let record = try #require(try await bed.ledger.run(run, bed.connection))
            let batches = try await bed.queue.deadLetters(of: run).map(\.batch)
            // As far as a process came that died.
            try await bed.ledger.revive(batches, of: record, bed.connection)
            try await bed.run("DROP TRIGGER on_delete ON events")
            #expect(try await bed.start().run == run)
            try await bed.work()
            let outcome = try await bed.outcome(of: run)
            #expect((outcome.state, outcome.ledgerState, outcome.ledgerRows) == ("finished", "finished", 990))
            #expect(outcome.unrest == [])
        }
    }

    @Test func `a run cannot go on while its target has another`() async throws {
        try await self.withBed { bed, control in
            try await bed.createEvents(100)
            try await bed.onDelete(where: "old.id = 7", "RAISE EXCEPTION 'not yet'")
            let run = try #require(try await bed.drain("Target").first).run
            let other = try await bed.start()
            let error = await #expect(throws: LedgerError.self) { try await control.resume(run, bed.connection) }
            #expect(error?.description.contains("another unfinished run \(other.run)") == true, "\(error as Any)")
            #expect(try await bed.queue.deadLetters(of: run).count == 1)
        }
    }

    @Test func `a late predecessor can do nothing once its run is over, and holds the end back while it is at work`()
        async throws
    {
        try await self.withBed { bed, _ in
            try await bed.createEvents(100)
            let record = try await bed.start()
            try await bed.step(record.run)
            let zombie = try await bed.connect()
            let claim = bed.ledger.claim(run: record.run, batch: "1.1")
            _ = try await zombie.query("BEGIN")
            #expect(try await zombie.query(claim.sql, claim.parameters).affectedRows == 1)
            _ = try await zombie.query("DELETE FROM events WHERE id <= 3")
            _ = try await zombie.query("UPDATE \(bed.ledger.table("batch")) SET rows = 3")
            async let sum = bed.finish(record.run)
            try await eventually("the end waits for the zombie") { try await zombie.isWaitedFor() }
            _ = try await zombie.query("COMMIT")
            #expect(try await sum?.rows == 3)
            #expect(try await zombie.query(claim.sql, [record.run, "1.2"]).affectedRows == 0)
            await zombie.close()
        }
    }
}
