import PostgresClient
import Shared
import TestSupport
import Testing

/// Whoever freezes in the middle of a transaction of the ledger must not hold its run for ever.
@Suite(.timeLimit(.minutes(5))) struct LedgerLimitsTests {
    private static let target = "  Target: {table: events, key: id, max_age: {column: created_at, age: 1d}}"

    @Test func `every change of a run is made under time limits, and in UTC`() async throws {
        try await withTestBed(targets: Self.target, session: [(name: "TimeZone", value: "Asia/Tokyo")]) { bed in
            try await bed.run(
                "CREATE TABLE events (id bigint PRIMARY KEY, created_at timestamptz)",
                "CREATE TABLE seen (what text, zone text, idle text, lock text, statement text)"
            )
            let run = try await bed.start().run
            let record = try #require(try await bed.ledger.run(run, bed.connection))
            // Later than the run, since creating it is one round trip and can wait for nobody.
            for table in ["run", "batch"] {
                try await bed.run(
                    """
                    CREATE FUNCTION see_\(table)() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
                      INSERT INTO seen SELECT TG_TABLE_NAME || ' ' || TG_OP, current_setting('TimeZone'),
                        current_setting('idle_in_transaction_session_timeout'), current_setting('lock_timeout'),
                        current_setting('statement_timeout');
                      RETURN NULL;
                    END $$
                    """,
                    """
                    CREATE TRIGGER see AFTER INSERT OR UPDATE OR DELETE ON \(bed.ledger.table(table))
                    FOR EACH STATEMENT EXECUTE FUNCTION see_\(table)()
                    """
                )
            }
            _ = try await bed.ledger.finish(run, state: .failed, error: nil, bed.connection)
            try await bed.ledger.revive(["1.1"], of: record, bed.connection)
            _ = try await bed.ledger.finish(run, state: .cancelled, error: nil, bed.connection)
            try await bed.ledger.prune(retention: .zero, bed.connection)
            #expect(
                try await bed.strings("SELECT DISTINCT what FROM seen ORDER BY what") == [
                    "batch DELETE", "batch UPDATE", "run DELETE", "run UPDATE",
                ]
            )
            #expect(try await bed.int("SELECT count(*) FROM seen WHERE '0' IN (idle, lock, statement)") == 0)
            #expect(try await bed.strings("SELECT DISTINCT zone FROM seen") == ["UTC"])
        }
    }
}
