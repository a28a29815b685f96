import PostgresClient
import RedisClient
import Shared

/// How a run ended, by the queue and by the ledger, and whether anything of it is left.
package struct RunOutcome: Sendable {
    package var run: String
    /// The run's hash in Redis.
    package var fields: [String: String]
    /// `ebb.run`: state and rows.
    package var ledgerState: String?
    package var ledgerRows: Int?
    package var ledgerCascaded: Int?
    /// The sums over `ebb.batch`.
    package var batchRows: Int
    package var batchCascaded: Int
    /// The rows of the largest batch.
    package var largestBatch: Int
    /// Names of what is not at rest: open counters, entries, leases, delayed batches, pivots.
    package var unrest: [String]

    package var state: String? { self.fields["state"] }

    package func count(_ field: String) -> Int { self.fields[field].flatMap { Int($0) } ?? 0 }
}

extension TestBed {
    /// Reads how a run stands.
    package func outcome(of run: String) async throws -> RunOutcome {
        let fields = try await self.queue.fields(of: run)
        func count(_ field: String) -> Int { fields[field].flatMap { Int($0) } ?? 0 }
        var unrest = ["queued", "leased", "delayed", "parked"].filter { count($0) != 0 }
        if count("total") != count("done") + count("dead") + count("cancelled") { unrest.append("total") }
        let redis = self.queue.redis
        for stream in self.queue.streams {
            if try await redis.send("XLEN", stream).int != 0 { unrest.append("\(stream): entries") }
            if try await redis.send("XPENDING", stream, "workers").array?.first?.int != 0 {
                unrest.append("\(stream): leases")
            }
        }
        let keys = self.queue.keys
        for key in [keys.delayed, keys.active] where try await redis.send("ZCARD", key).int != 0 { unrest.append(key) }
        for key in ["delayed:entries", "starts:" + run] where try await redis.send("HLEN", keys.prefix + key).int != 0 {
            unrest.append(key)
        }
        // The dead letters of a failed run may still need its pivots.
        for name in ["pivot", "pivot_set"] where fields["state"] != "failed" {
            if try await self.int("SELECT count(*) FROM \(self.ledger.table(name)) WHERE run = $1", [run]) != 0 {
                unrest.append("ledger: \(name)")
            }
        }
        let record = try await self.connection.query(
            "SELECT state, rows, cascaded FROM \(self.ledger.table("run")) WHERE run = $1",
            [run]
        ).rows.first
        let sums = try await self.connection.query(
            """
            SELECT coalesce(sum(rows), 0), coalesce(sum(cascaded), 0), coalesce(max(rows), 0)
            FROM \(self.ledger.table("batch")) WHERE run = $1
            """,
            [run]
        ).rows[0]
        return RunOutcome(
            run: run,
            fields: fields,
            ledgerState: record?[0],
            ledgerRows: record?.int(1),
            ledgerCascaded: record?.int(2),
            batchRows: sums.int(0) ?? -1,
            batchCascaded: sums.int(1) ?? -1,
            largestBatch: sums.int(2) ?? -1,
            unrest: unrest
        )
    }
}
