import PostgresClient
import RedisClient
import Testing

/// Its transaction takes effect or it does not, and either way rows, ledger and counters agree.
@Suite(.timeLimit(.minutes(5))) struct `A worker that comes back from the dead` {
    /// What others have made of its batch before it has told PostgreSQL anything.
    @Test func `deletes nothing when its batch was split meanwhile`() async throws {
        try await Zombie.with(.beforeItsTransaction) { zombie in
            let sandbox = zombie.sandbox
            let before = try await sandbox.rows()
            // Whoever comes second fails until the batch is split, and then is kept waiting.
            let holder = try await Servers.connect()
            let table = "\(sandbox.schema).halves"
            try await sandbox.execute(
                "CREATE TABLE \(table) ()",
                """
                CREATE FUNCTION \(sandbox.schema).split() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
                  IF NOT EXISTS (SELECT FROM \(sandbox.namespace).batch WHERE outcome = 'split') THEN
                    RAISE 'not in one piece';
                  END IF;
                  LOCK TABLE \(table) IN SHARE MODE;
                  RETURN OLD;
                END $$
                """,
                """
                CREATE TRIGGER split BEFORE DELETE ON \(sandbox.schema).events
                FOR EACH ROW WHEN (current_setting('ebb.zombie', true) IS DISTINCT FROM 'on')
                EXECUTE FUNCTION \(sandbox.schema).split()
                """
            )
            _ = try await holder.query("BEGIN")
            _ = try await holder.query("LOCK TABLE \(table) IN ACCESS EXCLUSIVE MODE")
            var environment = Sandbox.shortLeases
            environment["EBB_BATCHES_ATTEMPTS"] = "100"
            environment["EBB_BATCHES_MAX_BACKOFF"] = "200ms"
            try await sandbox.withWorkers(environment: environment) { _ in
                // Its halves may be, too, before anybody looks.
                try await until("the batch is split") { try await sandbox.field("split", of: zombie.run) >= 1 }
                #expect(try await zombie.outcome() == "split")
                try await zombie.comeBack()
                #expect(try await zombie.hasTried())
                #expect(try await zombie.outcome() == "split")
                #expect(try await sandbox.rows() == before)
                _ = try await holder.query("ROLLBACK")
                try await sandbox.untilState("finished", of: zombie.run)
            }
            await holder.close()
            let status = try await sandbox.expectEnd(of: zombie.run, deletedFrom: before)
            // A half that has waited too long for the lock is split again.
            #expect(status.batches.split >= 1)
            try await sandbox.expectSurvivors()
            try await sandbox.expectQueueAtRest()
        }
    }

    @Test func `deletes nothing when its batch was given up on meanwhile`() async throws {
        try await Zombie.with(.beforeItsTransaction) { zombie in
            let sandbox = zombie.sandbox
            let before = try await sandbox.rows()
            // Keeps the run from ending, so that only the batch's own row in the ledger stands in the zombie's way.
            let holder = try await Servers.connect()
            _ = try await holder.query("BEGIN")
            _ = try await holder.query("SELECT 1 FROM \(sandbox.namespace).run FOR SHARE")
            let hasty = Sandbox.shortLeases.merging(["EBB_BATCHES_ATTEMPTS": "1"]) { $1 }
            try await sandbox.withWorkers(environment: hasty) { _ in
                try await until("the batch is given up on") { try await sandbox.field("dead", of: zombie.run) == 1 }
                #expect(try await zombie.outcome() == "dead")
                #expect(try await sandbox.state(of: zombie.run) != "failed")
                try await zombie.comeBack()
                #expect(try await zombie.hasTried())
                #expect(try await zombie.outcome() == "dead")
                #expect(try await zombie.rows() == 0)
                _ = try await holder.query("ROLLBACK")
                try await sandbox.untilState("failed", of: zombie.run)
            }
            await holder.close()
            let status = try await sandbox.expectEnd("failed", of: zombie.run, deletedFrom: before)
            #expect(status.rows.deleted == 0)
            #expect(try await sandbox.deadLetters().map(\.batch) == ["1.1"])
            try await sandbox.expectQueueAtRest()
        }
    }

    @Test(arguments: [true, false])
    func `deletes nothing when its run was cancelled meanwhile`(byWorker: Bool) async throws {
        try await Zombie.with(.beforeItsTransaction) { zombie in
            let sandbox = zombie.sandbox
            let before = try await sandbox.rows()
            let cancel = ["cancel", zombie.run]
            if byWorker {
                // Before there are workers, who would take the batch over.
                let outcome = try await sandbox.run(.producer, cancel)
                #expect(outcome.status == .exited(0), "\(outcome.errors)")
                try await sandbox.withWorkers(environment: Sandbox.shortLeases) { _ in
                    try await sandbox.untilState("cancelled", of: zombie.run)
                }
            } else {
                // A lease of its own length has to pass before anybody else may end the run.
                try await until("the run is over") {
                    let outcome = try await sandbox.run(.producer, cancel, environment: Sandbox.shortLeases)
                    #expect(outcome.status == .exited(0), "\(outcome.errors)")
                    return try await sandbox.state(of: zombie.run) == "cancelled"
                }
            }
            let status = try await sandbox.status(of: zombie.run)
            try await zombie.comeBack()
            #expect(try await zombie.outcome() == nil)
            #expect(try await sandbox.rows() == before)
            #expect(try await sandbox.expectEnd("cancelled", of: zombie.run, deletedFrom: before) == status)
            try await sandbox.untilQueueIsAtRest()
        }
    }

    /// Whatever others would like to make of its batch, they have to wait for its transaction.
    @Test(arguments: ["split", "dead"])
    func `in the middle of its transaction ends it, and nobody else ends its batch`(wish: String) async throws {
        try await Zombie.with(.inItsTransaction) { zombie in
            let sandbox = zombie.sandbox
            let before = try await sandbox.rows()
            var environment = Sandbox.shortLeases
            environment["EBB_BATCHES_ATTEMPTS"] = wish == "dead" ? "1" : "8"
            try await sandbox.withWorkers(environment: environment) { _ in
                let added = try await sandbox.entriesAdded()
                try await until("others have tried their hands at the batch") {
                    try await sandbox.entriesAdded() >= added + 2
                }
                #expect(try await sandbox.fields("done", "dead", "split", of: zombie.run) == [0, 0, 0])
                #expect(try await zombie.outcome() == nil)
                try await zombie.letStatementGoOn()
                try await zombie.comeBack()
                #expect(try await zombie.outcome() == "done")
                try await sandbox.untilState("finished", of: zombie.run)
            }
            let status = try await sandbox.expectEnd(of: zombie.run, deletedFrom: before)
            #expect(status.batches.done == 1)
            #expect(try await zombie.rows() == status.rows.deleted)
            try await sandbox.expectSurvivors()
            try await sandbox.expectQueueAtRest()
        }
    }

    @Test func `in the middle of its transaction ends it before its run is cancelled`() async throws {
        try await Zombie.with(.inItsTransaction) { zombie in
            let sandbox = zombie.sandbox
            let before = try await sandbox.rows()
            try await sandbox.withWorkers(environment: Sandbox.shortLeases) { _ in
                let cancel = ["cancel", zombie.run]
                let (_, outcome) = try await sandbox.during(.producer, cancel, environment: Sandbox.shortLeases) { _ in
                    try await until("the end of the run waits for the transaction") {
                        try await sandbox.number(
                            """
                            SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock'
                            AND query LIKE 'SELECT 1 FROM "\(sandbox.namespace)"."run"%FOR UPDATE'
                            """
                        ) > 0
                    }
                    #expect(try await sandbox.state(of: zombie.run) != "cancelled")
                    try await zombie.letStatementGoOn()
                    try await zombie.comeBack()
                }
                #expect(outcome.status == .exited(0), "\(outcome.errors)")
                try await sandbox.untilState("cancelled", of: zombie.run)
                try await sandbox.untilQueueIsAtRest()
            }
            #expect(try await zombie.outcome() == "done")
            let status = try await sandbox.expectEnd("cancelled", of: zombie.run, deletedFrom: before)
            #expect(status.batches.done == 1)
            try await sandbox.expectSurvivors()
        }
    }
}
