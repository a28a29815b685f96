import PostgresClient
import Testing

@Suite(.timeLimit(.minutes(5))) struct `A database with local time` {
    /// Three rows that UTC calls old enough, three that only Vienna's clock would.
    @Test func `is cleaned by UTC all the same, with a warning`() async throws {
        let target = Events.target(age: "30d", keepsNewest: false)
        try await withPostgresSandbox(target) { sandbox, server in
            try await sandbox.execute("ALTER DATABASE ebb SET timezone = 'Europe/Vienna'")
            try await sandbox.execute(
                "CREATE TABLE \(sandbox.schema).events (id integer PRIMARY KEY, created_at timestamp)",
                """
                INSERT INTO \(sandbox.schema).events
                SELECT n, now() AT TIME ZONE 'UTC' - interval '720 hours' + (n - 3.5) * interval '10 minutes'
                FROM generate_series(1, 6) AS n
                """,
                "ANALYZE \(sandbox.schema).events"
            )
            let zone = try await server.connect()
            #expect(try await zone.query("SHOW TimeZone").rows[0][0] == "Europe/Vienna")
            await zone.close()
            let sentence = "begin with TimeZone Europe/Vienna"

            let plan = try await sandbox.producer("plan", "Events")
            #expect(plan.status == .exited(0))
            #expect(plan.output.contains(sentence), "\(plan.output)")
            let doctor = try await sandbox.producer("doctor")
            #expect(doctor.output.contains(sentence), "\(doctor.output)")

            let enqueued = try await sandbox.producer("enqueue", "Events")
            #expect(enqueued.status == .exited(0), "\(enqueued.errors)")
            #expect(enqueued.errors.contains(sentence), "\(enqueued.errors)")
            let worker = try await sandbox.run(.worker, ["--drain"])
            #expect(worker.status == .exited(0), "\(worker.errors)")
            let left = try await sandbox.value(
                "SELECT string_agg(id::text, ' ' ORDER BY id) FROM \(sandbox.schema).events"
            )
            #expect(left == "4 5 6")
        }
    }

    @Test func `is no matter for columns with a time zone, nor where the clock is UTC's`() async throws {
        try await withPostgresSandbox(Events.target(keepsNewest: false)) { sandbox, _ in
            try await sandbox.execute("ALTER DATABASE ebb SET timezone = 'Europe/Vienna'")
            try await sandbox.createEvents(100)
            #expect(try await !sandbox.producer("plan", "Events").output.contains("TimeZone"))
            try await sandbox.execute(
                "ALTER TABLE \(sandbox.schema).events ALTER created_at TYPE timestamp",
                "ALTER DATABASE ebb SET timezone = 'Africa/Abidjan'"
            )
            #expect(try await !sandbox.producer("plan", "Events").output.contains("TimeZone"))
            try await sandbox.execute("CREATE ROLE app", "ALTER ROLE app SET timezone = 'Asia/Tokyo'")
            let plan = try await sandbox.producer("plan", "Events")
            #expect(plan.output.contains("sessions of app begin with TimeZone Asia/Tokyo"), "\(plan.output)")
        }
    }

    /// As after a move to a server whose time zones no longer have old names.
    @Test func `keeps no run from beginning when a zone is unknown by now`() async throws {
        try await withPostgresSandbox(Events.target(keepsNewest: false)) { sandbox, _ in
            try await sandbox.createEvents(100, keepsNewest: false)
            try await sandbox.execute(
                "ALTER TABLE \(sandbox.schema).events ALTER created_at TYPE timestamp",
                "CREATE ROLE app",
                "ALTER ROLE app SET timezone = 'Asia/Tokyo'",
                "UPDATE pg_db_role_setting SET setconfig = ARRAY['TimeZone=Asia/Atlantis']"
            )
            let sentence = "cannot be read (time zone \"Asia/Atlantis\" not recognized)"
            let plan = try await sandbox.producer("plan", "Events")
            #expect(plan.status == .exited(0), "\(plan.errors)")
            #expect(plan.output.contains(sentence), "\(plan.output)")
            let outcome = try await sandbox.producer("cleanup", "Events", "--workers", "1")
            #expect(outcome.status == .exited(0), "\(outcome.errors)")
            #expect(outcome.errors.contains(sentence), "\(outcome.errors)")
            try await sandbox.expectSurvivors()
        }
    }
}
