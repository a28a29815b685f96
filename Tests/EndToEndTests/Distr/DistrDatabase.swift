import PostgresClient
import RedisClient
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
func withDistr(
    _ seed: DistrSeed,
    indexed: Bool = true,
    timeZone: String? = nil,
    _ body: (Sandbox) async throws -> Void
) async throws {
    try await withSandbox("presets: [distr]\n") { shared in
        let database = shared.namespace + "_distr"
        try await shared.execute("CREATE DATABASE \(database)")
        let result: Result<Void, any Error>
        do {
            if let timeZone { try await shared.execute("ALTER DATABASE \(database) SET TimeZone = '\(timeZone)'") }
            let url = try Servers.databaseURL(adding: "dbname=\(database)")
            let configuration = try PostgresConfiguration(url: url, applicationName: "ebb e2e test")
            let distr = Sandbox(
                namespace: shared.namespace,
                directory: shared.directory,
                postgres: try await .connect(configuration),
                redis: shared.redis,
                environment: shared.environment.merging([
                    "DATABASE_URL": url,
                    "STATUS_ENTRIES_MAX_AGE": "72h",
                    "METRICS_ENTRIES_MAX_AGE": "72h",
                    "LOG_RECORD_ENTRIES_MAX_COUNT": "\(seed.keep)",
                ]) { $1 }
            )
            try await distr.createDistr(seed, indexed: indexed)
            result = .success(try await body(distr))
            await distr.postgres.close()
        } catch {
            result = .failure(error)
        }
        // A task of its own, so that a test that ran out of time, and is cancelled, cleans up too.
        try await Task { try await shared.execute("DROP DATABASE \(database) WITH (FORCE)") }.value
        try result.get()
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

    /// Runs a file whose statements end at the end of a line.
    func execute(file: [UInt8]) async throws {
        for statement in String(decoding: file, as: UTF8.self).split(separator: ";\n") {
            _ = try await self.postgres.query(String(statement))
        }
    }

    /// The tables of Distr, with how many rows each has.
    func distrTables() async throws -> [String: Int] {
        let names = try await self.postgres.query(
            "SELECT tablename FROM pg_tables WHERE schemaname = 'public' ORDER BY tablename"
        ).rows.compactMap { $0[0] }
        var tables: [String: Int] = [:]
        for name in names { tables[name] = try await self.number("SELECT count(*) FROM public.\(name)") }
        return tables
    }

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
        for table in try await self.distrTables().keys.sorted() {
            let lost = try await self.number(
                "SELECT count(*) FROM (TABLE survivors.\(table) EXCEPT ALL TABLE public.\(table)) AS lost"
            )
            let left = try await self.number(
                "SELECT count(*) FROM (TABLE public.\(table) EXCEPT ALL TABLE survivors.\(table)) AS left_over"
            )
            #expect(lost == 0, "\(table): rows died or changed that should live", sourceLocation: sourceLocation)
            #expect(left == 0, "\(table): rows survived that should die", sourceLocation: sourceLocation)
        }
    }

    /// All runs of the ledger: target, rows and cascaded rows.
    func distrRuns() async throws -> [(target: String, rows: Int, cascaded: Int)] {
        try await self.postgres.query("SELECT target, rows, cascaded FROM \(self.namespace).run ORDER BY created_at")
            .rows
            .map { ($0[0] ?? "", $0.int(1) ?? -1, $0.int(2) ?? -1) }
    }

    /// Enqueues a target beside one worker, waits for its end, and returns its status.
    func clean(
        _ target: String,
        environment: [String: String?] = [:],
        sourceLocation: SourceLocation = #_sourceLocation
    ) async throws -> StatusDocument {
        let outcome = try await self.withWorkers(1, ["--concurrency", "2"], environment: environment) { _ in
            try await self.run(.producer, ["enqueue", target, "--wait", "--json"], environment: environment)
        }
        #expect(outcome.status == .exited(0), "\(outcome.errors)", sourceLocation: sourceLocation)
        return try #require(try outcome.json([StatusDocument].self).first, sourceLocation: sourceLocation)
    }
}
