import PostgresClient
import Testing

/// The table most tests clean: events of some sources, of which the newest per source stays.
enum Events {
    /// The configuration file for it, with its knob; Ebb chooses how to cut it when `strategy` is nil.
    static func target(age: String = "30d", strategy: String? = nil, keepsNewest: Bool = true) -> String {
        """
        targets:
          Events:
            schema: SCHEMA
            table: events
            key: id
            max_age: {column: created_at, age: \(age)}
        """ + (keepsNewest ? "\n    keep_newest: {count: 1, per: [source], order: [created_at]}" : "")
            + (strategy.map { "\n    strategy: \($0)" } ?? "") + "\n"
    }
}

extension Sandbox {
    /// Creates the table and, by the plainest SQL there is, the list of those that must survive.
    ///
    /// Of ten rows eight are expired, some sources have nothing else, and a few rows have no time. All times are far from
    /// the cutoff. Without `keepsNewest`, the newest of a source dies like any other.
    func createEvents(_ rows: Int, sources: Int = 50, keepsNewest: Bool = true, fillFactor: Int = 100) async throws {
        try await self.execute(
            """
            CREATE TABLE \(self.schema).events
              (id uuid PRIMARY KEY DEFAULT gen_random_uuid(), source integer NOT NULL, created_at timestamptz, body text)
            WITH (fillfactor = \(fillFactor))
            """,
            """
            INSERT INTO \(self.schema).events (source, created_at, body)
            SELECT i % \(sources),
                   CASE WHEN i % 1000 = 7 THEN NULL
                        WHEN i % 10 < 8 OR i % \(sources) < 5
                          THEN date_trunc('minute', now()) - interval '100 days' - i * interval '1 second'
                        ELSE now() - i * interval '1 ms' END,
                   'event ' || i
            FROM generate_series(1, \(rows)) AS i
            """,
            "CREATE INDEX ON \(self.schema).events (source, created_at DESC, id)",
            "CREATE INDEX ON \(self.schema).events (created_at)",
            "ANALYZE \(self.schema).events",
            """
            CREATE TABLE \(self.schema).survivors AS
            WITH newest AS (SELECT source, max(created_at) AS newest FROM \(self.schema).events GROUP BY source)
            SELECT id FROM \(self.schema).events JOIN newest USING (source)
            WHERE created_at IS NULL OR created_at >= now() - interval '30 days' OR \(keepsNewest) AND created_at = newest
            """
        )
    }

    /// The rows that are there now.
    func rows() async throws -> Int { try await self.number("SELECT count(*) FROM \(self.schema).events") }

    /// Expects that exactly the oracle's rows are left.
    func expectSurvivors(sourceLocation: SourceLocation = #_sourceLocation) async throws {
        let difference = try await self.postgres.query(
            """
            SELECT count(*) FILTER (WHERE e.id IS NULL), count(*) FILTER (WHERE s.id IS NULL)
            FROM \(self.schema).events AS e FULL JOIN \(self.schema).survivors AS s USING (id)
            """
        ).rows[0]
        #expect(difference.int(0) == 0, "rows died that should live", sourceLocation: sourceLocation)
        #expect(difference.int(1) == 0, "rows survived that should die", sourceLocation: sourceLocation)
    }

    /// The sum of a run's batches in the ledger.
    func ledgerSum(of run: String) async throws -> Int {
        try await self.number("SELECT coalesce(sum(rows), 0) FROM \(self.namespace).batch WHERE run = '\(run)'")
    }
}

/// `producer status RUN --json`, with all its fields and their types.
struct StatusDocument: Decodable, Equatable, Sendable {
    struct Rows: Decodable, Equatable, Sendable {
        var deleted: Int
        var estimated: Int
        var cascaded: Int
    }

    struct Batches: Decodable, Equatable, Sendable {
        var total: Int
        var queued: Int
        var leased: Int
        var delayed: Int
        var parked: Int
        var done: Int
        var dead: Int
        var cancelled: Int
        var split: Int
        var redelivered: Int
    }

    struct Rate: Decodable, Equatable, Sendable { var rows_per_second: Int }

    var run: String
    var target: String
    var schema: String
    var state: String
    var strategy: String
    var cutoff: String?
    var rows: Rows
    var batches: Batches
    var rate: Rate
    var eta_seconds: Int?
    var created_at: String
    var started_at: String?
    var finished_at: String?
    var error: String?
}
