import Foundation
import PostgresClient
import TestSupport
import Testing

@testable import Producer
@testable import Shared

@Suite(.timeLimit(.minutes(5))) struct VacuumStageTests {
    private static let targets = """
          Parents: {table: parents, key: id, max_age: {column: at, age: 1d}}
          Others: {table: others, key: id, max_age: {column: at, age: 1d}}
          Parts: {table: parts, key: id, max_age: {column: at, age: 1d}}
        """

    /// Tables of which the first has rows that go, a child that goes with them, and one that only forgets them.
    private func withTables(
        _ stages: String = "{target: Parents}, {target: Others}, {vacuum: touched}",
        _ body: (TestBed) async throws -> Void
    ) async throws {
        let settings = """
            presets: []
            hooks: {Bad: {command: {argv: [/bin/false]}}}
            procedure: {time_zone: UTC, stages: [\(stages)]}

            """
        try await withTestBed(targets: Self.targets, settings: settings, ownDatabase: true) { bed in
            // What autovacuum has locked, the stage leaves alone.
            try await bed.run(
                "CREATE TABLE parents (id integer PRIMARY KEY, at timestamptz) WITH (autovacuum_enabled = off)",
                """
                CREATE TABLE children (id integer PRIMARY KEY,
                  parent integer REFERENCES parents ON DELETE CASCADE) WITH (autovacuum_enabled = off)
                """,
                """
                CREATE TABLE notes (id integer PRIMARY KEY,
                  parent integer REFERENCES parents ON DELETE SET NULL) WITH (autovacuum_enabled = off)
                """,
                "CREATE TABLE others (id integer PRIMARY KEY, at timestamptz) WITH (autovacuum_enabled = off)",
                "INSERT INTO parents SELECT n, now() - interval '2 days' FROM generate_series(1, 50) AS n",
                "INSERT INTO children SELECT n, n FROM generate_series(1, 50) AS n",
                "INSERT INTO notes SELECT n, n FROM generate_series(1, 50) AS n",
                "INSERT INTO others SELECT n, now() FROM generate_series(1, 50) AS n"
            )
            try await body(bed)
        }
    }

    /// Ends the runs of stages as a worker would have: their rows are gone.
    ///
    /// - `targets`: whose stages; nil for all.
    /// - `isOver`: whether the runs are; else they have failed halfway, and wait for an operator.
    private func work(
        _ bed: TestBed,
        _ record: ProcedureRecord,
        owner: String,
        on targets: [String]? = nil,
        isOver: Bool = true
    ) async throws {
        for stage in record.stages where stage.kind == "target" && targets?.contains(stage.name) != false {
            try await bed.ledger.beginStage(stage, of: record.id, owner: owner, bed.connection)
            let run = try await bed.start(stage.name)
            let deleted = try await bed.connection.query(
                "DELETE FROM \(run.table) WHERE at < now() - interval '1 day'"
            ).affectedRows
            try await bed.run(
                """
                INSERT INTO \(bed.ledger.table("batch")) (run, batch, outcome, rows)
                VALUES ('\(run.run)', '1.1', 'done', \(deleted))
                """
            )
            if isOver { _ = try await bed.ledger.finish(run.run, state: .finished, error: nil, bed.connection) }
            try await bed.ledger.endStage(
                stage,
                of: record.id,
                owner: owner,
                Ledger.StageEnd(isOver ? .finished : .failed, rows: deleted),
                bed.connection
            )
        }
    }

    /// Runs the procedure, with the work of targets done by hand.
    ///
    /// - `targets`, `isOver`: as for `work`.
    /// - `meanwhile`: called when they are done, before the vacuum.
    private func procedure(
        _ bed: TestBed,
        on targets: [String]? = nil,
        isOver: Bool = true,
        _ meanwhile: () async throws -> Void = {}
    ) async throws -> ProcedureRecord {
        let executor = try bed.executor()
        guard case .owned(let record, true) = try await bed.begin(executor) else {
            throw UnexpectedState("it did not begin")
        }
        try await self.work(bed, record, owner: executor.owner, on: targets, isOver: isOver)
        try await meanwhile()
        let current = try #require(try await bed.ledger.procedure(record.id, bed.connection))
        return try await executor.execute(current, isNew: false)
    }

    @Test func `the tables that were touched are vacuumed, with those that foreign keys touched`() async throws {
        try await self.withTables { bed in
            let record = try await self.procedure(bed)
            #expect(record.states == ["Parents: finished", "Others: finished", "vacuum: finished"])
            try self.expectVacuumed(["children", "notes", "parents"], record, bed)
        }
    }

    private func expectVacuumed(_ tables: [String], _ record: ProcedureRecord, _ bed: TestBed) throws {
        let expected = tables.map { JSONValue.string(bed.table($0)) }
        let stage = try record.stage("vacuum")
        #expect(stage.detail?["vacuumed"] == .array(expected), "\(stage)")
    }

    @Test func `a partitioned table is vacuumed, once, and so is one that hangs on it`() async throws {
        try await self.withTables("{target: Parts}, {vacuum: touched}") { bed in
            try await bed.run(
                "CREATE TABLE parts (id integer PRIMARY KEY, at timestamptz) PARTITION BY RANGE (id)",
                """
                CREATE TABLE parts_1 PARTITION OF parts FOR VALUES FROM (0) TO (30) WITH (autovacuum_enabled = off)
                """,
                """
                CREATE TABLE parts_2 PARTITION OF parts FOR VALUES FROM (30) TO (100) WITH (autovacuum_enabled = off)
                """,
                """
                CREATE TABLE pieces (id integer PRIMARY KEY, part integer REFERENCES parts ON DELETE CASCADE)
                PARTITION BY RANGE (id)
                """,
                "CREATE TABLE pieces_1 PARTITION OF pieces DEFAULT WITH (autovacuum_enabled = off)",
                "INSERT INTO parts SELECT n, now() - interval '2 days' FROM generate_series(1, 50) AS n",
                "INSERT INTO pieces SELECT n, n FROM generate_series(1, 50) AS n"
            )
            let record = try await self.procedure(bed)
            #expect(record.states == ["Parts: finished", "vacuum: finished"])
            try self.expectVacuumed(["parts", "pieces"], record, bed)
            let dead = "SELECT coalesce(sum(pg_relation_size(c)), 0) FROM unnest($1::regclass[]) AS c"
            // An empty heap whose rows are removed for good keeps its blocks, with nothing in them.
            #expect(try await bed.int(dead, ["{parts_1,parts_2,pieces_1}"]) > 0)
            let visible = "SELECT count(*) FROM pg_class WHERE oid = ANY ($1::regclass[]) AND relallvisible = relpages"
            #expect(try await bed.int(visible, ["{parts_1,parts_2,pieces_1}"]) == 3)
        }
    }

    @Test func `after a stop, what was touched is vacuumed all the same`() async throws {
        let stages =
            "{target: Parents}, {hook: Bad, on_failure: stop}, {target: Others}, {vacuum: touched}, {vacuum: [others], name: more}"
        try await self.withTables(stages) { bed in
            let record = try await self.procedure(bed, on: ["Parents"])
            #expect(
                record.states == [
                    "Parents: finished", "Bad: failed", "Others: skipped", "vacuum: finished", "more: skipped",
                ]
            )
            #expect(record.state == .failed && record.error?.hasPrefix("stage Bad failed: ") == true)
            #expect(try record.stage("Others").reason == record.error)
            try self.expectVacuumed(["children", "notes", "parents"], record, bed)
        }
    }

    @Test func `a run that is paused by an error has touched its table, too`() async throws {
        try await self.withTables { bed in
            let record = try await self.procedure(bed, isOver: false)
            #expect(record.states == ["Parents: failed", "Others: failed", "vacuum: finished"])
            try self.expectVacuumed(["children", "notes", "parents"], record, bed)
        }
    }

    /// Stages of which the vacuum has a window that is open for ``withTables`` and closed for ``outsideWindow``.
    private static let windowed = "{target: Parents}, {vacuum: touched, window: \"${WINDOW:-00:00-24:00}\"}"

    private func outsideWindow(_ bed: TestBed) throws -> TestBed {
        var calendar = Calendar(identifier: .gregorian)
        calendar.timeZone = .gmt
        let hour = calendar.component(.hour, from: .now)
        return try bed.with(["WINDOW": "\((hour + 12) % 24):00-\((hour + 13) % 24):00"])
    }

    @Test func `what its window has kept from being vacuumed, the next procedure vacuums`() async throws {
        try await self.withTables(Self.windowed) { bed in
            let first = try await self.procedure(self.outsideWindow(bed))
            #expect(first.states == ["Parents: finished", "vacuum: skipped"])
            #expect(try first.stage("vacuum").reason?.hasPrefix("outside its window") == true)
            let second = try await self.procedure(bed)
            #expect(second.states == ["Parents: finished", "vacuum: finished"])
            try self.expectVacuumed(["children", "notes", "parents"], second, bed)
            // Once is enough.
            let third = try await self.procedure(bed)
            #expect(try third.stage("vacuum").reason == "the procedure has deleted nothing")
        }
    }

    @Test func `what a stop from outside has kept from being vacuumed, the next procedure vacuums`() async throws {
        try await self.withTables("{target: Parents}, {vacuum: touched}") { bed in
            let executor = try bed.executor()
            guard case .owned(let record, true) = try await bed.begin(executor) else {
                throw UnexpectedState("it did not begin")
            }
            try await self.work(bed, record, owner: executor.owner)
            _ = try await executor.stop(record, reason: "stopped by SIGTERM")
            let next = try await self.procedure(bed)
            try self.expectVacuumed(["children", "notes", "parents"], next, bed)
        }
    }

    /// What ends a vacuum that is under way.
    enum Cut: CaseIterable, Sendable {
        /// Its process is told to stop.
        case stop
        case window
        /// Its process vanishes, and who takes the procedure over finds the window closed.
        case lateTakeover
    }

    @Test(arguments: Cut.allCases)
    func `what was left to a vacuum that was cut off, the next procedure vacuums`(cut: Cut) async throws {
        try await self.withTables(Self.windowed) { bed in
            let executor = try self.outsideWindow(bed).executor()
            guard case .owned(let record, true) = try await bed.begin(executor) else {
                throw UnexpectedState("it did not begin")
            }
            try await self.work(bed, record, owner: executor.owner)
            let vacuum = try record.stage("vacuum")
            try await bed.ledger.beginStage(vacuum, of: record.id, owner: executor.owner, bed.connection)
            switch cut {
            case .stop: _ = try await executor.stop(record, reason: "stopped by SIGTERM")
            case .window:
                // As the executor notes it.
                let end = Ledger.StageEnd(.failed, reason: "its window 01:00-02:00 closed")
                try await bed.ledger.endStage(vacuum, of: record.id, owner: executor.owner, end, bed.connection)
                _ = try await executor.stop(record, reason: "stage vacuum failed")
            case .lateTakeover:
                let current = try #require(try await bed.ledger.procedure(record.id, bed.connection))
                _ = try await executor.execute(current, isNew: false)
            }
            let first = try #require(try await bed.ledger.procedure(record.id, bed.connection))
            let state = cut == .lateTakeover ? "skipped" : "failed"
            #expect(first.states == ["Parents: finished", "vacuum: \(state)"])
            #expect(try first.stage("vacuum").startedAt != nil)
            let second = try await self.procedure(bed)
            #expect(second.rows == 0)
            try self.expectVacuumed(["children", "notes", "parents"], second, bed)
            // Once is enough.
            let third = try await self.procedure(bed)
            #expect(try third.stage("vacuum").reason == "the procedure has deleted nothing")
        }
    }

    @Test func `of two vacuums the second is missed when it did not come, too`() async throws {
        let stages =
            "{target: Parents}, {vacuum: touched}, {target: Others}, "
            + "{vacuum: touched, name: later, window: \"${WINDOW:-00:00-24:00}\"}"
        try await self.withTables(stages) { bed in
            try await bed.run("INSERT INTO others VALUES (1000, now() - interval '2 days')")
            let first = try await self.procedure(self.outsideWindow(bed))
            #expect(
                first.states == ["Parents: finished", "vacuum: finished", "Others: finished", "later: skipped"]
            )
            let second = try await self.procedure(bed)
            #expect(second.rows == 0)
            try self.expectVacuumed(["children", "notes", "others", "parents"], second, bed)
            let third = try await self.procedure(bed)
            #expect(try third.stage("later").reason == "the procedure has deleted nothing")
        }
    }

    @Test func `with nothing deleted there is nothing to do`() async throws {
        try await self.withTables("{target: Others}, {vacuum: touched}") { bed in
            let record = try await self.procedure(bed)
            #expect(record.states == ["Others: finished", "vacuum: skipped"])
            #expect(try record.stage("vacuum").reason == "the procedure has deleted nothing")
        }
    }

    @Test func `an old snapshot makes it pointless`() async throws {
        try await self.withTables { bed in
            let holder = try await bed.connect()
            _ = try await holder.query("BEGIN ISOLATION LEVEL REPEATABLE READ")
            _ = try await holder.query("SELECT 1 FROM parents LIMIT 1")
            let record = try await self.procedure(bed)
            #expect(record.state == .finished)
            let stage = try record.stage("vacuum")
            #expect(stage.state == .skipped)
            let reason = try #require(stage.reason)
            #expect(
                reason.contains("has a snapshot of ") && reason.contains("from before its rows were deleted"),
                "\(reason)"
            )
            await holder.close()
        }
    }

    @Test func `a snapshot that is younger than the deletion is in nobody's way`() async throws {
        try await self.withTables { bed in
            let holder = try await bed.connect()
            let record = try await self.procedure(bed) {
                // A snapshot is as old as the oldest transaction of the whole server that writes.
                let deleted = try await bed.int("SELECT pg_current_xact_id()::text::bigint")
                try await eventually("transactions of other tests are over") {
                    try await bed.int("SELECT pg_snapshot_xmin(pg_current_snapshot())::text::bigint") > deleted
                }
                _ = try await holder.query("BEGIN ISOLATION LEVEL REPEATABLE READ")
                _ = try await holder.query("SELECT 1 FROM parents LIMIT 1")
            }
            #expect(try record.stage("vacuum").state == .finished, "\(record.stages)")
            await holder.close()
        }
    }

    @Test func `runs of the procedure leave the vacuum to the stage, if it is to come`() async throws {
        try await self.withTables { bed in
            for skip in [[], ["vacuum"]] {
                let executor = try bed.executor()
                guard
                    case .owned(let record, true) = try await bed.begin(executor, selection: StageSelection(skip: skip))
                else { throw UnexpectedState("it did not begin") }
                let others = try await bed.start("Others")
                #expect(try await !bed.ledger.isVacuumedLater(others.run, bed.connection))
                let stage = record.stages[0]
                try await bed.ledger.beginStage(stage, of: record.id, owner: executor.owner, bed.connection)
                let run = try await bed.start("Parents")
                #expect(try await bed.ledger.isVacuumedLater(run.run, bed.connection) == skip.isEmpty)
                #expect(try await !bed.ledger.isVacuumedLater(others.run, bed.connection))
                _ = try await executor.stop(record, reason: "enough")
                #expect(try await !bed.ledger.isVacuumedLater(run.run, bed.connection))
                for run in [run, others] {
                    _ = try await bed.ledger.finish(run.run, state: .cancelled, error: nil, bed.connection)
                }
            }
        }
    }

    @Test func `tables that are named are vacuumed in any case, and a missing one is a failure`() async throws {
        try await self.withTables(
            "{vacuum: [others]}, {vacuum: [others, nothing], name: wrong}, {vacuum: others, full: true, name: full}"
        ) { bed in
            let record = try await bed.procedure()
            #expect(record.states == ["vacuum: finished", "wrong: failed", "full: finished"])
            #expect(try record.stage("wrong").reason == "\"nothing\": there is no such table")
        }
    }

    @Test func `a locked table is left alone`() async throws {
        try await self.withTables("{vacuum: [others]}") { bed in
            let holder = try await bed.connect()
            _ = try await holder.query("BEGIN")
            _ = try await holder.query("LOCK TABLE others IN SHARE UPDATE EXCLUSIVE MODE")
            let record = try await bed.procedure()
            #expect(record.states == ["vacuum: skipped"])
            #expect(try record.stage("vacuum").reason?.contains("lock not available") == true)
            await holder.close()
        }
    }
}
