import Shared
import TestSupport
import Testing

/// A table, a rule, and plain SQL that says which rows the rule takes.
///
/// In SQL, `CUTOFF` and `CREATED` stand for the run's frozen moments as `timestamp`, with a `Z` behind as `timestamptz`, and
/// `STRATEGY_KEY` for `uuid` or, for id ranges, `bigint`.
struct OracleCase: Sendable, CustomTestStringConvertible {
    var name: String
    /// Creates and fills the table.
    var setup: [String]
    /// What happens once the cutoff is known, and before anything is planned.
    var afterCreation: [String] = []
    /// What happens between planning and the first batch.
    var afterPlanning: [String] = []
    /// The target's YAML fields, one a line.
    var target: [String]
    /// The table as SQL names it.
    var table = "events"
    /// Deletes from the copy `oracle` what must go; several statements have semicolons between them.
    var oracle: String
    var strategies: [Strategy?] = [.block, .window, .idRange, .group, nil]
    var batchRows: Int? = 400
    var session: [(name: String, value: String)] = []

    var testDescription: String { self.name }

    /// One case cut in one way; nil is the planner's choice.
    struct Cut: Sendable, CustomTestStringConvertible {
        var oracleCase: OracleCase
        var strategy: Strategy?

        var testDescription: String { "\(self.oracleCase.name), \(self.strategy?.rawValue ?? "auto")" }
    }

    static func cuts(_ cases: [OracleCase]) -> [Cut] {
        cases.flatMap { oracleCase in oracleCase.strategies.map { Cut(oracleCase: oracleCase, strategy: $0) } }
    }
}

extension OracleCase.Cut {
    /// Runs the case with a real worker and compares every surviving row with the oracle's.
    func check() async throws {
        let oracleCase = self.oracleCase
        var lines = oracleCase.target
        if let strategy { lines.append("strategy: \(strategy.rawValue)") }
        let yaml = "  Target:\n" + lines.map { "    \($0)" }.joined(separator: "\n")
        try await withTestBed(targets: yaml, session: oracleCase.session) { bed in
            let key = self.strategy == .idRange ? "bigint" : "uuid"
            for statement in oracleCase.setup { try await bed.run(statement.replacing("STRATEGY_KEY", with: key)) }
            let record = try await bed.start(batchRows: oracleCase.batchRows)
            if let strategy { #expect(record.strategy == strategy) }
            for statement in oracleCase.afterCreation { try await bed.run(Self.text(statement, record)) }
            let before = try await bed.int("SELECT count(*) FROM \(oracleCase.table)")
            try await bed.run("CREATE TABLE oracle AS SELECT * FROM \(oracleCase.table)")
            for statement in oracleCase.oracle.split(separator: ";") {
                try await bed.run(Self.text(String(statement), record))
            }
            if !oracleCase.afterPlanning.isEmpty {
                try await bed.step(record.run)
                for statement in oracleCase.afterPlanning {
                    try await bed.run(Self.text(statement, record).replacing("STRATEGY_KEY", with: key))
                }
            }
            try await bed.work()
            let outcome = try await bed.outcome(of: record.run)
            let after = try await bed.int("SELECT count(*) FROM \(oracleCase.table)")
            expectFinished(outcome, rows: before - after)
            #expect(try await bed.rows(of: "oracle", missingIn: oracleCase.table) == [], "must survive")
            #expect(try await bed.rows(of: oracleCase.table, missingIn: "oracle") == [], "must be gone")
        }
    }

    private static func text(_ sql: String, _ record: RunRecord) -> String {
        sql.replacing("CUTOFFZ", with: "timestamptz '\(record.cutoff ?? "")+00'")
            .replacing("CREATEDZ", with: "timestamptz '\(record.createdAt)+00'")
            .replacing("CUTOFF", with: "timestamp '\(record.cutoff ?? "")'")
            .replacing("CREATED", with: "timestamp '\(record.createdAt)'")
    }
}

extension TestBed {
    /// Up to ten rows, as text, that one table has and another has not.
    func rows(of table: String, missingIn other: String) async throws -> [String] {
        try await self.strings(
            """
            SELECT (t.*)::text FROM \(table) AS t EXCEPT ALL SELECT (o.*)::text FROM \(other) AS o LIMIT 10
            """
        )
    }
}
