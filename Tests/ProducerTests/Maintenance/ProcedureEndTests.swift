import PostgresClient
import Shared
import Synchronization
import TestSupport
import Testing

@testable import Producer

/// How stages and runs of the procedure come to their end, and who is told.
@Suite(.timeLimit(.minutes(5))) struct ProcedureEndTests {
    private static let hooks = """
          Good: {command: {argv: [/bin/true]}}
          Good2: {command: {argv: [/bin/true]}}
          Slow: {command: {argv: [/bin/sleep, "60"], timeout: 2m}}
          Odd: {command: {argv: [printf, 'a\\000b \\377 c']}}
        """

    /// Another system's table, which refuses ends while `deaf` has a row.
    private static let announcement = """
        announce:
          maintenance:
            insert: >-
              INSERT INTO told (id, status, description) VALUES ({id}::uuid, {status}, {description}) ON CONFLICT DO NOTHING
            update: >-
              UPDATE told SET status = {status}, description = {description} WHERE id = {id}::uuid AND status = 'in_progress'
        """

    private static let tables = [
        "CREATE TABLE told (id uuid PRIMARY KEY, status text, description text)", "CREATE TABLE deaf ()",
        """
        CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
          IF NEW.status <> 'in_progress' AND EXISTS (SELECT FROM deaf) THEN RAISE 'not now' USING ERRCODE = '40001'; END IF;
          RETURN NEW;
        END $$
        """, "CREATE TRIGGER refuse BEFORE UPDATE ON told FOR EACH ROW EXECUTE FUNCTION refuse()",
    ]

    private func withProcedure(_ stages: String, _ body: (TestBed) async throws -> Void) async throws {
        let procedure = "procedure: {time_zone: UTC, stages: [\(stages)]}"
        try await withTestBed(
            settings: "presets: []\nhooks:\n\(Self.hooks)\n\(procedure)\n\(Self.announcement)\n",
            variables: [
                "PATH": "/bin:/usr/bin", "EBB_LEASES_DURATION": "1500ms", "EBB_BATCHES_STATEMENT_TIMEOUT": "700ms",
                "EBB_BATCHES_IDLE_TIMEOUT": "500ms",
            ]
        ) { bed in
            for table in Self.tables { try await bed.run(table) }
            try await body(bed)
        }
    }

    private func told(_ bed: TestBed) async throws -> [String] {
        try await bed.strings("SELECT status FROM told ORDER BY status")
    }

    private func run(_ bed: TestBed, _ id: String) async throws -> ProcedureRecord {
        try #require(try await bed.ledger.procedure(id, bed.connection))
    }

    /// An executor that tells, and the run that it has begun.
    private func begun(_ bed: TestBed) async throws -> (executor: ProcedureExecutor, record: ProcedureRecord) {
        let executor = try bed.executor([try ProcedureTeller(bed.services, bed.queue)])
        guard case .owned(let record, true) = try await bed.begin(executor) else {
            throw UnexpectedState("it did not begin")
        }
        return (executor, record)
    }

    // MARK: Stages

    @Test func `whatever a hook prints is kept, and the other stages run`() async throws {
        try await self.withProcedure("{hook: Odd}, {hook: Good}") { bed in
            let record = try await bed.procedure()
            #expect(record.states == ["Odd: finished", "Good: finished"])
            #expect(try record.stage("Odd").detail?["output"] == .string("a\u{FFFD}b \u{FFFD} c"))
        }
    }

    @Test func `a stage whose end is refused has failed, and the other stages run`() async throws {
        try await self.withProcedure("{hook: Good}, {hook: Good2}") { bed in
            try await bed.ledger.setup(bed.connection)
            try await bed.run(
                """
                CREATE FUNCTION no_detail() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
                  IF NEW.name = 'Good' AND NEW.detail IS NOT NULL THEN RAISE 'no such detail'; END IF;
                  RETURN NEW;
                END $$
                """,
                """
                CREATE TRIGGER no_detail BEFORE UPDATE ON \(bed.ledger.table("procedure_stage"))
                FOR EACH ROW EXECUTE FUNCTION no_detail()
                """
            )
            let record = try await bed.procedure()
            #expect(record.states == ["Good: failed", "Good2: finished"])
            let reason = try #require(try record.stage("Good").reason)
            #expect(reason.hasPrefix("its end could not be noted: ") && reason.contains("no such detail"))
        }
    }

    // MARK: Telling

    @Test func `an end that was told is noted`() async throws {
        try await self.withProcedure("{hook: Good}") { bed in
            let (executor, record) = try await self.begun(bed)
            _ = try await executor.execute(record, isNew: true)
            #expect(try await self.told(bed) == ["finished"])
            #expect(try await self.run(bed, record.id).isTold)
        }
    }

    @Test(arguments: [true, false])
    func `an end that was not told is told by whoever looks next`(_ isLeft: Bool) async throws {
        try await self.withProcedure("{hook: Good}") { bed in
            let (first, record) = try await self.begun(bed)
            try await bed.run("INSERT INTO deaf DEFAULT VALUES")
            let work = Task { try await first.execute(record, isNew: true) }
            try await eventually("it is over") { try await self.run(bed, record.id).state == .finished }
            // Told to stop, as a producer serve is.
            work.cancel()
            _ = await work.result
            try await bed.run("DELETE FROM deaf")
            #expect(try await self.told(bed) == ["in_progress"])
            #expect(try await !self.run(bed, record.id).isTold)

            if isLeft {
                try await bed.ledger.leaveProcedures(of: first.owner, bed.connection)
            } else {
                try await bed.lapse()
            }
            let second = try bed.executor([try ProcedureTeller(bed.services, bed.queue)])
            guard case .owned(let taken, false) = try await bed.begin(second) else {
                throw UnexpectedState("it was not taken over")
            }
            #expect(taken.id == record.id && taken.state == .finished && taken.takenOver == 0)
            #expect(try await second.execute(taken, isNew: false).id == record.id)
            #expect(try await self.told(bed) == ["finished"])
            let ended = try await self.run(bed, record.id)
            #expect(ended.isTold && ended.finishedAt == taken.finishedAt)
            let events = try await bed.queue.events.latest(100).filter { $0.topic == "maintenance" }
            #expect(events.last?.subject == record.id && events.last?.status == "finished")
            guard case .owned(_, true) = try await bed.begin(second) else {
                throw UnexpectedState("nothing begins after the end")
            }
        }
    }

    @Test func `an end that the other system's table refuses is told once it is mended, and nothing waits for it`()
        async throws
    {
        try await self.withProcedure("{hook: Good}") { bed in
            let bed = try bed.withLongLeases()
            let (first, record) = try await self.begun(bed)
            try await bed.run("ALTER TABLE told RENAME TO away")
            #expect(try await first.execute(record, isNew: true).state == .finished)
            #expect(try await !self.run(bed, record.id).isTold)
            // One of a schedule, which comes after it, and the next time before.
            guard case .owned(let other, true) = try await bed.begin(first) else {
                throw UnexpectedState("nothing begins")
            }
            let runs = bed.ledger.table("procedure_run")
            try await bed.run(
                "UPDATE \(runs) SET lease_until = now() - interval '1 minute'",
                "UPDATE \(runs) SET lease_until = now() - interval '1 hour' WHERE id = '\(record.id)'"
            )
            var taken: [String] = []
            for _ in 0..<2 {
                let next = try await bed.ledger.takeOverProcedure(
                    owner: first.owner,
                    lease: first.lease,
                    bed.connection
                )
                taken.append(try #require(next).record.id)
            }
            #expect(taken == [record.id, other.id])
            try await bed.run("ALTER TABLE away RENAME TO told")
            let ended = try await self.run(bed, record.id)
            _ = try await first.execute(ended, isNew: false)
            #expect(try await self.told(bed) == ["finished"])
            #expect(try await self.run(bed, record.id).isTold)
        }
    }

    @Test func `an end that is being told is left to its owner, and keeps nothing from beginning`() async throws {
        try await self.withProcedure("{hook: Good}") { bed in
            let bed = try bed.withLongLeases()
            let (first, record) = try await self.begun(bed)
            let isOver = try await bed.ledger.finishProcedure(
                record.id,
                owner: first.owner,
                error: nil,
                bed.connection
            )
            #expect(isOver)
            let second = try bed.executor()
            let taken = try await bed.ledger.takeOverProcedure(
                owner: second.owner,
                lease: second.lease,
                bed.connection
            )
            #expect(taken == nil)
            guard case .owned(let other, true) = try await bed.begin(second) else {
                throw UnexpectedState("nothing begins")
            }
            #expect(other.id != record.id)
        }
    }

    /// Notes the ends that are told.
    private final class Ends: ProcedureObserver {
        let states = Mutex<[ProcedureState]>([])

        func note(_ news: ProcedureNews) async {
            if case .ended(let record) = news { self.states.withLock { $0.append(record.state) } }
        }
    }

    @Test func `an owner that comes back after its successor's end learns of it, and changes nothing`() async throws {
        try await self.withProcedure("{hook: Slow}") { bed in
            let ends = Ends()
            let first = try bed.executor([try ProcedureTeller(bed.services, bed.queue), ends])
            guard case .owned(let record, true) = try await bed.begin(first) else {
                throw UnexpectedState("it did not begin")
            }
            let work = Task { try await first.execute(record, isNew: true) }
            try await eventually("the stage runs") { try await self.run(bed, record.id).stages[0].state == .running }
            // At one blow, so that the first one's beat comes after all of it.
            try await bed.run(
                """
                UPDATE \(bed.ledger.table("procedure_run"))
                SET owner = 'other', state = 'failed', error = 'by other', finished_at = now(), told_at = now()
                """,
                "UPDATE told SET status = 'failed', description = 'by other'"
            )
            let ended = try await work.value
            #expect(ended.state == .failed && ended.error == "by other")
            #expect(ends.states.withLock { $0 } == [.failed])
            #expect(try await bed.strings("SELECT description FROM told") == ["by other"])
            let events = try await bed.queue.events.latest(100).filter { $0.topic == "maintenance" }
            #expect(events.allSatisfy { $0.status == "in_progress" })
        }
    }

    @Test func `a beat between a run's end and what follows it does no harm`() async throws {
        try await self.withProcedure("{hook: Good}") { bed in
            let (executor, record) = try await self.begun(bed)
            // Removing old runs takes longer than the lease.
            try await bed.run(
                """
                CREATE FUNCTION wait() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN PERFORM pg_sleep(2); RETURN NULL; END $$
                """,
                """
                CREATE TRIGGER wait BEFORE DELETE ON \(bed.ledger.table("procedure_run"))
                FOR EACH STATEMENT EXECUTE FUNCTION wait()
                """
            )
            #expect(try await executor.execute(record, isNew: true).state == .finished)
            #expect(try await self.told(bed) == ["finished"])
            #expect(try await self.run(bed, record.id).isTold)
        }
    }

    // MARK: Selections

    /// How a run was left, and what is asked for then.
    struct Case: Sendable, CustomTestStringConvertible {
        var left: StageSelection
        var asked: StageSelection
        var isTaken: Bool

        var testDescription: String { "left with \(self.left.words), asked for \(self.asked.words)" }
    }

    @Test(arguments: [
        Case(left: StageSelection(), asked: StageSelection(), isTaken: true),
        Case(left: StageSelection(), asked: StageSelection(skip: ["Good2"]), isTaken: false),
        // Its first stage is over.
        Case(left: StageSelection(), asked: StageSelection(skip: ["Good"]), isTaken: true),
        Case(left: StageSelection(only: ["Good2"]), asked: StageSelection(), isTaken: true),
        Case(left: StageSelection(only: ["Good2"]), asked: StageSelection(only: ["Good"]), isTaken: false),
        Case(left: StageSelection(only: ["Good"]), asked: StageSelection(only: ["Good2"]), isTaken: true),
    ])
    func `a run that was left is taken over only if what it has to do is asked for`(_ given: Case) async throws {
        try await self.withProcedure("{hook: Good}, {hook: Good2}") { bed in
            let first = try bed.executor()
            guard case .owned(let record, true) = try await bed.begin(first, selection: given.left) else {
                throw UnexpectedState("it did not begin")
            }
            try await bed.ledger.endStage(
                record.stages[0],
                of: record.id,
                owner: first.owner,
                Ledger.StageEnd(.finished),
                bed.connection
            )
            // As a schedule leaves it.
            try await bed.run("UPDATE \(bed.ledger.table("procedure_run")) SET owner = ''")
            try await bed.lapse()
            switch try await bed.begin(try bed.executor(), selection: given.asked) {
            case .owned(let taken, let isNew): #expect(given.isTaken && isNew && taken.id == record.id)
            case .alive(let left): #expect(!given.isTaken && left.id == record.id && left.isLapsed)
            }
        }
    }
}
