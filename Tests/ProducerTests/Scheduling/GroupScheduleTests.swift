import PostgresClient
import Shared
import TestSupport
import Testing

@testable import Producer

/// Schedules of targets that are cleaned in each schema of a group.
@Suite(.timeLimit(.minutes(5))) struct GroupScheduleTests {
    private static let targets = """
          Target: {in: projects, table: files, key: id, max_age: {column: at, age: 1d}}
        """

    private func withSchedule(_ schemas: [String], _ body: (TestBed, SchemaSet) async throws -> Void) async throws {
        try await SchemaSet.with { set in
            let settings =
                "presets: []\n\(set.yaml())schedules: {nightly: {cron: \"*/10 * * * *\", targets: Target}}\n"
            try await withTestBed(targets: Self.targets, settings: settings, ownClock: true) { bed in
                for suffix in schemas {
                    try await bed.run(
                        "CREATE SCHEMA \(set.name(suffix))",
                        "CREATE TABLE \(set.name(suffix)).files (id integer PRIMARY KEY, at timestamptz)"
                    )
                }
                try await bed.ledger.setup(bed.connection)
                try await bed.setClock("2031-05-21 12:05:00Z")
                try await body(bed, set)
            }
        }
    }

    @Test func `a slot fires once in every schema, however many race for it`() async throws {
        try await self.withSchedule(["a", "b", "c"]) { bed, set in
            let replicas = try (0..<6).map { _ in try bed.replica() }
            try await replicas.race()
            try await bed.setClock("2031-05-21 12:10:00Z")
            try await replicas.race()
            let schemas = try await bed.strings("SELECT schema_name FROM \(bed.ledger.table("run")) ORDER BY 1")
            #expect(schemas == ["a", "b", "c"].map(set.name))
            #expect(try await bed.outcome() == "started 3 runs")
            for run in try await bed.strings("SELECT run FROM \(bed.ledger.table("run"))") {
                #expect(try await bed.queue.fields(of: run)["state"] == "planning")
            }
        }
    }

    @Test func `a schema that cannot be planned, and one that is busy, do not hold up the others`() async throws {
        try await self.withSchedule(["a", "b", "c"]) { bed, set in
            var replica = try bed.replica()
            try await replica.look()
            let name = set.name("a")
            guard case .table(let target) = try bed.services.catalog.entry(named: "Target").inSchema(name) else {
                return
            }
            let starter = bed.services.runStarter(bed.queue)
            _ = try await starter.start(target, knobs: KnobValues(maxAge: .seconds(86_400)), bed.connection)
            try await bed.run("DROP TABLE \(set.name("b")).files")
            try await bed.setClock("2031-05-21 12:10:00Z")
            try await replica.look()
            let outcome = try #require(try await bed.outcome())
            #expect(
                outcome.hasPrefix("started 1 run, skipped 1: their last runs are not over, failed 1: "),
                "\(outcome)"
            )
            #expect(outcome.contains(set.name("b")))
        }
    }

    @Test func `without a schema a slot is settled, and says so`() async throws {
        try await self.withSchedule([]) { bed, set in
            var replica = try bed.replica()
            try await replica.look()
            try await bed.setClock("2031-05-21 12:10:00Z")
            try await replica.look()
            #expect(try await bed.outcome() == "finished: the group projects has no schema (\(set.prefix)*)")
        }
    }
}
