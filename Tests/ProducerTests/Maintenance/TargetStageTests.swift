import Foundation
import PostgresClient
import TestSupport
import Testing

@testable import Producer
@testable import Shared

/// What keeps a stage of a target from its end, and what the stage makes of it; no worker is there.
@Suite(.timeLimit(.minutes(5))) struct TargetStageTests {
    private static let targets = """
          Events: {table: events, key: id, max_age: {column: at, age: 1d}}
          Others: {table: others, key: id, max_age: {column: at, age: 1d}}
          Parents: {table: parents, key: id, max_age: {column: at, age: 1d}, strategy: key, drain_first: {children: {key: id, joins: {parents: parents.id = children.parent}}}}
        """

    /// Tables of which one is empty, so that its runs end without a worker.
    private func withTables(
        _ stages: String,
        ownClock: Bool = false,
        _ body: (TestBed) async throws -> Void
    ) async throws {
        let settings = "presets: []\nprocedure: {time_zone: UTC, stages: [\(stages)]}\n"
        try await withTestBed(targets: Self.targets, settings: settings, ownClock: ownClock) { bed in
            try await bed.run(
                "CREATE TABLE events (id integer PRIMARY KEY, at timestamptz)",
                "CREATE TABLE others (id integer PRIMARY KEY, at timestamptz)",
                "CREATE TABLE parents (id integer PRIMARY KEY, at timestamptz)",
                "CREATE TABLE children (id integer PRIMARY KEY, parent integer REFERENCES parents ON DELETE CASCADE)",
                "CREATE INDEX ON children (parent)",
                "INSERT INTO events SELECT n, now() - interval '2 days' FROM generate_series(1, 50) AS n",
                "INSERT INTO parents VALUES (1, now() - interval '2 days')",
                "INSERT INTO children VALUES (1, 1)"
            )
            // Runs begin by now().
            if ownClock {
                try await bed.run(
                    "CREATE FUNCTION now() RETURNS timestamptz LANGUAGE sql AS 'SELECT clock_timestamp()'"
                )
            }
            try await body(bed)
        }
    }

    private func withLock(_ bed: TestBed, on table: String, _ body: () async throws -> Void) async throws {
        let locker = try await bed.connect()
        _ = try await locker.query("BEGIN")
        _ = try await locker.query("LOCK TABLE \(table) IN ACCESS EXCLUSIVE MODE")
        let result: Result<Void, any Error>
        do { result = .success(try await body()) } catch { result = .failure(error) }
        await locker.close()
        try result.get()
    }

    /// Makes the queue ready, so that runs can be started before the procedure begins.
    private func setup(_ bed: TestBed) async throws {
        try await bed.ledger.setup(bed.connection)
        try await bed.queue.setup()
    }

    private func control(_ bed: TestBed) -> RunControl {
        RunControl(ledger: bed.ledger, queue: bed.queue, configuration: bed.services.configuration)
    }

    @Test func `a table that is empty is done`() async throws {
        try await self.withTables("{target: Others, timeout: 1m}") { bed in
            let record = try await bed.procedure()
            #expect(record.states == ["Others: finished"])
        }
    }

    // MARK: Locks

    @Test func `the timeout holds while the table is locked`() async throws {
        try await self.withTables("{target: Events, timeout: 1s}, {target: Others}") { bed in
            try await self.withLock(bed, on: "events") {
                let record = try await bed.procedure()
                #expect(record.states == ["Events: failed", "Others: finished"])
                #expect(try record.stage("Events").reason == "timed out")
            }
        }
    }

    @Test func `the window closes while the table is locked`() async throws {
        try await self.withTables("{target: Events, window: \"22:00-06:00\"}, {target: Others}", ownClock: true) {
            bed in
            try await self.withLock(bed, on: "events") {
                try await bed.setClock("2031-05-21 05:59:59Z", isStill: true)
                let record = try await bed.procedure()
                #expect(record.states == ["Events: failed", "Others: finished"])
                #expect(try record.stage("Events").reason == "its window 22:00-06:00 closed")
            }
        }
    }

    @Test func `without a limit, a table that stays locked is its own schema's failure`() async throws {
        try await SchemaSet.with { set in
            let settings = """
                presets: []
                \(set.yaml())procedure: {stages: [{target: Grouped}, {target: Single}]}

                """
            let targets = """
                  Grouped: {in: projects, table: things, key: id, max_age: {column: at, age: 1d}}
                  Single: {table: single, key: id, max_age: {column: at, age: 1d}}
                """
            try await withTestBed(targets: targets, settings: settings) { bed in
                for name in [set.name("a"), set.name("b")] {
                    try await bed.run(
                        "CREATE SCHEMA \(name)",
                        "CREATE TABLE \(name).things (id integer PRIMARY KEY, at timestamptz)"
                    )
                }
                try await bed.run("CREATE TABLE single (id integer PRIMARY KEY, at timestamptz)")
                var executor = try bed.executor()
                executor.lockPatience = .milliseconds(1)
                try await self.withLock(bed, on: "\(set.name("b")).things") {
                    guard case .owned(let record, true) = try await bed.begin(executor) else {
                        throw UnexpectedState("it did not begin")
                    }
                    let ended = try await executor.execute(record, isNew: true)
                    #expect(ended.states == ["Grouped: failed", "Single: finished"])
                    let reason = try #require(try ended.stage("Grouped").reason)
                    #expect(reason.hasPrefix("1 of 2 runs failed, the first of them \(set.name("b")): "), "\(reason)")
                    #expect(reason.contains("somebody has locked its table for longer than 1ms"), "\(reason)")
                }
            }
        }
    }

    // MARK: Limits of runs under way

    /// How long the first stage has.
    private struct Limit {
        /// Starting its run may take all of the shorter ones.
        static let all = [2, 10, 60].map { Limit(seconds: $0) }

        let seconds: Int

        /// As a stage's timeout.
        var text: String { "\(self.seconds)s" }

        /// The moment at which it begins, if it ends when the window closes.
        var start: Date {
            get throws {
                try Date("2031-05-21T06:00:00Z", strategy: .iso8601).addingTimeInterval(-Double(self.seconds))
            }
        }

        /// Whether the run was under way when the time was up; the longest has to do.
        func isEnough(for record: ProcedureRecord) -> Bool {
            if case .array(let failed) = record.stages[0].detail?["failed"], case .string = failed.first?["run"] {
                return true
            }
            return self.seconds == Self.all.last?.seconds
        }
    }

    /// Calls `body` with one limit after the other, and a bed for each, until it returns that the limit was enough.
    private func withLimits(
        _ stages: String,
        ownClock: Bool = false,
        _ body: (TestBed, Limit) async throws -> Bool
    ) async throws {
        for limit in Limit.all {
            var isEnough = false
            try await self.withTables(stages, ownClock: ownClock) { bed in
                isEnough = try await body(try bed.with(["LIMIT": limit.text]), limit)
            }
            if isEnough { return }
        }
    }

    private static let limited = "{target: Events, timeout: \"${LIMIT:-1s}\"}"

    @Test func `the timeout ends a run that is under way`() async throws {
        try await self.withLimits("\(Self.limited), {target: Others}") { bed, limit in
            let record = try await bed.procedure()
            guard limit.isEnough(for: record) else { return false }
            #expect(record.states == ["Events: failed", "Others: finished"])
            #expect(try record.stage("Events").reason == "timed out")
            let error = "SELECT error FROM \(bed.ledger.table("run")) WHERE target = 'Events' AND state = 'failed'"
            #expect(try await bed.strings(error) == ["timed out"])
            return true
        }
    }

    @Test func `the timeout leaves a run that was there before`() async throws {
        try await self.withLimits("\(Self.limited), {target: Others}") { bed, limit in
            try await self.setup(bed)
            let run = try await bed.start("Events").run
            let record = try await bed.procedure()
            guard limit.isEnough(for: record) else { return false }
            #expect(record.states == ["Events: failed", "Others: finished"])
            #expect(try record.stage("Events").reason == "timed out; run \(run) was there before and goes on")
            #expect(try await bed.ledger.run(run, bed.connection)?.finishedAt == nil)
            #expect(try await bed.queue.fields(of: run)["state"] == "running")
            return true
        }
    }

    @Test func `so does the window`() async throws {
        try await self.withLimits("{target: Events, window: \"22:00-06:00\"}", ownClock: true) { bed, limit in
            try await self.setup(bed)
            try await bed.setClock(limit.start.addingTimeInterval(-8).formatted(.iso8601), isStill: true)
            let run = try await bed.start("Events").run
            try await bed.setClock(limit.start.formatted(.iso8601), isStill: true)
            let record = try await bed.procedure()
            guard limit.isEnough(for: record) else { return false }
            let reason = "its window 22:00-06:00 closed; run \(run) was there before and goes on"
            #expect(try record.stage("Events").reason == reason)
            #expect(try await bed.ledger.run(run, bed.connection)?.finishedAt == nil)
            return true
        }
    }

    @Test func `whoever takes a stage over ends a run that its predecessor had begun for it`() async throws {
        try await self.withLimits(Self.limited) { bed, limit in
            let first = try bed.executor()
            guard case .owned(let record, true) = try await bed.begin(first) else {
                throw UnexpectedState("it did not begin")
            }
            try await bed.ledger.beginStage(record.stages[0], of: record.id, owner: first.owner, bed.connection)
            let run = try await bed.start("Events").run
            try await bed.lapse()
            let second = try bed.executor()
            guard case .owned(let taken, false) = try await bed.begin(second) else {
                throw UnexpectedState("it was not taken over")
            }
            let ended = try await second.execute(taken, isNew: false)
            guard limit.isEnough(for: ended) else { return false }
            #expect(try ended.stage("Events").reason == "timed out")
            #expect(try await bed.ledger.run(run, bed.connection)?.error == "timed out")
            return true
        }
    }

    @Test func `the window that closes ends a run that is under way, with its own reason`() async throws {
        try await self.withLimits("{target: Events, window: \"22:00-06:00\"}", ownClock: true) { bed, limit in
            try await bed.setClock(limit.start.formatted(.iso8601), isStill: true)
            let record = try await bed.procedure()
            guard limit.isEnough(for: record) else { return false }
            #expect(try record.stage("Events").reason == "its window 22:00-06:00 closed")
            let error = "SELECT error FROM \(bed.ledger.table("run")) WHERE target = 'Events' AND state = 'failed'"
            #expect(try await bed.strings(error) == ["its window 22:00-06:00 closed"])
            return true
        }
    }

    @Test func `outside the window nothing begins`() async throws {
        try await self.withTables("{target: Events, window: \"22:00-06:00\"}", ownClock: true) { bed in
            try await bed.setClock("2031-05-21 06:00:00Z")
            #expect(try await bed.procedure().states == ["Events: skipped"])
            #expect(try await bed.int("SELECT count(*) FROM \(bed.ledger.table("run"))") == 0)
        }
    }

    @Test func `a stage that is taken over after a long outage has its whole time`() async throws {
        try await self.withTables("{target: Others, timeout: 10m}", ownClock: true) { bed in
            let first = try bed.executor()
            guard case .owned(let record, true) = try await bed.begin(first) else {
                throw UnexpectedState("it did not begin")
            }
            try await bed.ledger.beginStage(record.stages[0], of: record.id, owner: first.owner, bed.connection)
            try await bed.setClock("2091-05-21 12:00:00Z")
            let second = try bed.executor()
            guard case .owned(let taken, false) = try await bed.begin(second) else {
                throw UnexpectedState("it was not taken over")
            }
            let ended = try await second.execute(taken, isNew: false)
            #expect(ended.states == ["Others: finished"], "\(ended.stages)")
        }
    }

    @Test func `a run from before, whose time was up, is followed by another`() async throws {
        try await self.withTables("{target: Others, timeout: 10m}") { bed in
            try await self.setup(bed)
            let entry = try bed.services.catalog.entry(named: "Others")
            guard case .table(let target) = entry, case .on(let knobs) = try bed.services.resolve(entry) else {
                throw UnexpectedState("there is no such target")
            }
            let starter = bed.services.runStarter(bed.queue)
            let old = try await starter.start(target, knobs: knobs, timeout: .milliseconds(1), bed.connection).run
            let record = try await bed.procedure()
            #expect(record.states == ["Others: finished"])
            let ended = try await bed.ledger.run(old.run, bed.connection)
            #expect(ended?.state == .failed)
            #expect(try await bed.int("SELECT count(*) FROM \(bed.ledger.table("run"))") == 2)
        }
    }

    // MARK: Pauses

    @Test func `a run that somebody has paused is a failure, and the other stages run`() async throws {
        try await self.withTables("{target: Events}, {target: Others}") { bed in
            try await self.setup(bed)
            let run = try await bed.start("Events").run
            try await self.control(bed).pause(run)
            let record = try await bed.procedure()
            #expect(record.states == ["Events: failed", "Others: finished"])
            #expect(
                try record.stage("Events").reason == "run \(run) of Events is paused; producer resume lets it go on"
            )
            // It is left as it is.
            #expect(try await bed.queue.fields(of: run)["state"] == "paused")
        }
    }

    @Test func `so is one that is paused while it is waited for`() async throws {
        try await self.withTables("{target: Events}, {target: Others}") { bed in
            async let ended = bed.procedure()
            var run: String?
            try await eventually("a run is under way") {
                let there = "SELECT to_regclass('\(bed.ledger.table("run"))') IS NOT NULL"
                guard try await bed.connection.query(there).rows.first?.bool(0) == true else { return false }
                run = try await bed.strings("SELECT run FROM \(bed.ledger.table("run"))").first
                guard let run else { return false }
                return try await bed.queue.fields(of: run)["state"] == "running"
            }
            try await self.control(bed).pause(try #require(run))
            let record = try await ended
            #expect(record.states == ["Events: failed", "Others: finished"])
        }
    }

    @Test func `a paused run that drains children is in its parent's way`() async throws {
        try await self.withTables("{target: Parents}, {target: Others}") { bed in
            try await self.setup(bed)
            let parent = try await bed.start("Parents")
            let child = try #require(parent.after.first)
            try await self.control(bed).pause(child)
            let record = try await bed.procedure()
            #expect(record.states == ["Parents: failed", "Others: finished"])
            #expect(try record.stage("Parents").reason?.hasPrefix("run \(child) of Parents.children is paused") == true)
        }
    }
}
