import PostgresClient
import RedisClient
import Testing

/// A run beside which something happens to PostgreSQL.
enum PostgresTrouble {
    /// One attempt only: whatever costs one kills its batch, and the run would not finish.
    ///
    /// Nobody is killed, so nothing has to lapse: on a busy machine a lease that does would cost the attempt, and a
    /// limit that is met would split the batch.
    static let environment = Sandbox.shortLeases.merging([
        "EBB_LEASES_DURATION": "120s", "EBB_BATCHES_STATEMENT_TIMEOUT": "30s", "EBB_BATCHES_LOCK_TIMEOUT": "30s",
        "EBB_BATCHES_IDLE_TIMEOUT": "30s",
        "EBB_BATCHES_ATTEMPTS": "1", "EBB_OUTAGES_PAUSE": "50ms", "EBB_OUTAGES_MAX_PAUSE": "300ms",
        "EBB_LOG_LEVEL": "error",
    ]) { $1 }

    /// Runs a cleanup of some 660 batches beside two workers and a waiting producer, with `trouble` in its middle, and
    /// expects a perfect end.
    ///
    /// - `pace`: how many seconds a batch takes meanwhile.
    /// - `trouble`: leaves the server in order.
    static func expectExactRun(
        pace: Double = 1,
        sourceLocation: SourceLocation = #_sourceLocation,
        _ trouble: @escaping @Sendable (Sandbox, PostgresServer, _ run: String) async throws -> Void
    ) async throws {
        try await withPostgresSandbox { sandbox, server in
            try await self.expectExactRun(sandbox, server, pace: pace, sourceLocation: sourceLocation, trouble)
        }
    }

    /// The same in a sandbox that is there already.
    static func expectExactRun(
        _ sandbox: Sandbox,
        _ server: PostgresServer,
        pace: Double = 1,
        sourceLocation: SourceLocation = #_sourceLocation,
        _ trouble: @escaping @Sendable (Sandbox, PostgresServer, _ run: String) async throws -> Void
    ) async throws {
        let before = try await self.prepare(sandbox)
        let (run, after) = try await sandbox.withWorkers(2, environment: Self.environment) { workers in
            let (run, after, waited) = try await sandbox.duringRun(batchRows: 50, environment: Self.environment) {
                run in
                // Most of it is left, however long the trouble takes.
                try await sandbox.slow(by: pace)
                try await trouble(sandbox, server, run)
                // The test's own session may be lost by now.
                let after = try await server.sandbox(like: sandbox)
                try await after.slow(by: 0)
                try await after.untilState("finished", of: run, sourceLocation: sourceLocation)
                return after
            }
            #expect(waited.status == .exited(0), "\(waited.errors)", sourceLocation: sourceLocation)
            #expect(workers.filter { !$0.isAlive }.isEmpty, sourceLocation: sourceLocation)
            return (run, after)
        }
        let status = try await after.expectEnd(of: run, deletedFrom: before, sourceLocation: sourceLocation)
        let batches = status.batches
        #expect(batches.done == batches.total, "a batch lost an attempt", sourceLocation: sourceLocation)
        #expect(batches.split == 0, "a batch lost an attempt", sourceLocation: sourceLocation)
        try await after.expectSurvivors(sourceLocation: sourceLocation)
        try await after.expectQueueAtRest(sourceLocation: sourceLocation)
        await after.postgres.close()
        await sandbox.postgres.close()
    }

    /// Creates the table, with slow batches; returns how many rows it has.
    static func prepare(_ sandbox: Sandbox) async throws -> Int {
        try await sandbox.createEvents(40_000)
        try await sandbox.slowDown()
        return try await sandbox.rows()
    }
}

extension Sandbox {
    /// Ends all sessions of Ebb; returns how many there were.
    @discardableResult
    func terminateSessions(of application: String = "ebb %") async throws -> Int {
        try await self.number(
            """
            SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity
            WHERE application_name LIKE '\(application)' AND usename = 'plain'
            """
        )
    }

    /// How many entries the stream has ever had: batches that come back are new ones.
    func entriesAdded(_ stream: String = "stream:default") async throws -> Int {
        let info = try await self.redis.send("XINFO", "STREAM", self.key(stream)).array ?? []
        let position = try #require(info.firstIndex { $0.string == "entries-added" })
        return try #require(info[position + 1].int)
    }

    /// Returns once batches have come back to the queue many times over, while the circuit breaker keeps most of them
    /// untouched.
    func untilHeldBack(_ run: String, sourceLocation: SourceLocation = #_sourceLocation) async throws {
        // What was under way before the trouble ends, well or not.
        try await until("a batch came back", sourceLocation: sourceLocation) {
            try await self.field("delayed", of: run) > 0
        }
        let added = try await self.entriesAdded()
        try await until("batches come back again and again", sourceLocation: sourceLocation) {
            try await self.entriesAdded() >= added + 6
        }
        let status = try await self.status(of: run)
        #expect(
            status.batches.delayed + status.batches.leased <= 24,
            "\(status.batches)",
            sourceLocation: sourceLocation
        )
        #expect(status.batches.queued > 50, "\(status.batches)", sourceLocation: sourceLocation)
        #expect(["planning", "running"].contains(status.state), sourceLocation: sourceLocation)
    }
}
