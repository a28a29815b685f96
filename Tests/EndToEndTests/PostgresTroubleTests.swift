import PostgresClient
import RedisClient
import Testing

/// What happens to PostgreSQL in the middle of a run; the run goes on by itself, its count is exact, and no batch loses an
/// attempt.
@Suite(.timeLimit(.minutes(15))) struct `A run goes on, with an exact count, when PostgreSQL` {
    @Test(arguments: PostgresServer.End.allCases)
    func `is restarted`(end: PostgresServer.End) async throws {
        try await PostgresTrouble.expectExactRun { sandbox, server, run in
            await sandbox.postgres.close()
            for _ in 1...2 {
                try await server.stop(end)
                try await until("the workers have noticed") { try await sandbox.field("leased", of: run) == 0 }
                let done = try await sandbox.field("done", of: run)
                try await server.start()
                try await sandbox.untilDone(moreThan: done, of: run)
            }
        }
    }

    @Test func `ends the sessions of all workers again and again`() async throws {
        // Each time a batch has to be done.
        try await PostgresTrouble.expectExactRun(pace: 0.5) { sandbox, _, run in
            var ended = 0
            for _ in 1...10 {
                let done = try await sandbox.field("done", of: run)
                ended += try await sandbox.terminateSessions()
                try await sandbox.untilDone(moreThan: done, of: run)
            }
            #expect(ended >= 10)
        }
    }

    @Test func `takes no writes for a while`() async throws {
        try await PostgresTrouble.expectExactRun { sandbox, server, run in
            try await server.set("default_transaction_read_only", to: "on")
            try await sandbox.untilHeldBack(run)
            try await server.set("default_transaction_read_only", to: "off")
        }
    }

    @Test func `has hardly a session left for Ebb`() async throws {
        // With one session, all batches together take two minutes even so.
        try await PostgresTrouble.expectExactRun(pace: 0.2) { sandbox, _, run in
            try await sandbox.execute("ALTER ROLE plain CONNECTION LIMIT 1")
            try await sandbox.terminateSessions()
            let done = try await sandbox.field("done", of: run)
            try await sandbox.untilDone(moreThan: done + 10, of: run)
            try await sandbox.execute("ALTER ROLE plain CONNECTION LIMIT 0")
            try await sandbox.terminateSessions()
            try await sandbox.untilHeldBack(run)
            try await sandbox.execute("ALTER ROLE plain CONNECTION LIMIT -1")
        }
    }

    /// Disk full, out of memory, an I/O error.
    @Test(arguments: ["53100", "53300"])
    func `runs out of something`(state: String) async throws {
        try await PostgresTrouble.expectExactRun { sandbox, _, run in
            try await sandbox.execute(
                """
                CREATE FUNCTION \(sandbox.schema).full() RETURNS trigger LANGUAGE plpgsql
                AS $$ BEGIN RAISE EXCEPTION 'nothing is left' USING ERRCODE = '\(state)'; END $$
                """,
                """
                CREATE TRIGGER is_full BEFORE DELETE ON \(sandbox.schema).events
                FOR EACH STATEMENT EXECUTE FUNCTION \(sandbox.schema).full()
                """
            )
            try await sandbox.untilHeldBack(run)
            try await sandbox.execute("DROP TRIGGER is_full ON \(sandbox.schema).events")
        }
    }

    /// A real one, where the ledger is; without the right to mount a small file system there is none.
    @Test func `has no room left on its disk`() async throws {
        try await withPostgresSandbox { sandbox, server in
            let isDone = try await server.withSmallTablespace(4) {
                try await PostgresTrouble.expectExactRun(sandbox, server) { sandbox, server, run in
                    let schema = sandbox.schema
                    try await sandbox.execute("CREATE TABLE \(schema).filler (text text) TABLESPACE small")
                    for size in [100_000, 1_000, 10] {
                        do {
                            while true {
                                try await sandbox.execute(
                                    """
                                    INSERT INTO \(schema).filler SELECT repeat('x', 1000)
                                    FROM generate_series(1, \(size / 10))
                                    """
                                )
                            }
                        } catch SQLState.diskFull {}
                    }
                    try await sandbox.untilHeldBack(run)
                    try await sandbox.execute("DROP TABLE \(schema).filler")
                }
            }
            if !isDone { print("skipped: a full disk needs the right to mount one") }
        }
    }
}
