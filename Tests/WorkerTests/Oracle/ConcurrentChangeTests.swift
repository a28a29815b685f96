import PostgresClient
import Shared
import Synchronization
import TestSupport
import Testing

/// Rows that an application inserts, updates and deletes while a run is under way.
///
/// Every row has a role: `keep` is never expired while the run lasts, `gone` always is, `free` may be either.
@Suite(.timeLimit(.minutes(5))) struct ConcurrentChangeTests {
    /// Even devices have only old rows, of which the newest stays.
    ///
    /// Odd ones have two young rows: `free` is the pivot's
    /// witness and is taken away while the run goes on, `keep` takes its place.
    private static let setup = [
        "CREATE TABLE events (id bigint PRIMARY KEY, device integer NOT NULL, created_at timestamp, role text, payload text)",
        """
        INSERT INTO events
        SELECT n, n % 40,
               now() AT TIME ZONE 'UTC' - CASE WHEN n % 2 = 1 AND n < 40 THEN interval '1 hour'
                                               WHEN n % 2 = 1 AND n < 80 THEN interval '2 hours'
                                               ELSE interval '4 days' + n * interval '10 seconds' END,
               CASE WHEN n % 2 = 1 AND n < 40 THEN 'free' WHEN n < 40 OR n % 2 = 1 AND n < 80 THEN 'keep' ELSE 'gone' END,
               'x'
        FROM generate_series(0, 11999) AS n
        """,
    ]

    @Test(arguments: Strategy.choices)
    func `what is expired all through goes, what never is stays`(_ strategy: Strategy) async throws {
        let target = """
              Target: {table: events, key: id, max_age: {column: created_at, age: 3d}, \
            keep_newest: {count: 1, per: [device], order: [created_at]}, strategy: \(strategy.rawValue)}
            """
        // Whoever changes a row may be stopped for seconds, and nobody deletes it meanwhile.
        let settings = "vacuum: off\nbatches: {attempts: 100, backoff: 10ms, max_backoff: 1s}"
        try await withTestBed(targets: target, settings: settings) { bed in
            for statement in Self.setup { try await bed.run(statement) }
            try await bed.run(
                "CREATE INDEX ON events (device, created_at)",
                "CREATE INDEX ON events (created_at)",
                "ANALYZE events"
            )
            let keep = try await bed.strings("SELECT id FROM events WHERE role = 'keep' ORDER BY id")
            #expect(keep.count == 40)
            let record = try await bed.start(batchRows: 100)
            try await bed.step(record.run)
            // The pivots are known now; half of their witnesses vanish, the others grow old.
            try await bed.run(
                "DELETE FROM events WHERE role = 'free' AND device < 20",
                "UPDATE events SET created_at = created_at - interval '5 days' WHERE role = 'free'"
            )
            let changes = Changes(bed: bed, started: 11_990)
            // With fewer changes the run would mean nothing, so it does not end before.
            let holder = try await bed.connect()
            _ = try await holder.query("BEGIN")
            _ = try await holder.query(bed.lockAgainstVerification)
            try await withThrowingTaskGroup(of: Void.self) { group in
                for _ in 0..<2 { group.addTask { try await changes.run() } }
                do {
                    try await eventually("rows are changed") { changes.count > 0 }
                    group.addTask {
                        try await eventually("many rows are changed") { changes.count > 100 }
                        await holder.close()
                    }
                    try await bed.work()
                } catch {
                    changes.stop()
                    throw error
                }
                changes.stop()
                try await group.waitForAll()
            }
            let outcome = try await bed.outcome(of: record.run)
            expectFinished(outcome, rows: changes.balance - (try await bed.int("SELECT count(*) FROM events")))
            #expect(try await bed.strings("SELECT id FROM events WHERE role = 'keep' ORDER BY id") == keep)
            #expect(try await bed.strings("SELECT id FROM events WHERE role = 'gone' LIMIT 5") == [])
        }
    }
}

/// Random changes until they are stopped, each its own transaction on one row.
private final class Changes: Sendable {
    private let bed: TestBed
    private let isStopped = Atomic(false)
    private let rows: Atomic<Int>
    private let changed = Atomic(0)
    private let nextID = Atomic(1_000_000)

    /// - `started`: how many rows there are before any change.
    init(bed: TestBed, started: Int) {
        self.bed = bed
        self.rows = Atomic(started)
    }

    /// The rows there would be if nobody else deleted any.
    var balance: Int { self.rows.load(ordering: .sequentiallyConsistent) }
    var count: Int { self.changed.load(ordering: .sequentiallyConsistent) }

    func stop() { self.isStopped.store(true, ordering: .sequentiallyConsistent) }

    func run() async throws {
        let connection = try await self.bed.connect()
        while !self.isStopped.load(ordering: .sequentiallyConsistent) { try await self.change(connection) }
        await connection.close()
    }

    private func change(_ connection: PostgresConnection) async throws {
        let id = String(Int.random(in: 0..<12_000))
        let affected: Int
        switch Int.random(in: 0..<6) {
        case 0...1:
            affected = try await connection.query("UPDATE events SET payload = payload || 'y' WHERE id = $1", [id])
                .affectedRows
        case 2:
            affected = try await connection.query(
                "UPDATE events SET created_at = created_at - interval '1 hour' WHERE id = $1 AND role = 'gone'",
                [id]
            ).affectedRows
        case 3:
            // Older than every row that stays in an even device; young ones only where a younger one stays.
            let new = String(self.nextID.add(1, ordering: .relaxed).newValue)
            affected = try await connection.query(
                """
                INSERT INTO events
                SELECT $1::bigint, d, now() AT TIME ZONE 'UTC' - (5 * (1 - d % 2) + random() * 5) * interval '1 day', 'free', 'z'
                FROM (SELECT (random() * 39)::integer AS d) AS device
                """,
                [new]
            ).affectedRows
            self.rows.add(affected, ordering: .sequentiallyConsistent)
        case 4:
            affected = try await connection.query(
                "DELETE FROM events WHERE id = (SELECT id FROM events WHERE role = 'free' ORDER BY random() LIMIT 1)"
            ).affectedRows
            self.rows.subtract(affected, ordering: .sequentiallyConsistent)
        default:
            affected = try await connection.query(
                """
                UPDATE events SET created_at = now() AT TIME ZONE 'UTC' - (5 + random() * 5) * interval '1 day'
                WHERE id = (SELECT id FROM events WHERE role = 'free' ORDER BY random() LIMIT 1)
                """
            ).affectedRows
        }
        self.changed.add(affected, ordering: .relaxed)
    }
}
