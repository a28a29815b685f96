import TestSupport
import Testing

@testable import Shared

/// Which foreign keys deleting has to look up, how, and what that costs.
@Suite(.timeLimit(.minutes(5))) struct ReferenceFactsTests {
    private static let target = "  Target: {table: events, key: id, max_age: {column: created_at, age: 1d}}"
    private static let events =
        "CREATE TABLE events (id bigint PRIMARY KEY, created_at timestamp, UNIQUE (id, created_at))"

    /// A referencing table and how its rows are found.
    struct Case: Sendable, CustomTestStringConvertible {
        var testDescription: String
        var sql: [String]
        var lookup: ReferenceFacts.Lookup

        init(_ description: String, _ lookup: ReferenceFacts.Lookup, _ sql: String...) {
            self.testDescription = description
            self.sql = sql
            self.lookup = lookup
        }
    }

    private static let notes = "CREATE TABLE notes (id bigint, kind integer, event bigint REFERENCES events)"

    @Test(arguments: [
        Case("no index", .wholeTable, notes),
        Case("an index", .index("i"), notes, "CREATE INDEX i ON notes (event)"),
        Case("an index with more behind", .index("i"), notes, "CREATE INDEX i ON notes (event, kind)"),
        Case("a hash index", .index("i"), notes, "CREATE INDEX i ON notes USING hash (event)"),
        Case("a second column", .wholeIndex("i", blocks: 1), notes, "CREATE INDEX i ON notes (kind, event)"),
        Case("a column that is only included", .wholeTable, notes, "CREATE INDEX i ON notes (kind) INCLUDE (event)"),
        Case("a predicate", .wholeTable, notes, "CREATE INDEX i ON notes (event) WHERE kind = 1"),
        Case("not NULL", .index("i"), notes, "CREATE INDEX i ON notes (event) WHERE event IS NOT NULL"),
        Case("another not NULL", .wholeTable, notes, "CREATE INDEX i ON notes (event) WHERE kind IS NOT NULL"),
        Case("an expression", .wholeTable, notes, "CREATE INDEX i ON notes ((event + 1))"),
        Case(
            "an index that was never finished",
            .wholeTable,
            notes,
            "CREATE INDEX i ON notes (event)",
            "UPDATE pg_index SET indisvalid = false WHERE indexrelid = 'i'::regclass"
        ),
        Case(
            "two columns in another order",
            .index("i"),
            """
            CREATE TABLE notes (event bigint, at timestamp, FOREIGN KEY (event, at) REFERENCES events (id, created_at))
            """,
            "CREATE INDEX i ON notes (at, event)"
        ),
        Case(
            "two columns, of which one is indexed",
            .wholeIndex("i", blocks: 1),
            """
            CREATE TABLE notes (event bigint, at timestamp, FOREIGN KEY (event, at) REFERENCES events (id, created_at))
            """,
            "CREATE INDEX i ON notes (at)"
        ),
        Case(
            "a partitioned table with an index",
            .index("i"),
            "CREATE TABLE notes (event bigint REFERENCES events) PARTITION BY HASH (event)",
            "CREATE TABLE notes_0 PARTITION OF notes FOR VALUES WITH (MODULUS 1, REMAINDER 0)",
            "CREATE INDEX i ON notes (event)"
        ),
        Case(
            "a partitioned table without",
            .wholeTable,
            "CREATE TABLE notes (event bigint REFERENCES events) PARTITION BY HASH (event)",
            "CREATE TABLE notes_0 PARTITION OF notes FOR VALUES WITH (MODULUS 1, REMAINDER 0)"
        ),
    ])
    func `an index serves a key when it begins with it and has every row`(_ example: Case) async throws {
        try await withTestBed(targets: Self.target) { bed in
            for statement in [Self.events] + example.sql { try await bed.run(statement) }
            let facts = try await TableFacts.read(bed.target(), from: bed.connection)
            #expect(facts.references.count == 1)
            let reference = try #require(facts.references.first)
            switch (reference.lookup, example.lookup) {
            case (.wholeIndex(let index, _), .wholeIndex(let wanted, _)): #expect(index == wanted)
            default: #expect(reference.lookup == example.lookup)
            }
            #expect(reference.isPartitioned == example.testDescription.contains("partitioned"))
        }
    }

    /// 1,000 rows, all expired; half of them have 10 notes each, of which every second has two tags.
    private static let family = [
        "CREATE TABLE events (id bigint PRIMARY KEY, created_at timestamp)",
        "INSERT INTO events SELECT n, '2020-01-01' FROM generate_series(1, 1000) AS n",
        "CREATE TABLE notes (id bigserial PRIMARY KEY, event bigint REFERENCES events ON DELETE CASCADE)",
        "INSERT INTO notes (event) SELECT n FROM generate_series(1, 500) AS n, generate_series(1, 10)",
        "CREATE INDEX ON notes (event)",
        "CREATE TABLE tags (note bigint REFERENCES notes ON DELETE CASCADE, other bigint REFERENCES events)",
        "INSERT INTO tags (note) SELECT id FROM notes, generate_series(1, 2) WHERE id % 2 = 0",
        "ANALYZE events, notes, tags",
    ]

    private func plan(_ bed: TestBed) async throws -> Plan {
        guard case .on(let knobs) = try bed.target().resolveKnobs(environment: bed.services.environment) else {
            throw UnexpectedState("the target is off")
        }
        return try await Plan.make(
            bed.target(),
            terms: RunTerms.now(knobs: knobs, bed.connection),
            duration: .milliseconds(250),
            fixedRows: nil,
            bed.connection
        )
    }

    @Test func `what goes by cascade is estimated down to the grandchildren`() async throws {
        try await withTestBed(targets: Self.target) { bed in
            for statement in Self.family { try await bed.run(statement) }
            let references = try await self.plan(bed).references
            #expect(
                references.cascades.map(\.table).map { $0.split(separator: ".").last } == ["\"notes\"", "\"tags\""]
            )
            #expect(references.cascades.map { ($0.rows / 100).rounded() } == [50, 50])
            let keys = references.keys.map { "\($0.reference.table).\($0.reference.columns[0])" }
            #expect(keys == ["notes.event", "tags.note", "tags.other"])
            #expect(references.keys.map { ($0.lookups / 100).rounded() } == [10, 50, 10])
            #expect(references.keys.map(\.reference.isIndexed) == [true, false, false])
            #expect(references.keys[0].avoidable == 0)
            // 5,000 lookups in 5,000 rows, at 0.1 µs a row and 1 µs a block.
            #expect((2.4e6...3e6).contains(references.keys[1].avoidable))
        }
    }

    @Test func `tables that refer to each other end the cascade`() async throws {
        try await withTestBed(targets: Self.target) { bed in
            for statement in Self.family { try await bed.run(statement) }
            try await bed.run(
                "ALTER TABLE notes ADD parent bigint REFERENCES notes ON DELETE CASCADE",
                "ALTER TABLE tags ADD id bigserial UNIQUE, ADD tag bigint REFERENCES tags (id) ON DELETE CASCADE",
                "UPDATE notes SET parent = 1",
                "UPDATE tags SET tag = 1",
                "ANALYZE events, notes, tags"
            )
            let references = try await self.plan(bed).references
            #expect(references.cascades.map { ($0.rows / 100).rounded() } == [50, 50])
        }
    }

    @Test func `batches stay at their time when lookups are dear`() async throws {
        try await withTestBed(targets: Self.target) { bed in
            for statement in Self.family { try await bed.run(statement) }
            try await bed.run("INSERT INTO tags SELECT NULL FROM generate_series(1, 100000)", "ANALYZE tags")
            // 10 ms for each of the 5 notes and for the row itself: four rows, but a block is the least there is.
            let plan = try await self.plan(bed)
            #expect(plan.choice.strategy == .block)
            #expect(plan.firstSize.units == 1)
            try await bed.run("CREATE INDEX ON tags (note)", "CREATE INDEX ON tags (other)")
            // Eight lookups at 20 µs: about 1,500 rows, or all seven blocks.
            #expect(try await self.plan(bed).firstSize.most >= 6)
        }
    }

    @Test func `a run that would take too long is refused with the index to create`() async throws {
        let settings = "foreign_keys: {most: 1s}"
        try await withTestBed(targets: Self.target, settings: settings) { bed in
            for statement in Self.family { try await bed.run(statement) }
            let error = await #expect(throws: PlanningError.self) { try await bed.start() }
            let sentence = error?.description ?? ""
            for part in [
                "target Target: deleting about 1000 rows would take about ", "s longer",
                "foreign key tags_note_fkey of",
                #"CREATE INDEX CONCURRENTLY ON "\#(bed.schema)"."tags" ("note");"#, "and so with 1 more key",
                "EBB_FOREIGN_KEYS_MOST (foreign_keys.most, now 1s) higher or to off",
            ] {
                #expect(sentence.contains(part), "\(sentence)")
            }
            #expect(try await bed.ledger.version(bed.connection) == 0)
            try await bed.run("CREATE INDEX ON tags (note)", "CREATE INDEX ON tags (other)")
            _ = try await bed.start()
        }
    }

    @Test func `a run that is under way is not judged again, and off judges none`() async throws {
        try await withTestBed(targets: Self.target, settings: "foreign_keys: {most: 1s}") { bed in
            try await bed.run(Self.family[0], Self.family[1], "ANALYZE events")
            let first = try await bed.start()
            for statement in Self.family.dropFirst(2) { try await bed.run(statement) }
            #expect(try await bed.start().run == first.run)
        }
        try await withTestBed(targets: Self.target, settings: "foreign_keys: {most: off}") { bed in
            for statement in Self.family { try await bed.run(statement) }
            _ = try await bed.start()
        }
    }

    @Test func `a table that loses rows by a detour over another is refused`() async throws {
        try await withTestBed(targets: Self.target) { bed in
            for statement in Self.family { try await bed.run(statement) }
            try await bed.run("ALTER TABLE events ADD note bigint REFERENCES notes ON DELETE CASCADE")
            let error = await #expect(throws: PlanningError.self) { try await bed.start() }
            #expect(error?.description.contains("events_note_fkey refers to") == true, "\(String(describing: error))")
        }
    }
}
