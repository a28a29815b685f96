import Shared
import TestSupport
import Testing

/// A batch that cannot be done as it is becomes two, until the rows at fault stand alone.
@Suite(.timeLimit(.minutes(5))) struct SplitTests {
    @Test(arguments: Strategy.choices)
    func `poison rows end as dead single keys, and only they are left`(_ strategy: Strategy) async throws {
        try await withTestBed(targets: Poison.target(strategy), settings: Poison.settings()) { bed in
            try await bed.createEvents(5_000)
            try await bed.onDelete(where: "old.id IN (777, 4242)", "RAISE EXCEPTION 'not this one'")
            let outcome = try #require(try await bed.drain("Target", batchRows: 500).first)
            #expect(outcome.state == "failed")
            #expect(outcome.fields["error"]?.contains("2 batches were given up on") == true, "\(outcome.fields)")
            let letters = try await bed.queue.deadLetters(of: outcome.run)
            #expect(Set(letters.map(\.range)) == [.keys([["777"]]), .keys([["4242"]])])
            #expect(letters.allSatisfy { $0.sqlState == "P0001" && $0.attempts == 3 })
            #expect(letters.allSatisfy { $0.error.contains("not this one") })
            #expect(outcome.count("dead") == 2)
            #expect(outcome.count("split") >= 10)
            #expect(outcome.ledgerRows == 5_000 - 12)
            #expect(
                try await bed.strings("SELECT id::text FROM events WHERE id <= 4990 ORDER BY events.id") == [
                    "777", "4242",
                ]
            )
            #expect(try await bed.int("SELECT count(*) FROM events") == 12)
            #expect(outcome.unrest == [])
        }
    }

    @Test func `a constraint that only speaks at the commit is the row's own, too`() async throws {
        try await withTestBed(targets: Poison.target(.block), settings: Poison.settings()) { bed in
            try await bed.createEvents(1_000)
            try await bed.run(
                "CREATE TABLE notes (event bigint REFERENCES events DEFERRABLE INITIALLY DEFERRED)",
                "INSERT INTO notes VALUES (321)",
                "CREATE INDEX ON notes (event)"
            )
            let outcome = try #require(try await bed.drain("Target", batchRows: 300).first)
            let letters = try await bed.queue.deadLetters(of: outcome.run)
            #expect(letters.map(\.range) == [.keys([["321"]])])
            #expect(letters.map(\.sqlState) == ["23503"])
            #expect(outcome.ledgerRows == 989)
            #expect(try await bed.int("SELECT count(*) FROM events") == 11)
        }
    }

    @Test func `a single row that takes too long is given up on with what to raise`() async throws {
        let settings = Poison.settings("attempts: 1, statement_timeout: 5s") + "\n" + Unhurried.leases
        try await withTestBed(targets: Poison.target(.block), settings: settings) { bed in
            try await bed.createEvents(11)
            try await bed.onDelete("PERFORM pg_sleep(600)")
            let outcome = try #require(try await bed.drain("Target").first)
            let letter = try #require(try await bed.queue.deadLetters(of: outcome.run).first)
            #expect(letter.range == .keys([["1"]]))
            #expect(letter.sqlState == "57014")
            #expect(
                letter.error.hasPrefix(
                    "if this row, with what goes by cascade, takes longer than batches.statement_timeout (5s), raise "
                        + "EBB_BATCHES_STATEMENT_TIMEOUT, and EBB_LEASES_DURATION with it; "
                ),
                "\(letter.error)"
            )
        }
    }

    @Test(arguments: Strategy.choices)
    func `a batch that takes too long is split until its parts do not`(_ strategy: Strategy) async throws {
        // An attempt would show as a dead letter: there is only one.
        let settings = Poison.settings("attempts: 1, statement_timeout: 1500ms") + "\n" + Unhurried.leases
        try await withTestBed(targets: Poison.target(strategy), settings: settings) { bed in
            // A single row takes a fifteenth of the time.
            try await bed.createEvents(60)
            try await bed.onDelete("PERFORM pg_sleep(0.1)")
            let outcome = try #require(try await bed.drain("Target", batchRows: 200).first)
            expectFinished(outcome, rows: 50)
            #expect(outcome.count("split") > 0)
            #expect(outcome.count("total") == outcome.count("done"))
        }
    }

    @Test(arguments: Strategy.choices)
    func `splitting down to the end names every expired row once`(_ strategy: Strategy) async throws {
        try await withTestBed(targets: Poison.target(strategy), settings: Poison.settings()) { bed in
            try await bed.createEvents(3_000)
            // Ties: more rows at one time than become keys at once.
            try await bed.run("UPDATE events SET created_at = '2020-01-01' WHERE id <= 1200")
            let record = try await bed.start()
            try await bed.step(record.run)
            let context = try await RunContext.load(
                record.run,
                catalog: bed.services.catalog,
                ledger: bed.ledger,
                bed.connection
            )
            let splitter = RangeSplitter(
                context.statements(generation: 1),
                limits: bed.services.configuration.batches.timeLimits
            )
            var open: [BatchRange] =
                switch strategy {
                case .block: [.block(from: 0, to: 1_000)]
                case .window: [.window(from: nil, to: nil)]
                case .idRange: [.idRange(from: nil, to: nil)]
                case .group: [.group(from: 1, to: 11, slice: nil)]
                case .key: [.keys([])]
                case .prefix: []
                }
            var rows: [String] = []
            while let range = open.popLast() {
                if let (first, second) = try await splitter.halves(of: range, bed.connection) {
                    open += [first, second]
                } else if case .keys(let keys) = try await splitter.narrowed(range, bed.connection) {
                    rows += keys.map { $0[0] }
                } else {
                    // A part without expired rows.
                    guard case .block = range else {
                        Issue.record("\(range) cannot be split")
                        continue
                    }
                }
            }
            #expect(rows.count == 2_990)
            #expect(Set(rows) == Set((1...2_990).map(String.init)))
        }
    }
}
