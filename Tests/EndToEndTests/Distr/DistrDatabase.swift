import PostgresClient
import Testing

/// How many rows Distr's tables get, and of which kind; see `SQL/distr_seed.sql`.
struct DistrSeed: Sendable {
    /// No status or metrics row is nearer than this to its age; a test has to be over by then.
    var gap = "10 minutes"
    var isAwkward = true
    var organizations = 120
    var statuses = 0
    var metrics = 0
    var disks = 0
    var logs = 0
    var targetLogs = 0
    var states = 0
    var notifications = 0
    /// Pairs of deployment and resource.
    var logGroups = 1_200
    /// The value of `LOG_RECORD_ENTRIES_MAX_COUNT`.
    var keep = 500

    fileprivate var sql: String {
        """
        CREATE TABLE seed AS
        SELECT date_trunc('second', now() AT TIME ZONE 'UTC') AS moment, interval '\(self.gap)' AS gap, \(self.isAwkward) AS awkward,
               \(self.organizations) AS organizations, \(self.statuses) AS statuses, \(self.metrics) AS metrics, \(self.disks) AS disks,
               \(self.logs) AS logs, \(self.targetLogs) AS target_logs, \(self.states) AS states,
               \(self.notifications) AS notifications, \(self.logGroups) AS log_groups, \(self.keep) AS keep
        """
    }
}

/// Runs a test on a database of its own with Distr's tables, in the schema `public` as Distr has them.
///
/// - `indexed`: whether the foreign keys of `notificationrecord` have the indexes that Distr forgot.
/// - `timeZone`: the database's default.
/// - `changes`: to targets of the preset.
func withDistr(
    _ seed: DistrSeed,
    changes: String = "",
    indexed: Bool = true,
    timeZone: String? = nil,
    _ body: (Sandbox) async throws -> Void
) async throws {
    func variables(_: Sandbox) -> [String: String] {
        [
            "STATUS_ENTRIES_MAX_AGE": "72h",
            "METRICS_ENTRIES_MAX_AGE": "72h",
            "LOG_RECORD_ENTRIES_MAX_COUNT": "\(seed.keep)",
        ]
    }
    try await withOwnDatabase(
        "presets: [distr]\n" + changes,
        product: "distr",
        timeZone: timeZone,
        environment: variables
    ) { distr in
        try await distr.createDistr(seed, indexed: indexed)
        try await body(distr)
    }
}

extension Sandbox {
    fileprivate func createDistr(_ seed: DistrSeed, indexed: Bool) async throws {
        try await self.execute(file: PackageResources.distr_tables_sql)
        try await self.execute(seed.sql)
        try await self.execute(file: PackageResources.distr_seed_sql)
        try await self.execute(file: PackageResources.distr_keys_sql)
        if indexed { try await self.execute(file: PackageResources.distr_missing_indexes_sql) }
        try await self.execute("ANALYZE")
    }

    /// The tables of Distr, with how many rows each has.
    func distrTables() async throws -> [String: Int] { try await self.tables(of: "public") }

    /// Writes down which rows have to survive: for the tables that the oracles name, what they say; of others every row.
    func predict(_ oracles: [[UInt8]]) async throws {
        try await self.execute("CREATE SCHEMA survivors")
        for oracle in oracles { try await self.execute(file: oracle) }
        for table in try await self.distrTables().keys {
            try await self.execute("CREATE TABLE IF NOT EXISTS survivors.\(table) AS TABLE public.\(table)")
        }
    }

    /// Expects that every table of Distr has exactly the rows that were predicted, each of them as it was predicted.
    func expectPrediction(sourceLocation: SourceLocation = #_sourceLocation) async throws {
        try await self.expect("public", toBeAs: "survivors", sourceLocation: sourceLocation)
    }

    /// All runs of the ledger: target, rows and cascaded rows.
    func distrRuns() async throws -> [(target: String, rows: Int, cascaded: Int)] {
        try await self.postgres.query("SELECT target, rows, cascaded FROM \(self.namespace).run ORDER BY created_at")
            .rows
            .map { ($0[0] ?? "", $0.int(1) ?? -1, $0.int(2) ?? -1) }
    }
}
