import PostgresClient
import Shared
import TestSupport
import Testing

@testable import Worker

/// Targets that are cleaned in each schema of a group.
@Suite(.timeLimit(.minutes(5))) struct SchemaGroupTests {
    private static let target = """
          Target: {in: projects, table: files, key: id, max_age: {column: at, age: 1d}}
        """

    /// A schema with two rows that are expired and one that is not.
    private func create(_ schema: String, _ bed: TestBed) async throws {
        let name = SQLText.quoted(schema)
        try await bed.run(
            "CREATE SCHEMA \(name)",
            "CREATE TABLE \(name).files (id integer PRIMARY KEY, at timestamptz)",
            "INSERT INTO \(name).files VALUES (1, now() - interval '2 days'), (2, now() - interval '3 days'), (3, now())"
        )
    }

    private func schemas(_ bed: TestBed) async throws -> [String] {
        let group = try #require(bed.services.catalog.schemaGroups.first)
        return try await bed.services.schemas(of: group, bed.connection)
    }

    @Test func `each schema gets a run of its own, and an underscore is no wildcard`() async throws {
        try await SchemaSet.with { set in
            try await withTestBed(targets: Self.target, settings: set.yaml()) { bed in
                for suffix in ["a", "B c"] { try await self.create(set.name(suffix), bed) }
                let similar = set.prefix.dropLast() + "xa"
                try await self.create(String(similar), bed)
                let records = try await bed.startAll()
                #expect(records.map(\.schema) == [set.name("B c"), set.name("a")])
                try await bed.work()
                for record in records { expectFinished(try await bed.outcome(of: record.run), rows: 2) }
                #expect(try await bed.int("SELECT count(*) FROM \(similar).files") == 3)
                try await bed.run("DROP SCHEMA \(similar) CASCADE")
            }
        }
    }

    @Test func `only schemas that the query returns belong, and those to skip are left out`() async throws {
        try await SchemaSet.with { set in
            let query = "query: \"SELECT name FROM listed -- all\""
            let skip = "skip: {query: SELECT name FROM listed WHERE archived, when: \"${SKIP:-false}\"}"
            let settings = set.yaml("\(query), \(skip)")
            for (value, expected) in [("false", ["a", "b"]), ("true", ["a"])] {
                try await withTestBed(targets: Self.target, settings: settings, variables: ["SKIP": value]) { bed in
                    for suffix in ["a", "b", "c"] {
                        try await bed.run("CREATE SCHEMA IF NOT EXISTS \(set.name(suffix))")
                    }
                    try await bed.run("CREATE TABLE listed (name text, archived boolean)")
                    _ = try await bed.connection.query(
                        "INSERT INTO listed VALUES ($1, NULL), ($2, true), (NULL, true), ('elsewhere', false)",
                        [set.name("a"), set.name("b")]
                    )
                    #expect(try await self.schemas(bed) == expected.map(set.name))
                }
            }
        }
    }

    @Test func `a query of nonsense is one sentence`() async throws {
        try await withTestBed(
            targets: Self.target,
            settings: "schemas:\n  projects: {like: \"nothing_*\", query: SELECT name FROM nowhere}\n"
        ) { bed in
            _ = await #expect(throws: PlanningError.self) { try await self.schemas(bed) }
        }
    }

    @Test func `a schema that vanishes midway fails its own run, and no other`() async throws {
        try await SchemaSet.with { set in
            try await withTestBed(targets: Self.target, settings: set.yaml()) { bed in
                for suffix in ["a", "b"] { try await self.create(set.name(suffix), bed) }
                let records = try await bed.startAll()
                try await bed.run("DROP SCHEMA \(set.name("a")) CASCADE")
                try await self.create(set.name("c"), bed)
                try await bed.work()
                let gone = try await bed.outcome(of: records[0].run)
                #expect(gone.ledgerState == "failed")
                #expect(gone.fields["error"] == "the schema \(set.name("a")) is gone")
                expectFinished(try await bed.outcome(of: records[1].run), rows: 2)
                #expect(try await bed.int("SELECT count(*) FROM \(set.name("c")).files") == 3, "the next run's")
            }
        }
    }

    @Test func `a schema that vanishes after its run was planned fails it, too`() async throws {
        try await SchemaSet.with { set in
            try await withTestBed(targets: Self.target, settings: set.yaml()) { bed in
                try await self.create(set.name("a"), bed)
                let record = try #require(try await bed.startAll().first)
                #expect(try await bed.step(record.run) == .plan)
                try await bed.run("DROP SCHEMA \(set.name("a")) CASCADE")
                try await bed.work()
                #expect(try await bed.outcome(of: record.run).ledgerState == "failed")
            }
        }
    }
}
