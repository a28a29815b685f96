import Shared
import TestSupport
import Testing

/// A target that drains its children is refused as a whole.
@Suite(.timeLimit(.minutes(5))) struct GuardedDrainTests {
    private static let target = """
          Target:
            table: parents
            key: id
            max_age: {column: deleted_at, age: 1d}
            drain_first: {children: {key: id, joins: {parents: parents.id = children.parent}}}
        """

    @Test func `a drain whose foreign keys are too dear keeps its target from starting, too`() async throws {
        try await withTestBed(targets: Self.target, settings: "foreign_keys: {most: 100ms}") { bed in
            try await bed.run(
                "CREATE TABLE parents (id bigint PRIMARY KEY, deleted_at timestamp)",
                "INSERT INTO parents VALUES (1, '2020-01-01'), (2, NULL)",
                "CREATE TABLE children (id bigint PRIMARY KEY, parent bigint NOT NULL REFERENCES parents ON DELETE CASCADE)",
                "INSERT INTO children SELECT n, n % 2 + 1 FROM generate_series(1, 2000) AS n",
                "CREATE INDEX ON children (parent)",
                "CREATE TABLE toys (child bigint REFERENCES children ON DELETE CASCADE)",
                "INSERT INTO toys SELECT n FROM generate_series(1, 2000) AS n",
                "ANALYZE parents, children, toys"
            )
            let error = await #expect(throws: PlanningError.self) { try await bed.start() }
            let sentence = error?.description ?? ""
            #expect(sentence.hasPrefix("target Target.children: "), "\(sentence)")
            #expect(try await bed.ledger.version(bed.connection) == 0)
            try await bed.run("CREATE INDEX ON toys (child)")
            let record = try await bed.start()
            try await bed.work()
            expectFinished(try await bed.outcome(of: record.run), rows: 1)
            #expect(try await bed.int("SELECT count(*) FROM toys") == 1_000)
        }
    }
}
