import Shared
import TestSupport

/// A table of events with rows that cannot be deleted.
enum Poison {
    static let backoffs = "attempts: 3, backoff: 1ms, max_backoff: 5ms, lock_timeout: 50ms"

    /// The newest row of each source stays.
    static func target(_ strategy: Strategy) -> String {
        "  Target: {table: events, key: id, max_age: {column: created_at, age: 1d}, "
            + "keep_newest: {count: 1, per: [source], order: [created_at]}, strategy: \(strategy.rawValue)}"
    }

    static func settings(_ batches: String = Poison.backoffs) -> String { "batches: {\(batches)}\nvacuum: off" }
}

extension TestBed {
    /// Expired events of ten sources; the newest of each, the last ten, must survive.
    func createEvents(_ count: Int) async throws {
        try await self.run(
            "CREATE TABLE events (id bigint PRIMARY KEY, source integer NOT NULL, created_at timestamptz)",
            """
            INSERT INTO events SELECT n, n % 10, now() - interval '9 days' + n * interval '1 second'
            FROM generate_series(1, \(count)) AS n
            """,
            "CREATE INDEX ON events (source, created_at)",
            "CREATE INDEX ON events (created_at)",
            "ANALYZE events"
        )
    }

    /// Makes every delete of rows that meet a condition run a PL/pgSQL statement first.
    func onDelete(where condition: String = "true", _ statement: String) async throws {
        try await self.run(
            "CREATE FUNCTION on_delete() RETURNS trigger LANGUAGE plpgsql AS $$BEGIN \(statement); RETURN old; END$$",
            """
            CREATE TRIGGER on_delete BEFORE DELETE ON events FOR EACH ROW WHEN (\(condition)) EXECUTE FUNCTION on_delete()
            """
        )
    }
}
