import Foundation
import PostgresClient
import Testing

/// `producer cleanup … --json`, with all its fields and their types.
private struct ResultDocument: Decodable {
    var target: String
    var outcome: String
    var reason: String?
    var run: String?
    var rows: Int
    var cascaded: Int
    var seconds: Double
}

/// `producer cleanup` of several targets: a line for each, whatever becomes of the others.
@Suite(.timeLimit(.minutes(5))) struct `A cleanup of several targets` {
    private static let configuration = """
        presets: []
        targets:
          Events: {schema: SCHEMA, table: events, key: id, max_age: {column: created_at, age: 30d}}
          Notes: {schema: SCHEMA, table: notes, key: id, max_age: {column: created_at, age: 1d}}
          Broken: {schema: SCHEMA, table: nowhere, key: id, max_age: {column: created_at, age: 1d}}
          Stuck: {schema: SCHEMA, table: stuck, key: id, max_age: {column: created_at, age: 1d}}
          Unset: {schema: SCHEMA, table: notes, key: id, max_age: {column: created_at, age: "${NOTES_AGE}"}}

        """

    /// 5 notes with two remarks each, which go by cascade; and a table whose rows refuse to go.
    private func withTables(_ body: (Sandbox) async throws -> Void) async throws {
        try await withSandbox(Self.configuration) { sandbox in
            let schema = sandbox.schema
            try await sandbox.createEvents(2_000, keepsNewest: false)
            try await sandbox.execute(
                "CREATE TABLE \(schema).notes (id integer PRIMARY KEY, created_at timestamptz)",
                "INSERT INTO \(schema).notes SELECT n, now() - interval '2 days' FROM generate_series(1, 1005) AS n",
                "CREATE TABLE \(schema).remarks (note integer REFERENCES \(schema).notes ON DELETE CASCADE)",
                "CREATE INDEX ON \(schema).remarks (note)",
                "INSERT INTO \(schema).remarks SELECT n FROM generate_series(1, 6) AS n, generate_series(1, 2)",
                "CREATE TABLE \(schema).stuck (id integer PRIMARY KEY, created_at timestamptz)",
                "INSERT INTO \(schema).stuck VALUES (1, now() - interval '2 days')",
                """
                CREATE FUNCTION \(schema).refuse() RETURNS trigger LANGUAGE plpgsql AS
                $$ BEGIN RAISE 'this row stays'; END $$
                """,
                "CREATE TRIGGER refuse BEFORE DELETE ON \(schema).stuck FOR EACH ROW EXECUTE FUNCTION \(schema).refuse()"
            )
            try await body(sandbox)
        }
    }

    private func lines(_ outcome: Outcome) -> [String] {
        outcome.output.split(separator: "\n").map(String.init)
            .filter { !$0.hasPrefix("run ") && !$0.hasPrefix("no worker") }
    }

    @Test func `goes on after an error, cleans one that is named twice once, and fails`() async throws {
        try await self.withTables { sandbox in
            let outcome = try await sandbox.run(
                .producer,
                ["cleanup", "Broken", "Unset", "Stuck", "Notes", "Events", "Notes", "--workers", "1"],
                environment: Items.hasty.merging(["EBB_BATCHES_ATTEMPTS": "2"]) { $1 }
            )
            #expect(outcome.status == .exited(1), "\(outcome.errors)")
            let lines = self.lines(outcome)
            try #require(lines.count == 5, "\(outcome.output)")
            #expect(lines[0].hasPrefix("Broken: failed: ") && lines[0].contains("nowhere"), "\(lines[0])")
            #expect(lines[1] == "Unset: off: NOTES_AGE is not set")
            #expect(lines[2].hasPrefix("Stuck: failed: 1 batches were given up on"), "\(lines[2])")
            #expect(lines[2].contains(", 0 rows deleted, 0 cascaded, "), "\(lines[2])")
            #expect(
                lines[3].wholeMatch(of: /Notes: finished, 1 005 rows deleted, 12 cascaded, [0-9]+\.[0-9] s/) != nil,
                "\(lines[3])"
            )
            #expect(lines[4].contains(#/^Events: finished, 1 59[0-9] rows deleted, 0 cascaded, /#), "\(lines[4])")
            try await sandbox.expectSurvivors()
            #expect(try await sandbox.runs().count == 3)
        }
    }

    @Test func `is well when all are done or off`() async throws {
        try await self.withTables { sandbox in
            let outcome = try await sandbox.producer("cleanup", "Notes", "Unset", "--workers", "1", "--json")
            #expect(outcome.status == .exited(0), "\(outcome.errors)")
            let results = try outcome.json([ResultDocument].self)
            #expect(results.map(\.target) == ["Notes", "Unset"])
            #expect(results.map(\.outcome) == ["finished", "off"])
            #expect(results.map(\.rows) == [1_005, 0])
            #expect(results.map(\.cascaded) == [12, 0])
            #expect(results[0].run != nil && results[0].seconds > 0 && results[0].reason == nil)
            #expect(results[1].reason == "NOTES_AGE is not set")
            let off = try await sandbox.producer("cleanup", "Unset")
            #expect(off.status == .exited(0), "\(off.errors)")
            #expect(self.lines(off) == ["Unset: off: NOTES_AGE is not set"])
        }
    }

    @Test func `has one time for all: what runs then times out, what comes after is not begun`() async throws {
        try await self.withTables { sandbox in
            // Longer than the command may take, by far.
            try await sandbox.execute(
                """
                CREATE FUNCTION \(sandbox.schema).slowly() RETURNS trigger LANGUAGE plpgsql AS
                $$ BEGIN PERFORM pg_sleep(0.05); RETURN old; END $$
                """,
                """
                CREATE TRIGGER slowly BEFORE DELETE ON \(sandbox.schema).events
                FOR EACH ROW EXECUTE FUNCTION \(sandbox.schema).slowly()
                """
            )
            let outcome = try await sandbox.run(
                .producer,
                ["cleanup", "Events", "Notes", "Unset", "--workers", "1", "--timeout", "2s", "--batch-rows", "10"]
            )
            #expect(outcome.status == .exited(1), "\(outcome.errors)")
            let lines = self.lines(outcome)
            try #require(lines.count == 3, "\(outcome.output)")
            #expect(
                lines[0].hasPrefix("Events: timed out: the timeout of 2s was over, "),
                "\(lines[0])"
            )
            let run = try #require(try await sandbox.runs().first)
            #expect(lines[0].hasSuffix(" s, run \(run)"), "\(lines[0])")
            #expect(lines[1] == "Notes: not begun: the timeout of 2s was over")
            #expect(lines[2] == "Unset: off: NOTES_AGE is not set")
            #expect(try await sandbox.runs() == [run])
            #expect(try await sandbox.status(of: run).error == "timed out")
        }
    }

    @Test(arguments: [false, true]) func `that is stopped says what became of each`(isJSON: Bool) async throws {
        try await self.withTables { sandbox in
            let events = "\(sandbox.schema).events"
            let arguments = ["cleanup", "Notes", "Events", "Stuck", "Unset", "--workers", "1"]
            let (_, outcome) = try await sandbox.holding(events) {
                try await sandbox.during(.producer, arguments + (isJSON ? ["--json"] : [])) { producer in
                    try await until("it waits for the table") { try await sandbox.isWaitedFor(events) }
                    producer.send(SIGTERM)
                }
            }
            #expect(outcome.status == .exited(1), "\(outcome.errors)")
            if isJSON {
                let results = try outcome.json([ResultDocument].self)
                #expect(results.map(\.outcome) == ["finished", "stopped", "not begun", "off"])
                #expect(results.map(\.target) == ["Notes", "Events", "Stuck", "Unset"])
                #expect(try await sandbox.runs() == results.compactMap(\.run).sorted())
            } else {
                let lines = self.lines(outcome)
                try #require(lines.count == 4, "\(outcome.output)")
                #expect(lines[0].hasPrefix("Notes: finished, 1 005 rows deleted"), "\(lines[0])")
                let run = try #require(try await sandbox.runs().last)
                #expect(lines[1] == "Events: stopped: by SIGTERM, run \(run)")
                #expect(lines[2] == "Stuck: not begun: stopped by SIGTERM")
                #expect(lines[3] == "Unset: off: NOTES_AGE is not set")
            }
        }
    }

    @Test func `whose workers end again and again says what became of each target`() async throws {
        try await self.withTables { sandbox in
            let arguments = ["cleanup", "Events", "Notes", "Unset", "--workers", "1"]
            let (_, outcome) = try await sandbox.holding("\(sandbox.schema).events") {
                try await sandbox.during(.producer, arguments) { producer in
                    try await until("it has no worker any more") {
                        let all = try ProcessTable.pids(with: "EBB_NAMESPACE", sandbox.namespace)
                        for pid in all where pid != producer.pid { kill(pid_t(pid), SIGKILL) }
                        return !producer.isAlive
                    }
                }
            }
            #expect(outcome.status == .exited(1), "\(outcome.errors)")
            let reason = "because its local workers end by themselves"
            #expect(outcome.errors.contains("stopped \(reason); runs under way go on"), "\(outcome.errors)")
            let lines = self.lines(outcome)
            try #require(lines.count == 3, "\(outcome.output)")
            #expect(lines[0].hasPrefix("Events: stopped: \(reason)"), "\(lines[0])")
            #expect(lines[1] == "Notes: not begun: stopped \(reason)")
            #expect(lines[2] == "Unset: off: NOTES_AGE is not set")
        }
    }

    @Test func `waits for a run whose step fails once for no known reason`() async throws {
        try await self.withTables { sandbox in
            _ = try await sandbox.producer("setup")
            let ledger = sandbox.namespace
            // A sequence remembers what is rolled back.
            try await sandbox.execute(
                "CREATE SEQUENCE \(sandbox.schema).ends",
                """
                CREATE FUNCTION \(sandbox.schema).fail_once() RETURNS trigger LANGUAGE plpgsql AS
                $$ BEGIN
                  IF new.finished_at IS NOT NULL AND nextval('\(sandbox.schema).ends') = 1 THEN
                    RAISE 'out of memory' USING ERRCODE = '53200';
                  END IF;
                  RETURN new;
                END $$
                """,
                """
                CREATE TRIGGER fail_once BEFORE UPDATE ON \(ledger).run
                FOR EACH ROW EXECUTE FUNCTION \(sandbox.schema).fail_once()
                """
            )
            // All steps are the command's own: no worker is there, and none is started.
            try await sandbox.execute("TRUNCATE \(sandbox.schema).notes, \(sandbox.schema).remarks")
            let outcome = try await sandbox.producer("cleanup", "Notes", "--workers", "0")
            #expect(outcome.status == .exited(0), "\(outcome.errors)")
            #expect(outcome.errors.contains("out of memory"), "\(outcome.errors)")
            #expect(try await sandbox.number("SELECT last_value FROM \(sandbox.schema).ends") == 2)
            #expect(self.lines(outcome).last?.hasPrefix("Notes: finished, 0 rows deleted") == true, "\(outcome.output)")
        }
    }

    @Test func `gives up on a run whose step fails again and again`() async throws {
        try await self.withTables { sandbox in
            _ = try await sandbox.producer("setup")
            try await sandbox.execute(
                """
                CREATE FUNCTION \(sandbox.schema).fail() RETURNS trigger LANGUAGE plpgsql AS
                $$ BEGIN
                  IF new.finished_at IS NOT NULL THEN RAISE 'out of memory' USING ERRCODE = '53200'; END IF;
                  RETURN new;
                END $$
                """,
                """
                CREATE TRIGGER fail BEFORE UPDATE ON \(sandbox.namespace).run
                FOR EACH ROW EXECUTE FUNCTION \(sandbox.schema).fail()
                """,
                "TRUNCATE \(sandbox.schema).notes, \(sandbox.schema).remarks"
            )
            let outcome = try await sandbox.run(
                .producer,
                ["cleanup", "Notes", "--workers", "0"],
                environment: ["EBB_BATCHES_ATTEMPTS": "2"]
            )
            #expect(outcome.status == .exited(1), "\(outcome.errors)")
            #expect(self.lines(outcome).last?.contains("Notes: failed: ") == true, "\(outcome.output)")
            #expect(outcome.output.contains("out of memory"), "\(outcome.output)")
        }
    }

    @Test(arguments: ["0", "0s"])
    func `with a timeout of 0 has as long as it takes`(timeout: String) async throws {
        try await self.withTables { sandbox in
            let outcome = try await sandbox.run(
                .producer,
                ["cleanup", "Notes", "Events", "--workers", "1", "--timeout", timeout]
            )
            #expect(outcome.status == .exited(0), "\(outcome.errors)")
            let lines = self.lines(outcome)
            try #require(lines.count == 2, "\(outcome.output)")
            #expect(lines[0].hasPrefix("Notes: finished, 1 005 rows deleted"), "\(lines[0])")
            #expect(lines[1].contains(#/^Events: finished, 1 59[0-9] rows deleted/#), "\(lines[1])")
            try await sandbox.expectSurvivors()
            let runs = "SELECT count(*) FROM \(sandbox.namespace).run WHERE deadline"
            #expect(try await sandbox.number("\(runs) IS NULL") == 2)
            #expect(try await sandbox.number("\(runs) IS NOT NULL") == 0)
        }
    }

    @Test func `is refused before anything runs when one name is wrong`() async throws {
        try await self.withTables { sandbox in
            let before = try await sandbox.rows()
            try await sandbox.expectRefusal(
                ["cleanup", "Events", "events"],
                "unknown target events; did you mean Events?"
            )
            let none = try await sandbox.producer("cleanup")
            #expect(none.status == .exited(64))
            let soon = try await sandbox.producer("cleanup", "Events", "--timeout", "soon")
            #expect(soon.status == .exited(64), "\(soon.errors)")
            let negative = try await sandbox.producer("cleanup", "Events", "--timeout=-1s")
            #expect(negative.status == .exited(64), "\(negative.errors)")
            #expect(try await sandbox.rows() == before)
            #expect(try await sandbox.leftTraces() == [])
        }
    }

    @Test func `has its later targets cleaned although the connection broke meanwhile`() async throws {
        try await self.withTables { sandbox in
            let locker = try await Servers.connect()
            _ = try await locker.query("BEGIN")
            _ = try await locker.query("LOCK TABLE \(sandbox.schema).notes IN ACCESS EXCLUSIVE MODE")
            async let ended: Void = Self.endWaitingProducer(sandbox)
            try await until("the server looks out for it") {
                try await sandbox.number(
                    """
                    SELECT count(*) FROM pg_stat_activity
                    WHERE state = 'active' AND query LIKE 'DO%\(sandbox.schema).notes%'
                    """
                ) == 1
            }
            let outcome = try await sandbox.producer("cleanup", "Notes", "Events", "--workers", "1")
            try await ended
            _ = try await locker.query("ROLLBACK")
            await locker.close()
            #expect(outcome.status == .exited(1), "\(outcome.errors)")
            let lines = self.lines(outcome)
            try #require(lines.count == 2, "\(outcome.output)")
            #expect(lines[0].hasPrefix("Notes: failed: "), "\(lines[0])")
            #expect(lines[1].contains(#/^Events: finished, 1 59[0-9] rows deleted/#), "\(lines[1])")
            try await sandbox.expectSurvivors()
        }
    }

    /// Ends the session of a producer that waits for the table, as soon as it does; the server itself looks, since
    /// planning waits for a few seconds only.
    private static func endWaitingProducer(_ sandbox: Sandbox) async throws {
        let connection = try await Servers.connect()
        _ = try await connection.query(
            """
            DO $$ BEGIN
              FOR look IN 1..20000 LOOP
                PERFORM pg_stat_clear_snapshot();
                PERFORM pg_terminate_backend(pid) FROM pg_stat_activity JOIN pg_locks USING (pid)
                WHERE application_name = 'ebb producer' AND NOT granted
                  AND relation = '\(sandbox.schema).notes'::regclass;
                IF FOUND THEN RETURN; END IF;
                PERFORM pg_sleep(0.01);
              END LOOP;
              RAISE 'no producer has waited';
            END $$
            """
        )
        await connection.close()
    }
}
