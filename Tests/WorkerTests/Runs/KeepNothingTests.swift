import Shared
import TestSupport
import Testing

@testable import Worker

/// Keeping 0 rows deletes everything, so it has to be asked for twice.
@Suite(.timeLimit(.minutes(5))) struct KeepNothingTests {
    private static func target(_ strategy: Strategy?) -> String {
        """
          Target:
            table: records
            key: id
            keep_newest: {count: ${COUNT}, per: [device], order: [created_at]}
        """ + (strategy.map { "\n    strategy: \($0.rawValue)" } ?? "")
    }

    private static let records = [
        "CREATE TABLE records (id bigint PRIMARY KEY, device integer, created_at timestamp)",
        """
        INSERT INTO records SELECT n, nullif(n % 7, 0), CASE WHEN n % 5 > 0 THEN now() - n * interval '1 minute' END
        FROM generate_series(1, 1000) AS n
        """,
        "CREATE INDEX ON records (device, created_at)",
    ]

    @Test func `asked for once, it is refused`() async throws {
        try await withTestBed(targets: Self.target(.block), variables: ["COUNT": "0"]) { bed in
            let target = try bed.target()
            #expect(
                throws: ConfigurationError(
                    "target Target: keeping 0 rows would delete everything, the newest rows too; accepted: a number of at "
                        + "least 1, or 0 when the setting keep_nothing (EBB_KEEP_NOTHING) names Target as well"
                )
            ) { try target.resolveKnobs(environment: bed.services.environment) }
        }
    }

    @Test(arguments: [Strategy.block, .idRange, .key, nil])
    func `asked for twice, all go that have a place in the order`(_ strategy: Strategy?) async throws {
        try await withTestBed(
            targets: Self.target(strategy),
            variables: ["COUNT": "0", "EBB_KEEP_NOTHING": "Target"]
        ) { bed in
            for statement in Self.records { try await bed.run(statement) }
            let outcome = try #require(try await bed.drain("Target", batchRows: 100).first)
            expectFinished(outcome, rows: 800)
            #expect(try await bed.int("SELECT count(*) FROM records WHERE created_at IS NOT NULL") == 0)
            #expect(try await bed.int("SELECT count(*) FROM records") == 200)
        }
    }
}
