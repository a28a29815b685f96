import PostgresClient
import Shared
import TestSupport
import Testing

@testable import Producer

@Suite(.timeLimit(.minutes(5))) struct IndexStageTests {
    private static func settings(_ schema: String, _ indexes: String) -> String {
        """
        presets: []
        indexes: {Missing: {schema: "\(schema)", indexes: [\(indexes)]}}
        procedure: {stages: [{index: Missing}]}
        """
    }

    private static let index = "{name: things_at, table: things, definition: \"(at)\"}"

    /// A schema whose name has a character that `LIKE` takes for any.
    ///
    /// In a database of its own, where no creation waits for the transactions of other tests.
    private func withThings(
        _ indexes: String = Self.index,
        _ body: (TestBed, String, String) async throws -> Void
    ) async throws {
        try await SchemaSet.with { set in
            let (schema, other) = (set.name("a_b"), set.name("axb"))
            try await withTestBed(settings: Self.settings(schema, indexes), ownDatabase: true) { bed in
                for name in [schema, other] {
                    try await bed.run(
                        "CREATE SCHEMA \(name)",
                        "CREATE TABLE \(name).things (id integer PRIMARY KEY, at timestamptz)",
                        "INSERT INTO \(name).things SELECT n, now() FROM generate_series(1, 100) AS n"
                    )
                }
                try await body(bed, schema, other)
            }
        }
    }

    /// The valid indexes of a schema besides the primary key.
    private func indexes(_ bed: TestBed, _ schema: String) async throws -> [String] {
        try await bed.strings(
            """
            SELECT c.relname FROM pg_index AS i JOIN pg_class AS c ON c.oid = i.indexrelid
            JOIN pg_namespace AS n ON n.oid = c.relnamespace
            WHERE n.nspname = $1 AND i.indisvalid AND NOT i.indisprimary ORDER BY 1
            """,
            [schema]
        )
    }

    @Test func `a missing index is created, in its own schema, once`() async throws {
        try await self.withThings { bed, schema, other in
            // Of the same name, in a schema that only a wildcard takes for the same.
            try await bed.run("CREATE INDEX things_at ON \(other).things (at)")
            let first = try await bed.procedure()
            #expect(first.states == ["Missing: finished"])
            #expect(first.stages[0].detail?["created"] == .int(1))
            #expect(try await self.indexes(bed, schema) == ["things_at"])
            let second = try await bed.procedure()
            #expect(second.stages[0].detail?["created"] == .int(0) && second.stages[0].detail?["present"] == .int(1))
        }
    }

    @Test func `an index that an interrupted creation has left is built again`() async throws {
        let unique = "{name: things_at, table: things, definition: \"(at)\", unique: true}"
        try await self.withThings(unique) { bed, schema, _ in
            try await bed.run("UPDATE \(schema).things SET at = '2026-01-01'")
            let failed = try await bed.procedure()
            #expect(failed.states == ["Missing: failed"])
            #expect(failed.stages[0].reason?.contains("things_at") == true)
            let invalid = try await bed.int(
                "SELECT count(*) FROM pg_index WHERE indexrelid = '\(schema).things_at'::regclass AND NOT indisvalid"
            )
            #expect(invalid == 1)
            try await bed.run("UPDATE \(schema).things SET at = '2026-01-01'::timestamptz + id * interval '1 s'")
            let mended = try await bed.procedure()
            #expect(mended.states == ["Missing: finished"] && mended.stages[0].detail?["created"] == .int(1))
            #expect(try await self.indexes(bed, schema) == ["things_at"])
        }
    }

    @Test func `what cannot be created is told, and the others are created`() async throws {
        let indexes = """
            {name: none_at, table: none, definition: "(at)"}, {name: things_wrong, table: things, definition: "(nothing)"}, \
            \(Self.index)
            """
        try await self.withThings(indexes) { bed, schema, _ in
            let record = try await bed.procedure()
            #expect(record.states == ["Missing: failed"])
            let stage = try record.stage("Missing")
            #expect(stage.reason?.hasPrefix("\(schema).things_wrong: ") == true, "\(stage.reason ?? "")")
            #expect(
                stage.detail?["skipped"] == .array([.string("\(schema).none_at: there is no table \(schema).none")])
            )
            #expect(try await self.indexes(bed, schema) == ["things_at"])
        }
    }

    @Test func `an index of that name on another table is in the way`() async throws {
        try await self.withThings { bed, schema, _ in
            try await bed.run(
                "CREATE TABLE \(schema).others (at timestamptz)",
                "CREATE INDEX things_at ON \(schema).others (at)"
            )
            let record = try await bed.procedure()
            #expect(record.stages[0].reason == "\(schema).things_at: an index of this name belongs to others")
        }
    }

    @Test(arguments: ["TABLE things_at ()", "VIEW things_at AS SELECT 1", "SEQUENCE things_at"])
    func `anything else of that name is in the way`(_ what: String) async throws {
        try await self.withThings { bed, schema, _ in
            let words = what.split(separator: " ", maxSplits: 1)
            try await bed.run("CREATE \(words[0]) \(schema).\(words[1])")
            let record = try await bed.procedure()
            #expect(record.states == ["Missing: failed"])
            #expect(
                record.stages[0].reason == "\(schema).things_at: something of this name that is no index is in the way"
            )
        }
    }

    @Test func `where no index can be created without blocking writers, that is said`() async throws {
        let indexes = """
            {name: parts_at, table: parts, definition: "(at)"}, {name: there_at, table: parts, definition: "(at)"}, \
            {name: seen_at, table: seen, definition: "(at)"}
            """
        try await self.withThings(indexes) { bed, schema, _ in
            try await bed.run(
                "CREATE TABLE \(schema).parts (at timestamptz) PARTITION BY RANGE (at)",
                "CREATE INDEX there_at ON \(schema).parts (at)",
                "CREATE VIEW \(schema).seen AS SELECT now() AS at"
            )
            let record = try await bed.procedure()
            #expect(record.states == ["Missing: failed"])
            let detail = record.stages[0].detail
            #expect(detail?["present"] == .int(1) && detail?["created"] == .int(0))
            #expect(
                detail?["failed"]
                    == .array([
                        .string(
                            "\(schema).parts_at: \(schema).parts is partitioned, where PostgreSQL creates no index without "
                                + "keeping others from writing; create it by hand"
                        ), .string("\(schema).seen_at: \(schema).seen is no table"),
                    ])
            )
        }
    }

    @Test func `nobody is kept from writing meanwhile, and who has written is waited for`() async throws {
        try await self.withThings { bed, schema, _ in
            let writer = try await bed.connect()
            _ = try await writer.query("BEGIN")
            _ = try await writer.query("UPDATE \(schema).things SET at = now() WHERE id = 1")
            async let record = bed.procedure()
            try await eventually("the creation waits for the writer") {
                try await bed.int(
                    """
                    SELECT count(*) FROM pg_stat_activity AS a
                    WHERE wait_event_type = 'Lock' AND query LIKE 'CREATE INDEX CONCURRENTLY%' AND query LIKE '%\(schema)%'
                    """
                ) == 1
            }
            // A third one writes beside the waiting creation.
            try await bed.run("UPDATE \(schema).things SET at = now() WHERE id = 2")
            _ = try await writer.query("COMMIT")
            #expect(try await record.states == ["Missing: finished"])
            await writer.close()
        }
    }
}
