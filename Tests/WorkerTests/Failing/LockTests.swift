import PostgresClient
import RedisClient
import Shared
import TestSupport
import Testing

/// Who holds a lock goes first, and costs no batch an attempt.
@Suite(.timeLimit(.minutes(5))) struct LockTests {
    /// Attempts that take so long that the test would not end if one were used.
    private static let settings =
        Unhurried.settings("attempts: 8, backoff: 1h, max_backoff: 1h, lock_timeout: 50ms") + "\nvacuum: off"

    @Test(arguments: Strategy.choices)
    func `rows that somebody holds are left to verification, the others go at once`(_ strategy: Strategy) async throws {
        try await withTestBed(targets: Poison.target(strategy), settings: Self.settings) { bed in
            try await bed.createEvents(1_000)
            let record = try await bed.start(batchRows: 300)
            try await bed.step(record.run)
            let holder = try await bed.connect()
            _ = try await holder.query("BEGIN")
            _ = try await holder.query("SELECT FROM events WHERE id IN (5, 500) FOR UPDATE")
            // A second look that finds them held, too, would be followed by the long pause.
            _ = try await holder.query(bed.lockAgainstVerification)
            async let work: Void = bed.work()
            try await eventually("only what is held is left") {
                try await bed.int("SELECT count(*) FROM events") == 12
            }
            _ = try await holder.query("ROLLBACK")
            await holder.close()
            try await work
            expectFinished(try await bed.outcome(of: record.run), rows: 990)
        }
    }

    /// Attempts enough to outlast the holder by a minute, and short enough for a test.
    private static let patient = Poison.settings("attempts: 100, backoff: 20ms, max_backoff: 1s, lock_timeout: 50ms")

    @Test func `a row that is held through pass after pass is waited for`() async throws {
        try await withTestBed(targets: Poison.target(.block), settings: Self.patient) { bed in
            try await bed.createEvents(1_000)
            let holder = try await bed.connect()
            _ = try await holder.query("BEGIN")
            _ = try await holder.query("SELECT FROM events WHERE id = 5 FOR UPDATE")
            let record = try await bed.start(batchRows: 300)
            async let work: Void = bed.work()
            try await eventually("it is tried as a single row") {
                let fields = try await bed.queue.fields(of: record.run)
                return fields["pass"].flatMap { Int($0) } ?? 0 > 3 && fields["delayed"] == "1"
            }
            _ = try await holder.query("ROLLBACK")
            await holder.close()
            try await work
            expectFinished(try await bed.outcome(of: record.run), rows: 990)
        }
    }

    @Test func `a row whose child is held keeps no other row back, and dies of nothing else`() async throws {
        try await withTestBed(targets: Poison.target(.block), settings: Self.patient) { bed in
            try await bed.createEvents(1_000)
            try await bed.run(
                "CREATE TABLE notes (event bigint REFERENCES events ON DELETE CASCADE)",
                "INSERT INTO notes SELECT n FROM generate_series(1, 100) AS n",
                "CREATE INDEX ON notes (event)"
            )
            let holder = try await bed.connect()
            _ = try await holder.query("BEGIN")
            _ = try await holder.query("SELECT FROM notes WHERE event = 50 FOR UPDATE")
            let record = try await bed.start(batchRows: 300)
            async let work: Void = bed.work()
            try await eventually("only it is left") { try await bed.int("SELECT count(*) FROM events") == 11 }
            let fields = try await bed.queue.fields(of: record.run)
            #expect(fields["row_splits"] == "0" && fields["dead"] == "0", "a lock is no error of a row")
            _ = try await holder.query("ROLLBACK")
            await holder.close()
            try await work
            expectFinished(try await bed.outcome(of: record.run), rows: 990)
        }
    }

    @Test func `a table that is locked as a whole is waited for`() async throws {
        try await withTestBed(targets: Poison.target(.block), settings: Self.settings) { bed in
            try await bed.createEvents(1_000)
            let record = try await bed.start(batchRows: 300)
            try await bed.step(record.run)
            let holder = try await bed.connect()
            _ = try await holder.query("BEGIN")
            _ = try await holder.query("LOCK TABLE events IN SHARE MODE")
            async let work: Void = bed.work()
            try await eventually("batches wait") {
                try await bed.queue.fields(of: record.run)["delayed"].flatMap { Int($0) } ?? 0 > 1
            }
            _ = try await holder.query("ROLLBACK")
            await holder.close()
            try await work
            expectFinished(try await bed.outcome(of: record.run), rows: 990)
        }
    }

    @Test(arguments: ["40P01", "40001"]) func `a deadlock is tried again on the spot`(_ sqlState: String) async throws {
        try await withTestBed(targets: Poison.target(.block), settings: Self.settings) { bed in
            try await bed.createEvents(1_000)
            // A sequence remembers what a transaction that was rolled back has drawn.
            try await bed.run("CREATE SEQUENCE failures")
            try await bed.onDelete(
                where: "old.id = 5",
                "IF nextval('failures') <= 3 THEN RAISE EXCEPTION 'again' USING ERRCODE = '\(sqlState)'; END IF"
            )
            let outcome = try #require(try await bed.drain("Target").first)
            expectFinished(outcome, rows: 990)
            #expect(try await bed.int("SELECT last_value FROM failures") == 4)
        }
    }

    @Test func `without the privilege to lock rows, only what is held waits`() async throws {
        try await withTestBed { outer in
            let role = "r\(outer.namespace)"
            try await outer.run(
                "CREATE ROLE \(role)",
                "DO $$BEGIN EXECUTE format('GRANT CREATE ON DATABASE %I TO \(role)', current_database()); END$$"
            )
            try await withTestBed(
                targets: Poison.target(.block),
                settings: Self.patient,
                session: [(name: "role", value: role)]
            ) { bed in
                try await bed.createEvents(100)
                try await bed.run("REVOKE UPDATE ON events FROM \(role)")
                let holder = try await bed.connect()
                _ = try await holder.query("BEGIN")
                _ = try await holder.query("DELETE FROM events WHERE id = 5")
                let record = try await bed.start()
                try await bed.step(record.run)
                async let work: Void = bed.work()
                try await eventually("it alone uses attempts") {
                    let entries = try await bed.queue.redis.send("HVALS", bed.queue.keys.prefix + "delayed:entries")
                    return (entries.array ?? []).contains { entry in
                        // Third, or later: each is there for a moment only.
                        entry.string.flatMap { Int($0.split(separator: " ")[2]) } ?? 0 >= 3
                    }
                }
                _ = try await holder.query("ROLLBACK")
                await holder.close()
                try await work
                expectFinished(try await bed.outcome(of: record.run), rows: 90)
            }
            try await outer.run("DROP OWNED BY \(role)", "DROP ROLE \(role)")
        }
    }
}
