import RedisClient
import Testing

/// A run beside which something happens to Redis.
enum RedisTrouble {
    private static let environment: [String: String?] = [
        "EBB_LEASES_DURATION": "1500ms",
        "EBB_BATCHES_STATEMENT_TIMEOUT": "700ms",
        "EBB_BATCHES_IDLE_TIMEOUT": "500ms",
        "EBB_BATCHES_LOCK_TIMEOUT": "300ms",
        "EBB_BATCHES_BACKOFF": "50ms",
    ]

    /// Runs a cleanup of some 1 600 batches beside two workers, with `trouble` in its middle, and expects a perfect
    /// end.
    static func expectExactRun(
        _ targets: String = Events.target(),
        sourceLocation: SourceLocation = #_sourceLocation,
        _ trouble: @escaping @Sendable (Sandbox, RedisServer, _ run: String) async throws -> Void
    ) async throws {
        try await withRedisSandbox(targets) { sandbox, server in
            try await sandbox.createEvents(100_000)
            try await sandbox.slowDown()
            let before = try await sandbox.rows()
            let run = try await sandbox.withWorkers(2, environment: Self.environment) { workers in
                let run = try await sandbox.enqueue(batchRows: 50)
                try await sandbox.untilInTheMiddle(of: run, done: 20, sourceLocation: sourceLocation)
                try await trouble(sandbox, server, run)
                try await sandbox.slow(by: 0)
                try await until("the run is over", within: .seconds(240), sourceLocation: sourceLocation) {
                    try await sandbox.state(of: run) == "finished"
                }
                #expect(workers.filter { !$0.isAlive }.isEmpty)
                return run
            }
            let status = try await sandbox.producer("status", run, "--json").json(StatusDocument.self)
            let deleted = before - (try await sandbox.rows())
            #expect(status.rows.deleted == deleted, sourceLocation: sourceLocation)
            #expect(try await sandbox.ledgerSum(of: run) == deleted, sourceLocation: sourceLocation)
            #expect(status.error == nil, sourceLocation: sourceLocation)
            #expect(status.batches.total == status.batches.done, sourceLocation: sourceLocation)
            let open = [status.batches.queued, status.batches.leased, status.batches.delayed, status.batches.parked]
            #expect(open == [0, 0, 0, 0], "queued, leased, delayed, parked", sourceLocation: sourceLocation)
            try await sandbox.expectSurvivors(sourceLocation: sourceLocation)
            try await sandbox.expectQueueAtRest(sourceLocation: sourceLocation)
        }
    }
}

extension Sandbox {
    /// Makes every batch so slow that what is to come in the middle of the run does.
    func slowDown(by seconds: Double = 0.2) async throws {
        try await self.execute(
            "CREATE TABLE \(self.schema).pace (seconds real)",
            "INSERT INTO \(self.schema).pace VALUES (\(seconds))",
            """
            CREATE FUNCTION \(self.schema).slow() RETURNS trigger LANGUAGE plpgsql
            AS $$ BEGIN PERFORM pg_sleep(seconds) FROM \(self.schema).pace; RETURN NULL; END $$
            """,
            """
            CREATE TRIGGER slow BEFORE DELETE ON \(self.schema).events
            FOR EACH STATEMENT EXECUTE FUNCTION \(self.schema).slow()
            """
        )
    }

    /// Changes how slow every batch is.
    func slow(by seconds: Double) async throws {
        try await self.execute("UPDATE \(self.schema).pace SET seconds = \(seconds)")
    }

    /// Waits until a slowed batch is in its transaction, and returns the number of rows before its end.
    func rowsDuringBatch(sourceLocation: SourceLocation = #_sourceLocation) async throws -> Int {
        let latest = """
            SELECT pid || ' ' || xact_start FROM pg_stat_activity
            WHERE wait_event = 'PgSleep' AND query LIKE '%\(self.namespace)%' ORDER BY xact_start DESC LIMIT 1
            """
        var rows = 0
        try await until("a batch is in its transaction", sourceLocation: sourceLocation) {
            let batch = try await self.value(latest)
            rows = try await self.rows()
            let same = try await self.value(latest)
            return batch != nil && batch == same
        }
        return rows
    }
}
