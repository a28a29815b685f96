import Foundation
import PostgresClient
import Testing

/// What another system is told of a procedure, whatever happens to the processes that execute it.
@Suite(.timeLimit(.minutes(5))) struct `An announced procedure` {
    /// The table of the other system is `told`.
    static let configuration = """
        presets: []
        targets:
          Logs: {schema: SCHEMA, table: logs, key: id, max_age: {column: at, age: 1d}, strategy: key}
        hooks:
          Note: {command: {argv: [/bin/true]}}
        procedure: {time_zone: UTC, stages: [{hook: Note}, {target: Logs}]}
        announce:
          maintenance:
            insert: >-
              INSERT INTO SCHEMA.told (id, status, description) VALUES ({id}::uuid, {status}, {description})
              ON CONFLICT DO NOTHING
            update: >-
              UPDATE SCHEMA.told SET status = {status}, description = {description}
              WHERE id = {id}::uuid AND status = 'in_progress'

        """

    private static let environment = Projects.environment

    /// Rows go as slowly as ``pace(_:_:)`` says; the other system refuses ends while `deaf` has a row.
    private static func prepare(_ sandbox: Sandbox) async throws {
        let schema = sandbox.schema
        try await sandbox.execute(
            "CREATE TABLE \(schema).logs (id integer PRIMARY KEY, at timestamptz)",
            "INSERT INTO \(schema).logs SELECT n, now() - interval '2 days' FROM generate_series(1, 500) AS n",
            "CREATE TABLE \(schema).told (id uuid PRIMARY KEY, status text, description text)",
            "CREATE TABLE \(schema).deaf ()",
            "CREATE TABLE \(schema).pace (seconds real)",
            "INSERT INTO \(schema).pace VALUES (0)",
            """
            CREATE FUNCTION \(schema).slow() RETURNS trigger LANGUAGE plpgsql
            AS $$ BEGIN PERFORM pg_sleep(seconds) FROM \(schema).pace; RETURN old; END $$
            """,
            "CREATE TRIGGER slow BEFORE DELETE ON \(schema).logs FOR EACH ROW EXECUTE FUNCTION \(schema).slow()",
            """
            CREATE FUNCTION \(schema).refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
              IF NEW.status <> 'in_progress' AND EXISTS (SELECT FROM \(schema).deaf)
              THEN RAISE 'not now' USING ERRCODE = '40001'; END IF;
              RETURN NEW;
            END $$
            """,
            "CREATE TRIGGER refuse BEFORE UPDATE ON \(schema).told FOR EACH ROW EXECUTE FUNCTION \(schema).refuse()"
        )
    }

    private func withLogs(_ body: (Sandbox) async throws -> Void) async throws {
        try await withSandbox(Self.configuration) { sandbox in
            try await Self.prepare(sandbox)
            try await body(sandbox)
        }
    }

    /// What the other system believes of each run, in no order.
    private static func told(_ sandbox: Sandbox) async throws -> String {
        try await sandbox.value("SELECT string_agg(status, ' ' ORDER BY status) FROM \(sandbox.schema).told") ?? ""
    }

    private static func untilSomeRowsAreGone(_ sandbox: Sandbox) async throws {
        try await until("some rows are gone") {
            try await sandbox.number("SELECT count(*) FROM \(sandbox.schema).logs") < 500
        }
    }

    /// How many seconds a row takes: many while something has to come in the middle of the run.
    private static func pace(_ sandbox: Sandbox, _ seconds: Double) async throws {
        try await sandbox.execute("UPDATE \(sandbox.schema).pace SET seconds = \(seconds)")
    }

    private static func untilLapsed(_ sandbox: Sandbox) async throws {
        try await until("its lease is lapsed") {
            try await sandbox.number(
                "SELECT count(*) FROM \(sandbox.namespace).procedure_run WHERE lease_until < clock_timestamp()"
            ) == 1
        }
    }

    private static func state(_ sandbox: Sandbox) async throws -> String {
        guard try await sandbox.value("SELECT to_regclass('\(sandbox.namespace).procedure_run')") != nil else {
            return ""
        }
        return try await sandbox.value("SELECT state FROM \(sandbox.namespace).procedure_run") ?? ""
    }

    @Test func `that is killed at work is told to its end by whoever takes it over, under the same id`() async throws {
        try await self.withLogs { sandbox in
            try await Self.pace(sandbox, 0.06)
            _ = try await sandbox.during(.producer, ["maintenance"], environment: Self.environment) { first in
                try await Self.untilSomeRowsAreGone(sandbox)
                first.send(SIGKILL)
            }
            try await Self.pace(sandbox, 0)
            #expect(try await Self.told(sandbox) == "in_progress")
            try await Self.untilLapsed(sandbox)
            let next = try await sandbox.run(.producer, ["maintenance"], environment: Self.environment)
            #expect(next.status == .exited(0), "\(next.errors)")
            #expect(try await Self.told(sandbox) == "finished")
        }
    }

    @Test func `that is killed between its end and telling of it does not stay in progress`() async throws {
        try await self.withLogs { sandbox in
            try await sandbox.execute("INSERT INTO \(sandbox.schema).deaf DEFAULT VALUES")
            let (_, killed) = try await sandbox.during(.producer, ["maintenance"], environment: Self.environment) {
                first in
                try await until("it is over") { try await Self.state(sandbox) == "finished" }
                first.send(SIGKILL)
            }
            #expect(killed.status == .killed(by: SIGKILL))
            #expect(try await Self.told(sandbox) == "in_progress")
            try await sandbox.execute("DELETE FROM \(sandbox.schema).deaf")
            try await Self.untilLapsed(sandbox)
            let first = try await sandbox.value("SELECT id FROM \(sandbox.namespace).procedure_run") ?? ""
            let next = try await sandbox.run(.producer, ["maintenance"], environment: Self.environment)
            #expect(next.status == .exited(0), "\(next.errors)")
            #expect(
                next.output.hasPrefix("procedure run \(first) was over already: finished, 500 rows deleted\n"),
                "\(next.output)"
            )
            // It has a run of its own, too.
            #expect(next.output.hasSuffix("\nfinished, 0 rows deleted\n"), "\(next.output)")
            #expect(try await Self.told(sandbox) == "finished finished")
        }
    }

    @Test func `whose serve stops between its end and telling of it is told of by the next at once`() async throws {
        try await self.withLogs { sandbox in
            // A lease so long that only the process itself can have given it back.
            let patient: [String: String?] = ["EBB_LEASES_DURATION": "300s"]
            try await sandbox.execute(
                "INSERT INTO \(sandbox.schema).deaf DEFAULT VALUES",
                "DELETE FROM \(sandbox.schema).logs"
            )
            try await self.leaveScheduled(sandbox)
            let (_, stopped) = try await sandbox.during(.worker, environment: patient) { worker in
                let (_, outcome) = try await sandbox.during(.producer, ["serve"], environment: patient) { serve in
                    try await until("it is over") { try await Self.state(sandbox) == "finished" }
                    try await serve.stop()
                }
                try await worker.stop()
                #expect(outcome.status == .exited(0), "\(outcome.errors)")
            }
            #expect(stopped.status == .exited(0), "\(stopped.errors)")
            #expect(try await Self.told(sandbox) == "in_progress")
            try await sandbox.execute("DELETE FROM \(sandbox.schema).deaf")
            _ = try await sandbox.during(.producer, ["serve"], environment: patient) { serve in
                try await until("it is told") { try await Self.told(sandbox) == "finished" }
                try await serve.stop()
            }
        }
    }

    @Test func `whose process freezes and comes back after its successor's end stays ended`() async throws {
        try await self.withLogs { sandbox in
            try await Self.pace(sandbox, 0.06)
            let (_, zombie) = try await sandbox.during(.producer, ["maintenance"], environment: Self.environment) {
                first in
                try await Self.untilSomeRowsAreGone(sandbox)
                first.send(SIGSTOP)
                try await Self.pace(sandbox, 0)
                try await Self.untilLapsed(sandbox)
                let next = try await sandbox.run(.producer, ["maintenance"], environment: Self.environment)
                #expect(next.status == .exited(0), "\(next.errors)")
                #expect(try await Self.told(sandbox) == "finished")
                first.send(SIGCONT)
                try await until("the zombie has ended") { !first.isAlive }
            }
            #expect(zombie.status == .exited(0), "\(zombie.errors)")
            #expect(zombie.output.hasSuffix("\nfinished, 500 rows deleted\n"), "\(zombie.output)")
            #expect(try await Self.told(sandbox) == "finished")
            #expect(try await sandbox.number("SELECT count(*) FROM \(sandbox.namespace).procedure_run") == 1)
        }
    }

    /// Leaves a run of all stages, as a schedule does: nobody owns it.
    private func leaveScheduled(_ sandbox: Sandbox) async throws {
        let setup = try await sandbox.producer("setup")
        #expect(setup.status == .exited(0), "\(setup.errors)")
        try await sandbox.execute(
            """
            INSERT INTO \(sandbox.namespace).procedure_run
              (id, state, owner, beat_at, lease_until, only_stages, skip_stages, announcement)
            VALUES ('scheduled', 'in_progress', '', now(), now(), '{}', '{}', gen_random_uuid()::text)
            """,
            """
            INSERT INTO \(sandbox.namespace).procedure_stage (id, position, name, kind, subject, state)
            VALUES ('scheduled', 0, 'Note', 'hook', 'Note', 'pending'), ('scheduled', 1, 'Logs', 'target', 'Logs', 'pending')
            """
        )
    }

    @Test func `that nobody owns yet is not begun by who asks for less`() async throws {
        try await self.withLogs { sandbox in
            try await self.leaveScheduled(sandbox)
            let less = try await sandbox.producer("maintenance", "--skip", "Logs")
            #expect(less.status == .exited(2), "\(less.output)")
            #expect(
                less.errors.hasPrefix(
                    "procedure run scheduled was left unfinished with all stages, asked for --skip Logs; let "
                ),
                "\(less.errors)"
            )
            #expect(try await sandbox.number("SELECT count(*) FROM \(sandbox.schema).logs") == 500)
            let all = try await sandbox.producer("maintenance", "--json").json(ProcedureDocument.self)
            #expect(all.procedure == "scheduled" && all.state == "finished" && all.rows == 500)
        }
    }

    @Test func `ends when it is told to stop while PostgreSQL is away, and is gone on with`() async throws {
        try await withPostgresSandbox(Self.configuration) { sandbox, server in
            try await Self.prepare(sandbox)
            try await Self.pace(sandbox, 0.06)
            let environment = Self.environment.merging(["EBB_OUTAGES_MAX_PAUSE": "300ms"]) { $1 }
            let (_, stopped) = try await sandbox.during(.producer, ["maintenance"], environment: environment) {
                first in
                try await Self.untilSomeRowsAreGone(sandbox)
                try await server.stop(.immediate)
                first.send(SIGTERM)
                try await until("it has ended") { !first.isAlive }
            }
            #expect(stopped.status == .exited(1), "\(stopped.errors)")
            #expect(
                stopped.errors.contains("stopped by SIGTERM; PostgreSQL does not answer, so procedure run "),
                "\(stopped.errors)"
            )
            await sandbox.postgres.close()
            try await server.start()
            let after = try await server.sandbox(like: sandbox)
            try await Self.pace(after, 0)
            try await Self.untilLapsed(after)
            let next = try await after.run(.producer, ["maintenance", "--json"], environment: environment)
            #expect(next.status == .exited(0), "\(next.errors)")
            #expect(try next.json(ProcedureDocument.self).taken_over == 1)
            #expect(try await after.number("SELECT count(*) FROM \(after.schema).logs") == 0)
            await after.postgres.close()
        }
    }
}
