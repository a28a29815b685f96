import PostgresClient
import Shared
import TestSupport
import Testing

@testable import Worker

/// The plain delete that a batch of `order: leaf_first` tries first.
@Suite(.timeLimit(.minutes(5))) struct OptimisticDeleteTests {
    /// 100 expired rows without parents, whose keys are in another order than the rows, and one leased batch of them all.
    private func withBatch(
        where condition: String = "kind = 'old'",
        _ body: (TestBed, BatchExecutor, Lease, RunContext) async throws -> Void
    ) async throws {
        let target =
            "  Target: {table: events, key: id, max_age: {column: created_at, age: 1d}, strategy: block, "
            + "order: leaf_first(parent), where: \"\(condition)\"}"
        try await withTestBed(targets: target, settings: Unhurried.settings("lock_timeout: 1h")) { bed in
            try await bed.run(
                "CREATE TABLE events (id bigint PRIMARY KEY, created_at timestamp, kind text, parent bigint REFERENCES events)",
                "CREATE INDEX ON events (parent)",
                "INSERT INTO events SELECT n * 37 % 101, now() - interval '2 days', 'old' FROM generate_series(1, 100) AS n",
                "CREATE TABLE gone (place bigserial, id bigint)",
                """
                CREATE FUNCTION note() RETURNS trigger LANGUAGE plpgsql
                AS $$ BEGIN INSERT INTO gone (id) VALUES (old.id); RETURN NULL; END $$
                """,
                "CREATE TRIGGER note AFTER DELETE ON events FOR EACH ROW EXECUTE FUNCTION note()"
            )
            let record = try await bed.start(batchRows: 10_000)
            try await bed.step(record.run)
            let (lease, context) = try await bed.firstLease(of: record)
            try await body(bed, bed.executor(), lease, context)
        }
    }

    @Test(arguments: [
        "kind = 'old'", "EXISTS (SELECT FROM pg_class) AND kind = 'old'",
    ]) func `goes in the order of the key where its conditions read nothing but the row`(
        _ condition: String
    ) async throws {
        try await self.withBatch(where: condition) { bed, executor, lease, context in
            guard case .deleted(100, 0, _) = try await executor.run(lease.message, context, .waiting, bed.connection)
            else {
                Issue.record("not all rows are gone")
                return
            }
            let order = try await bed.strings("SELECT id FROM gone ORDER BY place").compactMap { Int($0) }
            #expect((order == Array(1...100)) == (condition == "kind = 'old'"), "\(order)")
        }
    }

    @Test(arguments: [
        "created_at = now()", "kind = 'new'",
    ]) func `leaves a row that somebody is just changing so that it has to stay`(_ change: String) async throws {
        try await self.withBatch { bed, executor, lease, context in
            let writer = try await bed.connect()
            _ = try await writer.query("BEGIN")
            _ = try await writer.query("UPDATE events SET \(change) WHERE id = 50")
            async let outcome = executor.run(lease.message, context, .waiting, bed.connection)
            try await eventually("the delete waits for it") {
                let waiting = try await writer.query(
                    "SELECT count(*) FROM pg_locks WHERE NOT granted AND transactionid = pg_current_xact_id()::xid"
                )
                return waiting.rows.first?.int(0) == 1
            }
            _ = try await writer.query("COMMIT")
            await writer.close()
            guard case .deleted(99, 0, _) = try await outcome else {
                Issue.record("\(try await outcome)")
                return
            }
            #expect(try await bed.strings("SELECT id FROM events") == ["50"])
        }
    }

    /// PostgreSQL 18 has a state of its own for RESTRICT.
    @Test(arguments: ["23503", "23001", "40P01"])
    func `goes on with care where it is refused`(_ state: String) async throws {
        try await self.withBatch { bed, executor, lease, context in
            try await bed.run(
                """
                CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
                  IF current_setting('enable_hashjoin') = 'off' THEN
                    RAISE EXCEPTION 'refused' USING ERRCODE = '\(state)';
                  END IF;
                  RETURN NULL;
                END $$
                """,
                "CREATE TRIGGER refuse AFTER DELETE ON events FOR EACH ROW EXECUTE FUNCTION refuse()"
            )
            guard case .deleted(100, 0, _) = try await executor.run(lease.message, context, .waiting, bed.connection)
            else {
                Issue.record("not all rows are gone")
                return
            }
            #expect(try await bed.strings("SELECT id FROM events") == [])
        }
    }
}
