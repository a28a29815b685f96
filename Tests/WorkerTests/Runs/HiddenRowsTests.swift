import PostgresClient
import Shared
import TestSupport
import Testing

@Suite struct HiddenRowsTests {
    private static let target = "  Target: {table: events, key: id, max_age: {column: created_at, age: 1d}}"

    @Test func `a run of a table whose rows may be hidden from its role comes with a warning`() async throws {
        try await withTestBed(targets: Self.target) { bed in
            let role = "role_" + bed.namespace
            try await bed.run(
                "CREATE TABLE events (id bigint PRIMARY KEY, created_at timestamptz)",
                "CREATE ROLE \(role)",
                "ALTER TABLE events OWNER TO \(role)",
                "ALTER TABLE events FORCE ROW LEVEL SECURITY",
                "GRANT USAGE ON SCHEMA \(SQLText.quoted(bed.schema)) TO \(role)",
                "SET ROLE \(role)"
            )
            let target = try #require(bed.services.catalog.definition(of: "Target"))
            let facts = try await TableFacts.read(target, from: bed.connection)
            let resolved = try ResolvedTarget(target, facts: facts)
            #expect(try await RunWarnings.read(resolved, bed.connection) == [])
            try await bed.run("ALTER TABLE events ENABLE ROW LEVEL SECURITY")
            let warnings = try await RunWarnings.read(resolved, bed.connection)
            #expect(
                warnings == [
                    "row security hides rows of \(facts.name) from \(role), which are neither seen nor deleted"
                ]
            )
            try await bed.run(
                "RESET ROLE",
                "ALTER TABLE events OWNER TO CURRENT_USER",
                "DROP OWNED BY \(role)",
                "DROP ROLE \(role)"
            )
        }
    }
}
