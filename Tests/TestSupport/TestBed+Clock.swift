import PostgresClient
import Shared

/// The database's clock, in the hands of a test: `clock_timestamp()` means a function of the test's schema there.
extension TestBed {
    func createClock() async throws {
        try await self.run(
            "CREATE TABLE clock (shift interval NOT NULL, still timestamptz)",
            "INSERT INTO clock VALUES ('0')",
            """
            CREATE FUNCTION clock_timestamp() RETURNS timestamptz LANGUAGE sql AS
            'SELECT coalesce(still, pg_catalog.clock_timestamp() + shift) FROM \(self.table("clock"))'
            """
        )
    }

    /// Puts the database's clock; it goes on from there, unless it `isStill`.
    package func setClock(_ time: String, isStill: Bool = false) async throws {
        _ = try await self.connection.query(
            """
            UPDATE clock SET shift = $1::timestamptz - pg_catalog.clock_timestamp(),
                             still = CASE WHEN $2::boolean THEN $1::timestamptz END
            """,
            [time, isStill ? "true" : "false"]
        )
    }
}
