import PostgresClient
import TestSupport
import Testing

@testable import Producer
@testable import Shared

@Suite(.timeLimit(.minutes(2))) struct VacuumStageTests {
    private static let targets = """
          Parents: {table: parents, key: id, max_age: {column: at, age: 1d}}
          Others: {table: others, key: id, max_age: {column: at, age: 1d}}
        """

    /// Tables of which the first has rows that go, a child that goes with them, and one that only forgets them.
    private func withTables(
        _ stages: String = "{target: Parents}, {target: Others}, {vacuum: touched}",
        _ body: (TestBed) async throws -> Void
    ) async throws {
        let settings = "presets: []\nprocedure: {stages: [\(stages)]}\n"
        try await withTestBed(targets: Self.targets, settings: settings) { bed in
            try await bed.run(
                "CREATE TABLE parents (id integer PRIMARY KEY, at timestamptz)",
                """
                CREATE TABLE children (id integer PRIMARY KEY,
                  parent integer REFERENCES parents ON DELETE CASCADE)
                """,
                """
                CREATE TABLE notes (id integer PRIMARY KEY,
                  parent integer REFERENCES parents ON DELETE SET NULL)
                """,
                "CREATE TABLE others (id integer PRIMARY KEY, at timestamptz)",
                "INSERT INTO parents SELECT n, now() - interval '2 days' FROM generate_series(1, 50) AS n",
                "INSERT INTO children SELECT n, n FROM generate_series(1, 50) AS n",
                "INSERT INTO notes SELECT n, n FROM generate_series(1, 50) AS n",
                "INSERT INTO others SELECT n, now() FROM generate_series(1, 50) AS n"
            )
            try await body(bed)
        }
    }

    /// Ends the runs of the stage at work as a worker would have: their rows are gone.
    private func work(_ bed: TestBed, _ record: ProcedureRecord, owner: String) async throws {
        for stage in record.stages where stage.kind == "target" {
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
            _ = try await bed.ledger.finish(run.run, state: .finished, error: nil, bed.connection)
            try await bed.ledger.endStage(
                stage,
                of: record.id,
                owner: owner,
                Ledger.StageEnd(.finished, rows: deleted),
                bed.connection
            )
        }
    }

    /// Waits until no other test has a snapshot from before the deletion.
    private func waitForOthers(_ bed: TestBed, _ procedure: String) async throws {
        try await eventually("nobody has an old snapshot", within: .seconds(60)) {
            let touched = try await bed.ledger.touchedTables(of: procedure, bed.connection)
            let holders = try await SnapshotHolder.read(bed.connection)
            return !touched.contains { table in holders.contains { $0.isBefore(table.xid) } }
        }
    }

    /// Runs the procedure, with the work of targets done by hand.
    ///
    /// - `meanwhile`: called when they are done, before the vacuum.
    /// - `isWatched`: whether a snapshot of the test's own is to be in the way.
    private func procedure(
        _ bed: TestBed,
        isWatched: Bool = false,
        _ meanwhile: () async throws -> Void = {}
    ) async throws -> ProcedureRecord {
        let executor = try bed.executor()
        guard case .owned(let record, true) = try await bed.begin(executor) else {
            throw UnexpectedState("it did not begin")
        }
        try await self.work(bed, record, owner: executor.owner)
        try await meanwhile()
        if !isWatched { try await self.waitForOthers(bed, record.id) }
        let current = try #require(try await bed.ledger.procedure(record.id, bed.connection))
        return try await executor.execute(current, isNew: false)
    }

    @Test func `the tables that were touched are vacuumed, with those that foreign keys touched`() async throws {
        try await self.withTables { bed in
            let record = try await self.procedure(bed)
            #expect(record.states == ["Parents: finished", "Others: finished", "vacuum: finished"])
            let expected = ["children", "notes", "parents"].map { JSONValue.string(bed.table($0)) }
            #expect(try record.stage("vacuum").detail?["vacuumed"] == .array(expected))
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
            let record = try await self.procedure(bed, isWatched: true)
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
