import Shared
import TestSupport
import Testing

@testable import Worker

/// `unreferenced` of a table: values elsewhere that keep its rows, without a foreign key.
@Suite(.timeLimit(.minutes(5))) struct UnreferencedTests {
    /// Eight sites: 1 and 2 young, the others old.
    private static let sites = [
        "CREATE TABLE sites (id text PRIMARY KEY, alias text, at timestamptz)",
        """
        INSERT INTO sites
        SELECT n::text, 'alias ' || n, CASE WHEN n > 2 THEN now() - interval '2 days' ELSE now() END
        FROM generate_series(1, 8) AS n
        """,
    ]

    private func ids(_ bed: TestBed) async throws -> [String] {
        try await bed.strings("SELECT id FROM sites ORDER BY id")
    }

    @Test(arguments: ["block", "key"], [true, false])
    func `values in a column keep rows, NULLs keep none`(strategy: String, isIndexed: Bool) async throws {
        let target = """
              Target:
                table: sites
                key: id
                max_age: {column: at, age: 1d}
                strategy: \(strategy)
                unreferenced: [{table: settings, column: site_id}, {table: roots, column: alias, from: alias}]
            """
        try await withTestBed(targets: target) { bed in
            for statement in Self.sites { try await bed.run(statement) }
            try await bed.run(
                "CREATE TABLE settings (site_id text)",
                "CREATE TABLE roots (alias varchar(40))",
                "INSERT INTO settings VALUES ('1'), ('3'), ('3'), (NULL), ('elsewhere')",
                "INSERT INTO roots VALUES ('alias 4'), (NULL)"
            )
            if isIndexed {
                try await bed.run("CREATE INDEX ON settings (site_id)", "CREATE INDEX ON roots (alias)")
            }
            expectFinished(try await bed.drain("Target")[0], rows: 4)
            #expect(try await self.ids(bed) == ["1", "2", "3", "4"])
        }
    }

    private static let groupTarget = """
          Target:
            table: sites
            key: id
            unreferenced: [{in: projects, table: roots, column: site_id}]
        """

    @Test func `every schema of a group counts, those that are skipped, too`() async throws {
        try await SchemaSet.with { set in
            let settings = set.yaml("skip: {query: \"SELECT '\(set.name("b"))'\"}")
            try await withTestBed(targets: Self.groupTarget, settings: settings) { bed in
                for statement in Self.sites { try await bed.run(statement) }
                for (suffix, site) in [("a", 5), ("b", 6)] {
                    try await bed.run(
                        "CREATE SCHEMA \(set.name(suffix))",
                        "CREATE TABLE \(set.name(suffix)).roots (site_id text)",
                        "INSERT INTO \(set.name(suffix)).roots VALUES ('\(site)')"
                    )
                }
                expectFinished(try await bed.drain("Target")[0], rows: 6)
                #expect(try await self.ids(bed) == ["5", "6"])
            }
        }
    }

    @Test func `a group without a schema keeps nothing`() async throws {
        try await SchemaSet.with { set in
            try await withTestBed(targets: Self.groupTarget, settings: set.yaml()) { bed in
                for statement in Self.sites { try await bed.run(statement) }
                expectFinished(try await bed.drain("Target")[0], rows: 8)
            }
        }
    }

    @Test func `a schema that vanishes between planning and batch keeps nothing any more`() async throws {
        try await SchemaSet.with { set in
            try await withTestBed(targets: Self.groupTarget, settings: set.yaml()) { bed in
                for statement in Self.sites { try await bed.run(statement) }
                for suffix in ["a", "b"] {
                    try await bed.run(
                        "CREATE SCHEMA \(set.name(suffix))",
                        "CREATE TABLE \(set.name(suffix)).roots (site_id text)",
                        "INSERT INTO \(set.name(suffix)).roots VALUES ('5')"
                    )
                }
                let record = try await bed.start()
                #expect(try await bed.step(record.run) == .plan)
                try await bed.run("DROP SCHEMA \(set.name("a")) CASCADE")
                try await bed.work()
                expectFinished(try await bed.outcome(of: record.run), rows: 7)
            }
        }
    }

    @Test func `a column that is not there, or a missing index on a large table, is refused`() async throws {
        let target = """
              Target: {table: sites, key: id, unreferenced: {table: settings, column: site}}
            """
        try await withTestBed(targets: target, settings: "foreign_keys: {most: 1ms}") { bed in
            for statement in Self.sites { try await bed.run(statement) }
            try await bed.run("CREATE TABLE settings (other text)")
            await #expect(throws: PlanningError.self) { try await bed.start() }
            try await bed.run(
                "ALTER TABLE settings ADD site text",
                "INSERT INTO settings SELECT n, n FROM generate_series(100, 50000) AS n",
                "ANALYZE settings, sites"
            )
            let error = await #expect(throws: PlanningError.self) { try await bed.start() }
            #expect(error?.description.contains("CREATE INDEX CONCURRENTLY") == true, "\(String(describing: error))")
            try await bed.run("CREATE INDEX ON settings (site)")
            expectFinished(try await bed.drain("Target")[0], rows: 8)
        }
    }
}
