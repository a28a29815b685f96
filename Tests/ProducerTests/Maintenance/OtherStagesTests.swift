import Foundation
import PostgresClient
import RedisClient
import TestSupport
import Testing

@testable import Producer
@testable import Shared

/// Sweeps, indexes and vacuums as stages: when they do not run, and what ends them.
@Suite(.timeLimit(.minutes(5))) struct OtherStagesTests {
    private func withProcedure(
        _ stages: String,
        _ more: String = "",
        ownClock: Bool = false,
        ownDatabase: Bool = false,
        _ body: (TestBed) async throws -> Void
    ) async throws {
        let hooks =
            "hooks: {Good: {command: {argv: [/bin/true]}}, Rare: {min_interval: 1h, command: {argv: [/bin/true]}}}"
        try await withTestBed(
            targets: "  Things: {table: things, key: id, max_age: {column: at, age: 1d}}",
            settings:
                "presets: []\n\(hooks)\n\(more)\nprocedure: {time_zone: UTC, stages: [\(stages), {hook: Good}]}\n",
            ownClock: ownClock,
            ownDatabase: ownDatabase
        ) { bed in
            // What autovacuum has locked, a vacuum leaves alone.
            try await bed.run(
                "CREATE TABLE things (id integer PRIMARY KEY, at timestamptz) WITH (autovacuum_enabled = off)"
            )
            try await body(bed)
        }
    }

    // MARK: Sweeps

    @Test func `a sweep removes sessions, and counts them`() async throws {
        try await self.withProcedure("{sweep: sessions}", "sessions: own") { bed in
            let (redis, keys) = (bed.queue.redis, bed.queue.keys)
            _ = try await SessionStore(redis: redis, keys: keys, lifetime: .milliseconds(1)).create(user: "alice")
            let token = try await SessionStore(redis: redis, keys: keys, lifetime: .seconds(60)).create(user: "bob")
            try await eventually("the first session is over") {
                try await redis.send("KEYS", "\(keys.session)*").array?.count == 1
            }
            let record = try await bed.procedure()
            #expect(record.states == ["sessions: finished", "Good: finished"])
            #expect(try record.stage("sessions").detail?["outcome"] == .string("finished"))
            #expect(try await redis.send("ZCARD", keys.sessions).int == 1)
            #expect(try await SessionStore(redis: redis, keys: keys, lifetime: .seconds(60)).read(token) != nil)
        }
    }

    @Test func `a sweep is skipped while another sweeper is at work`() async throws {
        // One that is held up for as long as its lease lasts is at work no more.
        for isLast in [false, false, false, false, true] {
            var wasAtWork = false
            try await self.withProcedure("{sweep: sessions}", "sessions: own") { bed in
                let record = try await self.besideAnotherSweeper(bed)
                let (redis, sweeper) = (bed.queue.redis, bed.queue.keys.sweeper)
                wasAtWork = try await redis.send("GET", sweeper) == .string("another")
                guard wasAtWork || isLast else { return }
                #expect(record.states == ["sessions: skipped", "Good: finished"] && record.state == .finished)
                #expect(try record.stage("sessions").reason == "another sweeper is at work")
                _ = try await redis.send("DEL", sweeper)
                #expect(try await bed.procedure().states == ["sessions: finished", "Good: finished"])
            }
            if wasAtWork { return }
        }
    }

    /// Runs the procedure while `another` has the sweeper's lease, and renews it.
    private func besideAnotherSweeper(_ bed: TestBed) async throws -> ProcedureRecord {
        let (redis, sweeper) = (bed.queue.redis, bed.queue.keys.sweeper)
        _ = try await redis.send("SET", sweeper, "another", "PX", "3000")
        let renewal = Task {
            while true {
                try await Task.sleep(for: .milliseconds(100))
                _ = try await redis.send("PEXPIRE", sweeper, "3000")
            }
        }
        let result: Result<ProcedureRecord, any Error>
        do { result = .success(try await bed.procedure()) } catch { result = .failure(error) }
        renewal.cancel()
        _ = await renewal.result
        return try result.get()
    }

    @Test func `a sweep waits for the lease of a sweeper that was killed`() async throws {
        try await self.withProcedure("{sweep: sessions}", "sessions: own") { bed in
            _ = try await bed.queue.redis.send("SET", bed.queue.keys.sweeper, "killed", "PX", "1000")
            #expect(try await bed.procedure().states == ["sessions: finished", "Good: finished"])
        }
    }

    @Test func `without sessions a sweep is off`() async throws {
        try await self.withProcedure("{sweep: sessions}") { bed in
            let record = try await bed.procedure()
            #expect(record.states == ["sessions: off", "Good: finished"])
            #expect(try record.stage("sessions").reason == "EBB_SESSIONS is not set")
        }
    }

    // MARK: Redis away

    /// Executes the procedure with a Redis that is not there.
    private func withoutRedis(_ bed: TestBed) async throws -> ProcedureRecord {
        let configuration = try RedisConfiguration(
            url: "unix:///nonexistent/redis.sock",
            commandTimeout: .milliseconds(200)
        )
        let queue = Queue(redis: RedisClient(configuration: configuration), namespace: bed.namespace)
        let executor = ProcedureExecutor(
            services: bed.services,
            queue: queue,
            procedure: try #require(try bed.services.procedure()),
            pool: ConnectionPool(try bed.services.postgresConfiguration(as: "ebb test"))
        )
        guard case .owned(let record, true) = try await bed.begin(executor) else {
            throw UnexpectedState("it did not begin")
        }
        let ended = try await executor.execute(record, isNew: true)
        await queue.close()
        return ended
    }

    @Test(arguments: [
        "{sweep: sessions, name: Stage, timeout: 1s}", "{target: Things, name: Stage, timeout: 1s}",
        "{hook: Rare, name: Stage, timeout: 1s}",
    ])
    func `the timeout of a stage holds while Redis is away`(_ stage: String) async throws {
        try await self.withProcedure(stage, "sessions: own") { bed in
            let record = try await self.withoutRedis(bed)
            #expect(record.states == ["Stage: failed", "Good: finished"])
            #expect(try record.stage("Stage").reason == "timed out")
        }
    }

    @Test func `the window of a stage closes while Redis is away`() async throws {
        let stage = "{target: Things, window: \"22:00-06:00\"}"
        try await self.withProcedure(stage, ownClock: true) { bed in
            try await bed.setClock("2031-05-21 05:59:59Z", isStill: true)
            let record = try await self.withoutRedis(bed)
            #expect(record.states == ["Things: failed", "Good: finished"])
            #expect(try record.stage("Things").reason == "its window 22:00-06:00 closed")
        }
    }

    // MARK: Indexes

    private static let indexes = """
        indexes: {Missing: {schema: SCHEMA, indexes: [{name: things_at, table: things, definition: "(at)"}]}}
        """

    /// A schema with a table, and a writer that an index has to wait for.
    ///
    /// In a database of its own, where it waits for no other test's transaction.
    private func withWriter(
        _ stage: String,
        ownClock: Bool = false,
        _ body: (TestBed, PostgresConnection) async throws -> Void
    ) async throws {
        try await SchemaSet.with { set in
            let schema = set.name("a")
            let indexes = Self.indexes.replacing("SCHEMA", with: schema)
            try await self.withProcedure(stage, indexes, ownClock: ownClock, ownDatabase: true) { bed in
                try await bed.run(
                    "CREATE SCHEMA \(schema)",
                    "CREATE TABLE \(schema).things (id integer PRIMARY KEY, at timestamptz)",
                    "INSERT INTO \(schema).things VALUES (1, now())"
                )
                let writer = try await bed.connect()
                _ = try await writer.query("BEGIN")
                _ = try await writer.query("UPDATE \(schema).things SET at = now()")
                try await body(bed, writer)
                await writer.close()
            }
        }
    }

    @Test func `a creation that waits for a writer ends with its stage's time, and is begun anew by the next`()
        async throws
    {
        try await self.withWriter("{index: Missing, timeout: \"${LIMIT:-1s}\"}") { bed, writer in
            let record = try await bed.procedure()
            #expect(record.states == ["Missing: failed", "Good: finished"])
            #expect(try record.stage("Missing").reason == "timed out")
            _ = try await writer.query("COMMIT")
            let second = try await bed.with(["LIMIT": "1m"]).procedure()
            #expect(second.states == ["Missing: finished", "Good: finished"], "\(second.stages)")
            #expect(try second.stage("Missing").detail?["created"] == .int(1))
        }
    }

    @Test func `a creation ends when its window closes, and does not begin outside it`() async throws {
        try await self.withWriter("{index: Missing, window: \"22:00-06:00\"}", ownClock: true) { bed, _ in
            try await bed.setClock("2031-05-21 05:59:59Z", isStill: true)
            let record = try await bed.procedure()
            #expect(try record.stage("Missing").reason == "its window 22:00-06:00 closed")
            try await bed.setClock("2031-05-21 06:00:00Z")
            #expect(try await bed.procedure().states == ["Missing: skipped", "Good: finished"])
        }
    }

    // MARK: Vacuums

    /// Makes ANALYZE of the table take a minute.
    private func slowDown(_ bed: TestBed) async throws {
        let function = "CREATE OR REPLACE FUNCTION slow(integer) RETURNS integer LANGUAGE plpgsql IMMUTABLE"
        try await bed.run(
            "\(function) AS $$ BEGIN RETURN $1; END $$",
            "CREATE INDEX ON things (slow(id))",
            "INSERT INTO things SELECT n, now() FROM generate_series(1, 60) AS n",
            "\(function) AS $$ BEGIN PERFORM pg_sleep(1); RETURN $1; END $$"
        )
    }

    @Test func `a vacuum that takes too long ends`() async throws {
        try await self.withProcedure("{vacuum: [things], timeout: 1s}") { bed in
            try await self.slowDown(bed)
            let record = try await bed.procedure()
            #expect(record.states == ["vacuum: failed", "Good: finished"])
            #expect(try record.stage("vacuum").reason == "timed out")
        }
    }

    @Test func `a vacuum ends when its window closes`() async throws {
        try await self.withProcedure("{vacuum: [things], window: \"22:00-06:00\"}", ownClock: true) { bed in
            try await self.slowDown(bed)
            try await bed.setClock("2031-05-21 05:59:59Z", isStill: true)
            let record = try await bed.procedure()
            #expect(record.states == ["vacuum: failed", "Good: finished"])
            #expect(try record.stage("vacuum").reason == "its window 22:00-06:00 closed")
        }
    }

    @Test func `a full vacuum writes the table anew, another one does not`() async throws {
        let stages = "{vacuum: [things]}, {vacuum: [things], full: true, name: full}"
        try await self.withProcedure(stages) { bed in
            func file() async throws -> [String] {
                try await bed.strings("SELECT pg_relation_filenode('things')::text")
            }
            let before = try await file()
            let plain = try await bed.procedure(selection: StageSelection(skip: ["full"]))
            #expect(plain.states == ["vacuum: finished", "full: skipped", "Good: finished"])
            #expect(try await file() == before)
            #expect(try await bed.procedure().states == ["vacuum: finished", "full: finished", "Good: finished"])
            #expect(try await file() != before)
        }
    }
}
