import PostgresClient
import Shared
import TestSupport

extension TestBed {
    /// As long as a transaction has this lock, no run with `keep_newest` is verified, while its planned batches go on.
    var lockAgainstVerification: String { "LOCK TABLE \(self.ledger.table("pivot_set")) IN ACCESS EXCLUSIVE MODE" }
}

extension PostgresConnection {
    /// Whether another session waits for a lock that this one has.
    nonisolated func isWaitedFor() async throws -> Bool {
        try await self.query(
            "SELECT EXISTS (SELECT FROM pg_locks WHERE NOT granted AND pg_backend_pid() = ANY (pg_blocking_pids(pid)))"
        ).rows.first?.bool(0) == true
    }
}
