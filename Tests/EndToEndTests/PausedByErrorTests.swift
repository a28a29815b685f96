import PostgresClient
import RedisClient
import Testing

/// What only an operator can mend: the run waits, and says why.
@Suite(.timeLimit(.minutes(15))) struct `A run is paused by an error, and goes on when it is resumed, after` {
    @Test func `the right to delete was taken away and given back`() async throws {
        try await Self.expectPause(
            says: "permission denied for table events",
            trouble: { sandbox, _ in try await sandbox.execute("REVOKE DELETE ON \(sandbox.schema).events FROM plain")
            },
            remedy: { sandbox in try await sandbox.execute("GRANT DELETE ON \(sandbox.schema).events TO plain") }
        )
    }

    @Test func `the right to use the ledger was taken away and given back`() async throws {
        try await Self.expectPause(
            says: "permission denied for schema",
            trouble: { sandbox, _ in try await sandbox.execute("REVOKE USAGE ON SCHEMA \(sandbox.namespace) FROM plain")
            },
            remedy: { sandbox in try await sandbox.execute("GRANT USAGE ON SCHEMA \(sandbox.namespace) TO plain") }
        )
    }

    @Test func `the table was dropped and created again`() async throws {
        try await Self.expectPause(
            says: "events",
            trouble: { sandbox, _ in
                let schema = sandbox.schema
                try await sandbox.execute(
                    "BEGIN",
                    "LOCK TABLE \(schema).events IN ACCESS EXCLUSIVE MODE",
                    "CREATE TABLE \(schema).copy (LIKE \(schema).events INCLUDING ALL)",
                    "INSERT INTO \(schema).copy SELECT * FROM \(schema).events",
                    "DROP TABLE \(schema).events",
                    "COMMIT"
                )
            },
            remedy: { sandbox in try await sandbox.execute("ALTER TABLE \(sandbox.schema).copy RENAME TO events") }
        )
    }

    /// Runs a cleanup with `trouble` in its middle, and expects that it waits for a remedy and its resumption.
    ///
    /// - `fragment`: what its error contains.
    private static func expectPause(
        says fragment: String,
        trouble: @escaping @Sendable (Sandbox, PostgresServer) async throws -> Void,
        remedy: @escaping @Sendable (Sandbox) async throws -> Void
    ) async throws {
        try await withPostgresSandbox { sandbox, server in
            let before = try await PostgresTrouble.prepare(sandbox)
            let run = try await sandbox.withWorkers(2, environment: PostgresTrouble.environment) { _ in
                let (run, _, waited) = try await sandbox.duringRun(batchRows: 50) { run in
                    try await sandbox.slow(by: 1)
                    try await trouble(sandbox, server)
                    try await sandbox.untilState("paused", of: run)
                }
                #expect(waited.status == .exited(1), "\(waited.errors)")
                let document = try #require(try waited.json([StatusDocument].self).first)
                #expect(document.state == "paused")
                #expect(document.error?.contains(fragment) == true, "\(document.error ?? "")")
                #expect(waited.errors.contains("mend its error, then producer resume \(run)"), "\(waited.errors)")
                try await until("nothing is open but what is parked") {
                    try await sandbox.fields("queued", "leased", "delayed", of: run) == [0, 0, 0]
                }
                try await remedy(sandbox)
                try await sandbox.slow(by: 0)
                #expect(try await sandbox.status(of: run).state == "paused")
                let resume = try await sandbox.producer("resume", run)
                #expect(resume.status == .exited(0), "\(resume.errors)")
                try await sandbox.untilState("finished", of: run)
                return run
            }
            let status = try await sandbox.expectEnd(of: run, deletedFrom: before)
            #expect(status.batches.dead + status.batches.cancelled + status.batches.split == 0)
            try await sandbox.expectSurvivors()
            try await sandbox.expectQueueAtRest()
            await sandbox.postgres.close()
        }
    }

    @Test func `the server was replaced by a promoted copy`() async throws {
        try await withPostgresSandbox { sandbox, server in
            let before = try await PostgresTrouble.prepare(sandbox)
            let (run, after) = try await sandbox.withWorkers(2, environment: PostgresTrouble.environment) { _ in
                let (run, replaced, waited) = try await sandbox.duringRun(
                    batchRows: 50,
                    environment: PostgresTrouble.environment
                ) { run in
                    let replaced = try await Self.replace(server, sandbox, run)
                    try await sandbox.untilState("paused", of: run)
                    return replaced
                }
                #expect(waited.status == .exited(1), "\(waited.errors)")
                let error = try await sandbox.error(of: run)
                #expect(error.contains("the database server is another one"), "\(error)")
                #expect(error.contains("producer resume \(run)"), "\(error)")
                try await until("nothing is open but what is parked") {
                    try await sandbox.fields("queued", "leased", "delayed", of: run) == [0, 0, 0]
                }
                #expect(try await replaced.after.rows() == replaced.rows, "rows were deleted on the new server")
                #expect(try await sandbox.state(of: run) == "paused")

                try await replaced.after.slow(by: 0)
                let resume = try await sandbox.producer("resume", run)
                #expect(resume.status == .exited(0), "\(resume.errors)")
                try await sandbox.untilState("finished", of: run)
                return (run, replaced.after)
            }
            let status = try await after.expectEnd(of: run, deletedFrom: before)
            #expect(status.batches.dead == 0)
            try await after.expectSurvivors()
            try await after.expectQueueAtRest()
            await after.postgres.close()
        }
    }

    /// Puts a promoted copy in a server's place, which lacks what was deleted after it was made.
    ///
    /// - Returns: the sandbox on it, and the rows that it had before anybody could write there.
    private static func replace(
        _ server: PostgresServer,
        _ sandbox: Sandbox,
        _ run: String
    ) async throws -> (after: Sandbox, rows: Int) {
        // Most of the run is left, however long this takes.
        try await sandbox.slow(by: 1)
        let copy = server.data + ".copy"
        try await server.copy(to: copy)
        let done = try await sandbox.field("done", of: run)
        try await until("the copy lacks some batches") { try await sandbox.field("done", of: run) >= done + 5 }
        await sandbox.postgres.close()
        try await server.stop(.fast)
        try await server.replaceData(by: copy)
        try await server.start()
        let after = try await server.sandbox(like: sandbox)
        #expect(try await after.value("SELECT pg_is_in_recovery()") == "t")
        let rows = try await after.rows()
        try await sandbox.untilHeldBack(run)
        try await server.promote()
        return (after, rows)
    }
}
