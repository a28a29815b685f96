import PostgresClient
import TestSupport
import Testing

@testable import Shared

/// `protect` never searches a whole table once per row, whatever statistics say.
@Suite(.timeLimit(.minutes(5))) struct ProtectPlanTests {
    @Test(arguments: [Strategy.block, .window, .idRange])
    func `a table without an index is hashed once per statement`(_ strategy: Strategy) async throws {
        try await self.withPlans(strategy, notes: 20_000) { bed, lines in
            #expect(lines.contains { $0.contains("Hash Anti Join") }, "\(lines.joined(separator: "\n"))")
            #expect(!lines.contains { $0.contains("SubPlan") }, "\(lines.joined(separator: "\n"))")
        }
    }

    @Test(arguments: [Strategy.block, .window, .idRange, .group])
    func `a large table is looked up by its index`(_ strategy: Strategy) async throws {
        try await self.withPlans(strategy, notes: 120_000, "CREATE INDEX notes_event ON notes (event)") { bed, lines in
            #expect(!lines.contains { $0.contains("Seq Scan on notes") }, "\(lines.joined(separator: "\n"))")
            #expect(lines.contains { $0.contains("using notes_event") }, "\(lines.joined(separator: "\n"))")
        }
    }

    @Test func `groups are not possible without an index`() async throws {
        let error = await #expect(throws: PlanningError.self) {
            try await self.withPlans(.group, notes: 20_000) { _, _ in }
        }
        #expect(error?.description.contains("protect would search all of") == true, "\(String(describing: error))")
    }

    /// Explains a range and a list of keys, over the table as it is and once it is empty.
    private func withPlans(
        _ strategy: Strategy,
        notes: Int,
        _ index: String? = nil,
        _ body: (TestBed, [String]) throws -> Void
    ) async throws {
        let target = """
              Target: {table: events, key: id, max_age: {column: created_at, age: 1d}, protect: [notes], \
            keep_newest: {count: 1, per: [device], order: [created_at]}, strategy: \(strategy.rawValue)}
            """
        try await withTestBed(targets: target) { bed in
            try await bed.run(
                "CREATE TABLE events (id bigint PRIMARY KEY, device integer NOT NULL, created_at timestamp)",
                """
                INSERT INTO events SELECT n, n % 50, now() AT TIME ZONE 'UTC' - n * interval '10 seconds'
                FROM generate_series(1, 40000) AS n
                """,
                "CREATE INDEX ON events (device, created_at)",
                "CREATE INDEX ON events (created_at)",
                "CREATE TABLE notes (event bigint REFERENCES events ON DELETE CASCADE)",
                "INSERT INTO notes SELECT n % 40000 + 1 FROM generate_series(1, \(notes)) AS n",
                "ANALYZE events, notes"
            )
            if let index { try await bed.run(index) }
            let record = try await bed.start(batchRows: 2_000)
            try await bed.step(record.run)
            let work = try await bed.queue.poll(Queue.Poll(consumer: "a", lease: .seconds(60), slots: 4, reclaim: nil))
            let ranges = work.leases.compactMap(\.message.range) + [.keys([["1"], ["2"], ["3"]])]
            let context = try await RunContext.load(
                record.run,
                catalog: bed.services.catalog,
                ledger: bed.ledger,
                bed.connection
            )
            for emptied in [false, true] {
                if emptied {
                    try await bed.run(
                        "CREATE TABLE kept AS TABLE notes",
                        "TRUNCATE events, notes",
                        "ANALYZE events",
                        "ALTER TABLE notes DROP CONSTRAINT notes_event_fkey",
                        "INSERT INTO notes TABLE kept",
                        "ANALYZE notes"
                    )
                }
                for range in ranges {
                    let statements = context.statements(generation: 1)
                    let pins = statements.settings(for: range).statement()
                    for statement in statements.batch(range, skippingLocked: false) {
                        let lines = try await bed.connection.transaction { connection in
                            _ = try connection.run(pins.sql, pins.parameters)
                            return try connection.run("EXPLAIN \(statement.sql)", statement.parameters).rows.compactMap
                            { $0[0] }
                        }
                        // The proof of the pivots has subplans of its own.
                        let own = lines.split { $0.contains("CTE ebb_locked") }.last.map(Array.init) ?? lines
                        try body(bed, own.filter { !$0.contains("SubPlan 1") })
                    }
                }
            }
        }
    }
}
