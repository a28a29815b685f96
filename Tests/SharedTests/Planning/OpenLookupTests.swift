import PostgresClient
import TestSupport
import Testing

@testable import Shared

/// Rows of a rare kind are looked up, where that is cheap; elsewhere nothing is said about them.
@Suite(.timeLimit(.minutes(5))) struct OpenLookupTests {
    private static let indexes = [
        "CREATE INDEX ON jobs (created_at)", "CREATE INDEX ON jobs (topic, state, created_at)",
    ]

    /// 40,000 jobs, of which those in `rare` are waiting, and old enough.
    private func withJobs(
        _ condition: String = "topic = 'launch' AND state = 'pending'",
        rare: [Int] = [],
        indexes: [String] = Self.indexes,
        _ body: (TestBed, RangeStatement) async throws -> Void
    ) async throws {
        let target =
            "  Target: {table: jobs, key: id, max_age: {column: created_at, age: 1d}, strategy: window, where: \"\(condition)\"}"
        try await withTestBed(targets: target) { bed in
            try await bed.run(
                """
                CREATE TABLE jobs (id bigint PRIMARY KEY, topic text, state text, created_at timestamptz, payload text)
                WITH (autovacuum_enabled = off)
                """,
                """
                INSERT INTO jobs
                SELECT n, 'launch', CASE WHEN n = ANY ('{\(rare.map(String.init).joined(separator: ","))}') THEN 'pending' ELSE 'done' END,
                       now() - interval '3 days' + n * interval '1 second', repeat('x', 200)
                FROM generate_series(1, 40000) AS n
                """
            )
            for index in indexes { try await bed.run(index) }
            try await bed.run("ANALYZE jobs")
            let target = try bed.target()
            let resolved = try ResolvedTarget(target, facts: try await TableFacts.read(target, from: bed.connection))
            guard case .on(let knobs) = try target.resolveKnobs(environment: bed.services.environment) else {
                throw UnexpectedState("the target is off")
            }
            let terms = try await RunTerms.now(knobs: knobs, bed.connection)
            try await body(bed, RangeStatement(resolved, terms: terms, namespace: bed.namespace, generation: 1))
        }
    }

    @Test func `no row at all is told by an index of the rare kind`() async throws {
        try await self.withJobs { bed, statements in
            #expect(try await OpenLookup(statements).findsNothing(bed.connection))
            // It is young, and is none of the run's.
            try await bed.run("INSERT INTO jobs VALUES (0, 'launch', 'pending', now())")
            #expect(try await OpenLookup(statements).findsNothing(bed.connection))
            try await bed.run("INSERT INTO jobs VALUES (-1, 'launch', 'pending', now() - interval '2 days')")
            #expect(try await OpenLookup(statements).findsNothing(bed.connection) == false)
        }
    }

    @Test func `nothing is told where the table would have to be read, nor of a condition that fails`() async throws {
        try await self.withJobs(indexes: []) { bed, statements async throws in
            #expect(try await OpenLookup(statements).findsNothing(bed.connection) == false)
        }
        try await self.withJobs("topic = 'launch' AND state = 'done' AND id / (id - 3) = 9") {
            bed,
            statements async throws in
            #expect(try await OpenLookup(statements).findsNothing(bed.connection) == false)
        }
    }

    @Test func `nothing is told of rows that were many when the database last counted`() async throws {
        try await self.withJobs("topic = 'launch' AND state = 'done'") { bed, statements in
            try await bed.run("DELETE FROM jobs")
            // It would have to pass all of the dead ones.
            #expect(try await OpenLookup(statements).findsNothing(bed.connection) == false)
        }
    }

    @Test func `ranges go from one rare row to the next`() async throws {
        try await self.withJobs(rare: [17, 18, 20_000, 39_000]) { bed, statements in
            let planner = ChunkPlanner(statements, bed.connection)
            let sizing = BatchSizing(units: 100, least: 100, most: 100)
            let cursor = try #require(try await planner.start(.window, sizing: sizing, pivots: 0))
            let chunk = try await planner.next(cursor, limit: 64)
            #expect(chunk.batches.count == 3 && chunk.isComplete, "\(chunk)")
        }
    }

    @Test func `a run without a row plans nothing`() async throws {
        try await self.withJobs { bed, _ in
            let idle = try await bed.start()
            while try await bed.step(idle.run) != nil {}
            let fields = try await bed.queue.fields(of: idle.run)
            #expect(fields["state"] == "finished" && fields["total"] == "0", "\(fields)")
        }
    }
}
