import TestSupport
import Testing

@testable import Shared

/// What the planner chooses, and what it refuses in which words.
@Suite(.timeLimit(.minutes(5))) struct PlanningTests {
    private func plan(_ fields: String, _ setup: [String]) async throws -> Plan {
        try await withTestBed(targets: "  Target: {table: events, key: id, \(fields)}") { bed in
            for statement in setup { try await bed.run(statement) }
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
    }

    private static let age = "max_age: {column: created_at, age: 1d}"
    private static let newest = "keep_newest: {count: 1, per: [device], order: [created_at]}"

    /// 50,000 rows, of which about one in `one` is expired.
    private static func table(_ one: Int, order: String = "n", then index: String...) -> [String] {
        [
            "CREATE TABLE events (id bigint PRIMARY KEY, device integer NOT NULL, created_at timestamp, payload text)",
            """
            INSERT INTO events
            SELECT n, n % 50, now() AT TIME ZONE 'UTC' - CASE WHEN n % \(one) = 0 THEN interval '3 days' ELSE '0' END
              - n * interval '1 second', repeat('x', 80) FROM generate_series(1, 50000) AS n ORDER BY \(order)
            """,
        ] + index + ["ANALYZE events"]
    }

    private static let byTime = "CREATE INDEX ON events (created_at)"
    private static let byGroup = "CREATE INDEX ON events (device, created_at)"

    @Test func `dense matches are cut by blocks`() async throws {
        let plan = try await self.plan("\(Self.age), \(Self.newest)", Self.table(1, then: Self.byTime, Self.byGroup))
        #expect(plan.choice.strategy == .block)
        #expect(plan.choice.reason.contains("rows are expected to be expired"))
        #expect((49_000...51_000).contains(plan.estimatedRows))
    }

    @Test func `sparse matches are cut by an index on time`() async throws {
        let plan = try await self.plan(Self.age, Self.table(5_000, then: Self.byTime))
        #expect(plan.choice.strategy == .window)
        #expect(plan.choice.reason.contains("the index on created_at"))
    }

    @Test func `sparse matches are cut by groups when only their index is there`() async throws {
        let plan = try await self.plan("\(Self.age), \(Self.newest)", Self.table(5_000, then: Self.byGroup))
        #expect(plan.choice.strategy == .group)
        #expect(plan.choice.reason.contains("the index by group and order"))
    }

    @Test func `without any index every block is read once`() async throws {
        let plan = try await self.plan("\(Self.age), \(Self.newest)", Self.table(5_000))
        #expect(plan.choice.strategy == .block)
        #expect(plan.choice.reason.contains("no index fits"))
    }

    /// A table in some order, and whether all that its statistics call expired must be its first rows.
    struct Order: Sendable {
        var order = "n"
        var rule = PlanningTests.age
        var time = "now() AT TIME ZONE 'UTC' - interval '2 days' + n * interval '3.456 seconds'"
        var isSparse = false
    }

    @Test(arguments: [
        Order(isSparse: true),
        Order(order: "md5(n::text)"),
        Order(order: "n DESC"),
        Order(rule: "\(PlanningTests.age), where: id % 10 = 0"),
        Order(rule: "\(PlanningTests.age), expires_at: closed_at"),
        Order(
            time:
                "CASE WHEN n % 2 = 0 THEN now() AT TIME ZONE 'UTC' - interval '2 days' + n * interval '3.456 seconds' END"
        ),
    ])
    func `a table in the order of its time is sparse behind its expired rows`(_ order: Order) async throws {
        let plan = try await self.plan(
            order.rule,
            [
                "CREATE TABLE events (id bigint PRIMARY KEY, created_at timestamp, closed_at timestamp, payload text)",
                """
                INSERT INTO events
                SELECT n, \(order.time), now() AT TIME ZONE 'UTC' - interval '1 hour', repeat('x', 80)
                FROM generate_series(1, 50000) AS n ORDER BY \(order.order)
                """,
                "ANALYZE events",
            ]
        )
        try #require(plan.choice.strategy == .block)
        let blocks = plan.resolved.facts.blocks
        let share = plan.firstSize.sparse.map { Double($0.from) / Double(blocks) }
        #expect(share.map { (0.45...0.55).contains($0) } ?? !order.isSparse, "\(String(describing: share))")
        #expect((share != nil) == order.isSparse)
        #expect((1...blocks).contains(plan.estimatedBatches))
    }

    @Test func `a rest of half a chunk goes with it`() async throws {
        let plan = try await self.plan(Self.age, Self.table(1))
        let terms = RunTerms(run: "r", createdAt: "", cutoff: nil, keep: nil)
        let statements = RangeStatement(plan.resolved, terms: terms, namespace: "ebb", generation: 1)
        try await withTestBed { bed in
            let planner = ChunkPlanner(statements, bed.connection)
            let size = BatchSizing(units: 1, least: 1, most: 1)
            for (blocks, batches) in [(0, 0), (1, 1), (64, 64), (96, 96), (97, 64)] {
                let cursor = PlanCursor(strategy: .block, sizing: size, next: "0", end: blocks)
                let chunk = try await planner.next(cursor, limit: 64)
                #expect((chunk.batches.count, chunk.isComplete) == (batches, batches == blocks))
                guard !chunk.isComplete else { continue }
                #expect(chunk.batches.last?.range == .block(from: 63, to: 64))
                let rest = try await planner.next(chunk.cursor, limit: 64)
                #expect(rest.batches.map(\.range) == (64..<97).map { .block(from: $0, to: $0 + 1) } && rest.isComplete)
            }
        }
    }

    @Test func `a cursor of an earlier version is understood`() throws {
        let text = #"{"end":9,"least":1,"most":4,"next":"3","sequence":2,"strategy":"block","units":2}"#
        let cursor = try PlanCursor(encoded: text)
        #expect(cursor.sizing == BatchSizing(units: 2, least: 1, most: 4))
        #expect(cursor.encoded == text)
        var sparse = cursor
        sparse.sizing.sparse = .init(from: 5, units: 3)
        #expect(try PlanCursor(encoded: sparse.encoded) == sparse)
    }

    private static func partitioned(_ key: String, _ index: String...) -> [String] {
        [
            "CREATE TABLE events (id \(key) PRIMARY KEY, device integer NOT NULL, created_at timestamp) PARTITION BY HASH (id)",
            "CREATE TABLE events_0 PARTITION OF events FOR VALUES WITH (MODULUS 2, REMAINDER 0)",
            "CREATE TABLE events_1 PARTITION OF events FOR VALUES WITH (MODULUS 2, REMAINDER 1)",
        ] + index
    }

    @Test func `a partitioned table is cut by its key or its time, not by blocks`() async throws {
        #expect(try await self.plan(Self.age, Self.partitioned("bigint")).choice.strategy == .idRange)
        #expect(try await self.plan(Self.age, Self.partitioned("uuid", Self.byTime)).choice.strategy == .window)
        let error = await #expect(throws: PlanningError.self) {
            try await self.plan(Self.age, Self.partitioned("uuid"))
        }
        #expect(error?.description.contains("no strategy can cut") == true, "\(String(describing: error))")
    }

    /// A target that cannot be planned, and a piece of the sentence that says so.
    struct Refusal: Sendable {
        var fields: String
        var create: String
        var sentence: String
    }

    @Test(arguments: [
        Refusal(
            fields: "where: 'true'",
            create: "CREATE TABLE other (id integer)",
            sentence: #"table "events" does not exist in this database"#
        ),
        Refusal(
            fields: "where: 'true'",
            create: "CREATE VIEW events AS SELECT 1 AS id",
            sentence: #""events" is not an ordinary or partitioned table"#
        ),
        Refusal(
            fields: "max_age: {column: create_at, age: 1d}",
            create: "CREATE TABLE events (id integer PRIMARY KEY, created_at timestamp)",
            sentence: #"has no column "create_at"; did you mean created_at?"#
        ),
        Refusal(
            fields: "where: 'true'",
            create: "CREATE TABLE events (id integer)",
            sentence: #"key ("id") of "#
        ),
        Refusal(
            fields: "where: 'true'",
            create: "CREATE TABLE events (id integer, CONSTRAINT c EXCLUDE USING btree (id WITH =))",
            sentence: "has no unique index"
        ),
        Refusal(
            fields: "where: 'true'",
            create: "CREATE TABLE events (id integer UNIQUE)",
            sentence: #"key column "id" of "#
        ),
        Refusal(
            fields: "where: 'true'",
            create: "CREATE TABLE events (id integer PRIMARY KEY, parent integer REFERENCES events ON DELETE CASCADE)",
            sentence: "refers to the table itself with ON DELETE CASCADE"
        ),
        Refusal(
            fields: "expires_at: e",
            create: "CREATE TABLE events (id integer PRIMARY KEY, e smallint)",
            sentence:
                #"expires_at column "e" has type smallint; accepted: timestamp, timestamptz, date, or integer or bigint"#
        ),
        Refusal(
            fields: "max_age: {column: t, age: 1d}, strategy: window",
            create: "CREATE TABLE events (id integer PRIMARY KEY, t timestamp)",
            sentence: "strategy window is not possible: no index starts with t"
        ),
    ])
    func `what cannot be planned is refused in one sentence`(_ refusal: Refusal) async throws {
        let error = await #expect(throws: PlanningError.self) {
            try await self.plan(refusal.fields, [refusal.create])
        }
        let sentence = error?.description ?? ""
        #expect(sentence.hasPrefix("target Target: ") && sentence.contains(refusal.sentence), "\(sentence)")
    }
}
