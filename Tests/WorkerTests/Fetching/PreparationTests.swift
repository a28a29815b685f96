import Logging
import PostgresClient
import RedisClient
import Shared
import TestSupport
import Testing

@testable import Worker

/// What a worker does before there is work: at its start, and about a run that was just created.
@Suite(.timeLimit(.minutes(5))) struct PreparationTests {
    private static let targets = """
          Target: {table: events, key: id, max_age: {column: created_at, age: 1d}}
          Other: {table: others, key: id, max_age: {column: created_at, age: 1d}}
        """

    private func withRows(_ rows: Int, _ body: (TestBed) async throws -> Void) async throws {
        try await withTestBed(targets: Self.targets, settings: Unhurried.leases) { bed in
            for table in ["events", "others"] {
                try await bed.run("CREATE TABLE \(table) (id bigint PRIMARY KEY, created_at timestamp)")
            }
            try await bed.run(
                "INSERT INTO events SELECT n, now() - interval '2 days' FROM generate_series(1, \(rows)) AS n",
                "ANALYZE events"
            )
            try await body(bed)
        }
    }

    /// - `patience`: long, where it must not matter how busy the machine is.
    private func preparation(
        _ bed: TestBed,
        _ contexts: RunContexts,
        patience: Duration = .seconds(240),
        pool: ConnectionPool? = nil
    ) throws -> Preparation {
        Preparation(
            queue: bed.queue,
            catalog: bed.services.catalog,
            contexts: contexts,
            pool: try pool ?? ConnectionPool(bed.services.postgresConfiguration(as: "ebb test")),
            lease: bed.services.configuration.leases.duration,
            logger: Logger(label: "ebb.test"),
            patience: patience
        )
    }

    /// Whether a worker that hears of a run over so many rows knows it afterwards, with so many workers alive.
    private func prepares(rows: Int, workers: Int, target: String = "Target") async throws -> Bool {
        var isKnown = false
        try await self.withRows(rows) { bed in
            let run = try await bed.start()
            for worker in 0..<workers { _ = try await bed.queue.beat([], consumer: "worker-\(worker)") }
            let contexts = bed.services.runContexts()
            try await self.preparation(bed, contexts).prepare(.init(run: run.run, target: target, rows: run.estimated))
            // What is known takes no connection.
            let closed = try await bed.connect()
            await closed.close()
            do {
                isKnown = try await contexts.context(run.run, closed).record.run == run.run
            } catch is PostgresError { isKnown = false }
        }
        return isKnown
    }

    @Test(arguments: [(150_000, 0, true), (150_000, 1, true), (150_000, 2, false)])
    func `only a run that is large enough for all workers is prepared`(
        rows: Int,
        workers: Int,
        isPrepared: Bool
    ) async throws {
        #expect(try await self.prepares(rows: rows, workers: workers) == isPrepared)
    }

    @Test func `a run of what is no table is not prepared`() async throws {
        #expect(try await self.prepares(rows: 150_000, workers: 1, target: "Blobs") == false)
    }

    /// How many sessions of this name there are.
    private func sessions(_ name: String, _ bed: TestBed) async throws -> Int {
        try await bed.int("SELECT count(*) FROM pg_stat_activity WHERE application_name = $1", [name])
    }

    @Test func `a worker that starts has a connection for each slot, and uses them`() async throws {
        try await self.withRows(10) { bed in
            let name = "ebb \(bed.ledger.namespace)"
            let pool = ConnectionPool(try bed.services.postgresConfiguration(as: name))
            let preparation = try self.preparation(bed, bed.services.runContexts(), pool: pool)
            try await bed.ledger.setup(bed.connection)
            await preparation.open(3, namespace: bed.ledger.namespace)
            #expect(try await self.sessions(name, bed) == 3)
            let read = "SELECT count(*) FROM pg_stat_activity WHERE application_name = $1 AND query = 'COMMIT'"
            #expect(try await bed.int(read, [name]) == 1, "one of them has read the catalogs")
            try await pool.open(2)
            try await pool.withConnection { first in
                try await pool.withConnection { second in
                    _ = try await first.query("SELECT 1")
                    _ = try await second.query("SELECT 1")
                }
            }
            #expect(try await self.sessions(name, bed) == 3)
        }
    }

    @Test func `a worker that starts before there is a ledger has its connections all the same`() async throws {
        try await self.withRows(10) { bed in
            let name = "ebb \(bed.ledger.namespace)"
            let pool = ConnectionPool(try bed.services.postgresConfiguration(as: name))
            let preparation = try self.preparation(bed, bed.services.runContexts(), pool: pool)
            await preparation.open(2, namespace: "no such schema")
            #expect(try await self.sessions(name, bed) == 2)
        }
    }

    @Test func `a worker has them before there is a run`() async throws {
        try await withTestBed(targets: Self.targets, settings: Unhurried.leases, ownDatabase: true) { bed in
            let worker = WorkerService(services: bed.services, queue: bed.queue, concurrency: 3, drains: false)
            try await withThrowingTaskGroup(of: Void.self) { group in
                group.addTask { try await worker.run() }
                try await eventually("each slot has one") {
                    try await bed.int(
                        """
                        SELECT count(*) FROM pg_stat_activity
                        WHERE application_name = 'ebb worker' AND datname = current_database()
                        """
                    ) == 3
                }
                group.cancelAll()
            }
        }
    }

    @Test func `one that hangs is given up`() async throws {
        try await self.withRows(10) { bed in
            let run = try await bed.start()
            let locker = try await bed.connect()
            _ = try await locker.query("BEGIN")
            _ = try await locker.query("LOCK TABLE \(bed.ledger.table("run")) IN ACCESS EXCLUSIVE MODE")
            // The lock is held until then, so only giving up ends it.
            try await self.preparation(bed, bed.services.runContexts(), patience: .milliseconds(100)).prepare(
                .init(run: run.run, target: "Target", rows: 1_000_000)
            )
            _ = try await locker.query("ROLLBACK")
            await locker.close()
        }
    }

    @Test func `an idle worker reads a new run's table before there are batches`() async throws {
        try await self.withRows(150_000) { bed in
            // It cannot be planned before the other one is over, which nobody is at.
            let other = try await bed.start("Other")
            _ = try #require(try await bed.queue.takeStep(owner: "test", lease: .seconds(600), run: other.run))
            var run = try await bed.start()
            _ = try await bed.queue.redis.send("DEL", bed.queue.keys.run(run.run))
            run.after = [other.run]
            let locker = try await bed.connect()
            _ = try await locker.query("BEGIN")
            _ = try await locker.query("LOCK TABLE \(bed.table("events")) IN ACCESS EXCLUSIVE MODE")
            let worker = WorkerService(services: bed.services, queue: bed.queue, concurrency: 1, drains: false)
            try await withThrowingTaskGroup(of: Void.self) { group in
                group.addTask { try await worker.run() }
                // It waits in slices, and hears nothing between two of them.
                try await eventually("it reads the table") {
                    try await bed.queue.create(run, generation: 1)
                    let waiting = try await bed.int(
                        "SELECT count(*) FROM pg_locks WHERE NOT granted AND relation = $1::regclass",
                        [bed.table("events")]
                    )
                    _ = try await bed.queue.redis.send("DEL", bed.queue.keys.run(run.run))
                    return waiting == 1
                }
                group.cancelAll()
            }
            _ = try await locker.query("ROLLBACK")
            await locker.close()
        }
    }
}
