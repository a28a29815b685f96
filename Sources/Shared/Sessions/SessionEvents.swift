import Logging
import PostgresClient
import RedisClient

/// Writes the events of deleted sessions into the product's database.
///
/// The script that deletes a session puts its event into a list, so that no crash comes between. From there an event goes into the
/// database and is forgotten afterwards; one that was written and not forgotten has the same id the next time.
struct SessionEvents {
    let queue: Queue
    let token: String
    let lease: Duration
    /// The layout's statement.
    let insert: String?
    let database: ConnectionPool?
    /// For one statement; a table that is locked for longer gets its events at the next sweep.
    let deadline: Duration
    let logger: Logger

    private var written = 0
    private var unwritten = 0
    private var error: String?

    /// Events per statement.
    private static let batch = 500

    init(
        queue: Queue,
        token: String,
        lease: Duration,
        insert: String?,
        database: ConnectionPool?,
        deadline: Duration,
        logger: Logger
    ) {
        self.queue = queue
        self.token = token
        self.lease = lease
        self.insert = insert
        self.database = database
        self.deadline = deadline
        self.logger = logger
    }

    /// Takes in how many events a page has left, and writes when there are enough.
    mutating func noted(_ count: Int) async throws {
        self.unwritten += count
        if self.unwritten >= Self.batch { try await self.write() }
    }

    /// Writes all that wait.
    ///
    /// A database that does not take them is not asked again by this sweep; one that is silent does not cost the sweep its lease.
    ///
    /// - Throws: `RedisError`, `LeaseLost`.
    mutating func write() async throws {
        guard let database, let insert, self.error == nil else { return }
        let deadline = self.deadline
        let key = self.queue.keys.sessionEvents
        while true {
            let reply = try await self.queue.redis.send("LRANGE", key, "0", String(Self.batch - 1))
            let events = (reply.array ?? []).compactMap(\.string)
            guard !events.isEmpty else { break }
            let document = "[\(events.joined(separator: ","))]"
            do {
                try await withHeartbeat(lease: self.lease) { [self] in
                    try await self.forget(0)
                } _: {
                    try await database.withConnection { connection in
                        _ = try await connection.query(insert, [document], deadline: deadline)
                    }
                }
            } catch let error as PostgresError {
                self.error = "\(error)"
                self.logger.log(.warning, "events of expired sessions wait for the database", [.error: "\(error)"])
                return
            }
            guard try await self.forget(events.count) else { throw LeaseLost() }
            self.written += events.count
        }
        self.unwritten = 0
    }

    /// Forgets events that have been written, and renews the lease; false when it is another's.
    private func forget(_ count: Int) async throws -> Bool {
        try await self.queue.redis.evaluate(
            SessionScripts.told,
            keys: [self.queue.keys.sweeper, self.queue.keys.sessionEvents],
            arguments: [self.token, self.lease.milliseconds, String(count)]
        ).int == 1
    }

    /// - `dropped`: events for which the scripts had no room.
    func report(dropped: Int) async throws -> SweepReport.Events {
        var report = SweepReport.Events()
        report.written = self.written
        report.dropped = dropped
        report.error = self.error
        if self.database != nil {
            report.waiting = try await self.queue.redis.send("LLEN", self.queue.keys.sessionEvents).int ?? 0
        }
        return report
    }
}
