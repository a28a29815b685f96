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
                "CREATE TABLE events (id bigint PRIMARY KEY, device integer NOT NULL, created_at timestamp, payload text)",
                """
                INSERT INTO events SELECT n, n % 50, now() AT TIME ZONE 'UTC' - n * interval '10 seconds', repeat('x', 80)
                FROM generate_series(1, 40000) AS n
                """,
                "CREATE INDEX ON events (device, created_at)",
                "CREATE INDEX ON events (created_at)",
                "ANALYZE events"
            )
            let record = try await bed.start(batchRows: 2_000)
            try await bed.step(record.run)
            let work = try await bed.queue.poll(Queue.Poll(consumer: "a", lease: .seconds(60), slots: 64, reclaim: nil))
            let ranges = work.leases.compactMap(\.message.range) + [.keys([["1"], ["2"]])]
            #expect(ranges.count > 2)
            let context = try await RunContext.load(
                record.run,
                catalog: bed.services.catalog,
                ledger: bed.ledger,
                bed.connection
            )
            try await self.expectNoScan(of: ranges, context, bed)
            try await bed.run("DELETE FROM events", "ANALYZE events")
            try await self.expectNoScan(of: ranges, context, bed)
            try await bed.run("VACUUM (ANALYZE, TRUNCATE off) events")
            try await self.expectNoScan(of: ranges, context, bed)
        }
    }

    private func expectNoScan(of ranges: [BatchRange], _ context: RunContext, _ bed: TestBed) async throws {
        for range in ranges {
            let delete = context.statements(generation: 1).delete(range)
            let pins = TransactionSettings(for: range).statement()
            let lines = try await bed.connection.transaction { connection in
                _ = try connection.run(pins.sql, pins.parameters)
                return try connection.run("EXPLAIN \(delete.sql)", delete.parameters).rows.compactMap { $0[0] }
            }
            #expect(!lines.contains { $0.contains("Seq Scan on events") }, "\(range)\n\(lines.joined(separator: "\n"))")
        }
    }
}
