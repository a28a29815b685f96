import PostgresClient
import TestSupport
import Testing

@testable import Shared

/// No batch reads the whole table, whatever statistics say.
@Suite(.timeLimit(.minutes(5))) struct PlanPinTests {
    @Test(arguments: Strategy.choices)
    func `a batch never scans the whole table, full or empty`(_ strategy: Strategy) async throws {
        let target = """
              Target: {table: events, key: id, max_age: {column: created_at, age: 1d}, \
            keep_newest: {count: 1, per: [device], order: [created_at]}, strategy: \(strategy.rawValue)}
            """
        try await withTestBed(targets: target) { bed in
            try await bed.run(
                "CREATE TABLE events (id bigint PRIMARY KEY, device integer NOT NULL, created_at timestamp, payload text) WITH (autovacuum_enabled = off)",
                """
                INSERT INTO events SELECT n, n % 50, now() AT TIME ZONE 'UTC' - n * interval '10 seconds', repeat('x', 80)
                FROM generate_series(1, 40000) AS n
                """,
                "CREATE INDEX ON events (device, created_at)",
                "CREATE INDEX ON events (created_at)",
                "ANALYZE events"
            )
            let (planned, context) = try await self.plannedRun(bed)
            let ranges = planned + [.keys([["1"], ["2"]])]
            #expect(ranges.count > 2)
            try await self.expectNoScan(of: ranges, context, bed)
            try await bed.run("DELETE FROM events", "ANALYZE events")
            try await self.expectNoScan(of: ranges, context, bed)
            try await bed.run("VACUUM (ANALYZE, TRUNCATE off) events")
            try await self.expectNoScan(of: ranges, context, bed)
        }
    }

    @Test(arguments: [Strategy.block, .window])
    func `nor does a plain delete in the order of the key, by the table or the key's index`(
        _ strategy: Strategy
    ) async throws {
        let target = """
              Target: {table: events, key: id, max_age: {column: created_at, age: 1d}, order: leaf_first(parent), \
            strategy: \(strategy.rawValue)}
            """
        try await withTestBed(targets: target) { bed in
            try await bed.run(
                "CREATE TABLE events (id uuid PRIMARY KEY, created_at timestamp, parent uuid REFERENCES events, payload text) WITH (autovacuum_enabled = off)",
                """
                INSERT INTO events SELECT gen_random_uuid(), now() AT TIME ZONE 'UTC' - n * interval '10 seconds', NULL, repeat('x', 80)
                FROM generate_series(1, 40000) AS n
                """,
                "CREATE INDEX ON events (parent)",
                "CREATE INDEX ON events (created_at)",
                "ANALYZE events"
            )
            let (planned, context) = try await self.plannedRun(bed)
            let range = try #require(planned.first)
            for emptying in [[], ["DELETE FROM events", "ANALYZE events"], ["VACUUM (ANALYZE, TRUNCATE off) events"]] {
                for statement in emptying { try await bed.run(statement) }
                let statements = context.statements(generation: 1)
                let deletes = try #require(statements.optimistic(range))
                let lines = try await self.plan(of: deletes, statements.settings(for: range), bed)
                let plan = lines.joined(separator: "\n")
                #expect(plan.contains("Tid Scan on events"), "\(range)\n\(plan)")
                #expect(!plan.contains("Seq Scan on events") && !plan.contains("events_pkey"), "\(range)\n\(plan)")
            }
        }
    }

    /// The ranges of a run that has been planned, and what its batches know.
    private func plannedRun(_ bed: TestBed) async throws -> ([BatchRange], RunContext) {
        let record = try await bed.start(batchRows: 2_000)
        try await bed.step(record.run)
        let work = try await bed.queue.poll(Queue.Poll(consumer: "a", lease: .seconds(60), slots: 64, reclaim: nil))
        let context = try await RunContext.load(
            record.run,
            catalog: bed.services.catalog,
            ledger: bed.ledger,
            bed.connection
        )
        return (work.leases.compactMap(\.message.range), context)
    }

    /// The plan of the last of some statements of a transaction.
    private func plan(
        of statements: [PostgresStatement],
        _ settings: TransactionSettings,
        _ bed: TestBed
    ) async throws -> [String] {
        let pins = settings.statement()
        return try await bed.connection.transaction { connection in
            for before in [pins] + statements.dropLast() { _ = try connection.run(before.sql, before.parameters) }
            guard let last = statements.last else { return [] }
            return try connection.run("EXPLAIN \(last.sql)", last.parameters).rows.compactMap { $0[0] }
        }
    }

    private func expectNoScan(of ranges: [BatchRange], _ context: RunContext, _ bed: TestBed) async throws {
        for range in ranges {
            let delete = context.statements(generation: 1).delete(range)
            let lines = try await self.plan(of: [delete], TransactionSettings(for: range), bed)
            #expect(!lines.contains { $0.contains("Seq Scan on events") }, "\(range)\n\(lines.joined(separator: "\n"))")
        }
    }
}
