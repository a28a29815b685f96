import Foundation
import PostgresClient
import SystemPackage
import Testing

/// How many rows AYON's tables get, and of which kind; see `SQL/ayon_seed.sql`.
struct AyonSeed: Sendable {
    /// No row is nearer than this to the age at which it expires; a test has to be over by then.
    var gap = "20 minutes"
    var isAwkward = true
    var events = 0
    var logs = 0
    var launchers = 0
    var sites = 0
    var hosts = 0
    var configs = 0
    /// Of each kind in each project; the same goes for what follows.
    var entities = 10
    var activities = 0
    var files = 0
    var thumbnails = 0
    var links = 0

    /// Two projects, 870,000 events, 100,000 activities and links, 20,000 thumbnails and 10,000 files.
    static let whole = AyonSeed(
        events: 430_000,
        logs: 400_000,
        launchers: 10_000,
        sites: 800,
        hosts: 200,
        configs: 6_000,
        entities: 3_000,
        activities: 50_000,
        files: 5_000,
        thumbnails: 10_000,
        links: 50_000
    )

    /// A little of everything.
    static let little = AyonSeed(
        events: 4_300,
        logs: 13_000,
        launchers: 300,
        sites: 80,
        hosts: 30,
        configs: 600,
        entities: 100,
        activities: 2_000,
        files: 300,
        thumbnails: 800,
        links: 1_000
    )

    fileprivate var sql: String {
        """
        CREATE TABLE seed AS
        SELECT date_trunc('second', now()) AS moment, interval '\(self.gap)' AS gap, \(self.isAwkward) AS awkward,
               \(self.events) AS events, \(self.logs) AS logs, \(self.launchers) AS launchers, \(self.sites) AS sites,
               \(self.hosts) AS hosts, \(self.configs) AS configs, \(self.entities) AS entities,
               \(self.activities) AS activities, \(self.files) AS files, \(self.thumbnails) AS thumbnails,
               \(self.links) AS links
        """
    }
}

/// What stays after one target, by an oracle in plain SQL.
struct AyonOracle: Sendable {
    var sql: [UInt8]
    /// Whether it speaks of one project, and is asked for each of them.
    var ofProject = false

    static let inactiveWorkers = AyonOracle(sql: PackageResources.ayon_oracle_inactive_workers_sql)
    static let oldActionConfigs = AyonOracle(sql: PackageResources.ayon_oracle_old_action_configs_sql)
    static let unusedSettings = AyonOracle(sql: PackageResources.ayon_oracle_unused_settings_sql, ofProject: true)
    static let siteUse = AyonOracle(sql: PackageResources.ayon_oracle_site_use_sql, ofProject: true)
    static let oldSites = AyonOracle(sql: PackageResources.ayon_oracle_old_sites_sql)
    static let webActions = AyonOracle(sql: PackageResources.ayon_oracle_web_actions_sql)
    static let logs = AyonOracle(sql: PackageResources.ayon_oracle_logs_sql)
    static let events = AyonOracle(sql: PackageResources.ayon_oracle_events_sql)
    static let unusedActivities = AyonOracle(sql: PackageResources.ayon_oracle_unused_activities_sql, ofProject: true)
    static let unusedFiles = AyonOracle(sql: PackageResources.ayon_oracle_unused_files_sql, ofProject: true)
    static let unusedThumbnails = AyonOracle(sql: PackageResources.ayon_oracle_unused_thumbnails_sql, ofProject: true)
    static let deadLinks = AyonOracle(sql: PackageResources.ayon_oracle_dead_links_sql, ofProject: true)
    static let oldUserStats = AyonOracle(sql: PackageResources.ayon_oracle_old_user_stats_sql)
    static let oldTrafficStats = AyonOracle(sql: PackageResources.ayon_oracle_old_traffic_stats_sql)

    /// All of them in the order of the preset's procedure.
    static let all: [AyonOracle] = [
        .inactiveWorkers, .oldActionConfigs, .unusedSettings, .siteUse, .oldSites, .webActions, .logs, .events,
        .unusedActivities, .unusedFiles, .unusedThumbnails, .deadLinks, .oldUserStats, .oldTrafficStats,
    ]
}

/// A project of AYON's.
struct AyonProject: Sendable {
    var name: String
    /// PostgreSQL's own lower case of an unquoted name.
    var schema: String { "project_" + self.name.lowercased() }

    static let all = [AyonProject(name: "Alpha"), AyonProject(name: "Beta_2")]

    /// Two that are rows of `projects` only, unless a test creates them.
    static let archived = AyonProject(name: "Archived")
    static let skeleton = AyonProject(name: "Bones")
}

/// Files of a project, in a folder of their own.
struct AyonFiles: Sendable {
    var folder: String
    /// The rows that have one.
    var rows: String

    static let uploads = AyonFiles(folder: "uploads", rows: "files")
    /// Of thumbnails that were made smaller: here, about every other.
    static let originals = AyonFiles(folder: "thumbnails", rows: "thumbnails WHERE get_byte(uuid_send(id), 15) % 2 = 0")

    static let all = [uploads, originals]
}

/// Runs a test on a database of its own with AYON's tables: in the schema `public`, and in one of each project.
///
/// - `timeZone`: the database's default.
func withAyon(
    _ seed: AyonSeed,
    timeZone: String? = nil,
    _ body: (Sandbox) async throws -> Void
) async throws {
    func variables(_ shared: Sandbox) -> [String: String] {
        [
            "AYON_EVENT_RETENTION_DAYS": "90",
            "AYON_DEFAULT_PROJECT_STORAGE_ROOT": shared.ayonStorage,
            "AYON_REDIS_CHANNEL": shared.key("ayon"),
        ]
    }
    try await withOwnDatabase(
        "presets: [ayon]\n",
        product: "ayon",
        timeZone: timeZone,
        environment: variables
    ) { ayon in
        try await ayon.createAyon(seed)
        try await body(ayon)
    }
}

extension Sandbox {
    /// Where the projects' files are.
    var ayonStorage: String { self.directory + "/projects" }

    fileprivate func createAyon(_ seed: AyonSeed) async throws {
        try FileManager.default.createDirectory(atPath: self.ayonStorage, withIntermediateDirectories: true)
        // Oracles ask for what is NOT IN large tables, which is quick while these fit into memory.
        try await self.execute("SET work_mem = '128MB'")
        try await self.execute(file: PackageResources.ayon_tables_sql)
        try await self.execute(seed.sql)
        try await self.execute(file: PackageResources.ayon_seed_sql)
        for project in AyonProject.all { try await self.createProject(project) }
        try await self.execute(file: PackageResources.ayon_keys_sql)
        try await self.execute("ANALYZE")
    }

    /// Creates a project's schema, with rows and files.
    func createProject(_ project: AyonProject) async throws {
        try await self.execute("CREATE SCHEMA \(project.schema)", "SET search_path = \(project.schema), public")
        try await self.execute(file: PackageResources.ayon_project_tables_sql)
        try await self.execute(file: PackageResources.ayon_project_seed_sql)
        try await self.execute(file: PackageResources.ayon_project_keys_sql)
        for files in AyonFiles.all {
            try self.create(try await self.names(of: files, in: project.schema), files, of: project)
        }
        try await self.execute("SET search_path = public")
    }

    /// Ids of files as AYON names them on disk.
    private func names(of files: AyonFiles, in schema: String) async throws -> [String] {
        try await self.postgres.query("SELECT replace(id::text, '-', '') FROM \(schema).\(files.rows)").rows
            .compactMap { $0[0] }.sorted()
    }

    private func root(of files: AyonFiles, _ project: AyonProject) -> String {
        "\(self.ayonStorage)/\(project.name)/\(files.folder)"
    }

    private func create(_ names: [String], _ files: AyonFiles, of project: AyonProject) throws {
        let root = self.root(of: files, project)
        for folder in Set(names.map { $0.prefix(2) }) {
            try FileManager.default.createDirectory(atPath: "\(root)/\(folder)", withIntermediateDirectories: true)
        }
        for name in names {
            // Foundation would write each to a temporary file first, which takes minutes.
            let file = try FileDescriptor.open(
                FilePath("\(root)/\(name.prefix(2))/\(name)"),
                .writeOnly,
                options: [.create, .closeOnExec],
                permissions: .ownerReadWrite
            )
            _ = try file.closeAfter { try file.writeAll(name.utf8) }
        }
    }

    /// The files of a project that are on disk, by name.
    func stored(_ files: AyonFiles, of project: AyonProject) throws -> [String] {
        let root = self.root(of: files, project)
        guard FileManager.default.fileExists(atPath: root) else { return [] }
        return try FileManager.default.contentsOfDirectory(atPath: root).flatMap { folder in
            try FileManager.default.contentsOfDirectory(atPath: "\(root)/\(folder)")
        }.sorted()
    }

    /// Writes down which rows have to survive: a copy of every table, from which the oracles take what goes, one after the
    /// other.
    ///
    /// - `untouched`: further projects, which lose nothing.
    func predict(_ oracles: [AyonOracle], untouched: [AyonProject] = []) async throws {
        func copy(_ schema: String, to survivors: String) async throws {
            try await self.execute("CREATE SCHEMA \(survivors)")
            for table in try await self.tables(of: schema).keys where table != "seed" {
                try await self.execute("CREATE TABLE \(survivors).\(table) AS TABLE \(schema).\(table)")
            }
        }
        try await copy("public", to: "survivors")
        try await self.execute("CREATE TABLE survivors.seed AS TABLE public.seed")
        try await self.execute("CREATE TABLE survivors.site_use (site_id text)")
        for project in AyonProject.all + untouched {
            try await copy(project.schema, to: "survivors_\(project.schema)")
        }
        try await self.execute("ANALYZE")
        for oracle in oracles { try await self.apply(oracle, to: AyonProject.all) }
    }

    /// Takes away from the copies what an oracle says has to go, of projects if it speaks of them.
    func apply(_ oracle: AyonOracle, to projects: [AyonProject]) async throws {
        let schemas = oracle.ofProject ? projects.map { "survivors_\($0.schema), " } : [""]
        for schema in schemas {
            try await self.execute("SET search_path = \(schema)survivors, public")
            try await self.execute(file: oracle.sql)
        }
        try await self.execute("SET search_path = public")
    }

    /// Expects that every table of AYON has exactly the rows that were predicted, each of them as it was predicted, and that
    /// the files on disk are those that have a row.
    func expectAyon(
        _ projects: [AyonProject] = AyonProject.all,
        sourceLocation: SourceLocation = #_sourceLocation
    ) async throws {
        try await self.expect("public", toBeAs: "survivors", sourceLocation: sourceLocation)
        for project in projects {
            let survivors = "survivors_\(project.schema)"
            try await self.expect(project.schema, toBeAs: survivors, sourceLocation: sourceLocation)
            for files in AyonFiles.all {
                let names = try await self.names(of: files, in: survivors)
                let stored = try self.stored(files, of: project)
                #expect(stored == names, "\(files.folder) of \(project.name)", sourceLocation: sourceLocation)
            }
        }
    }

    /// Rows of every table, by `schema.table`.
    func ayonTables() async throws -> [String: Int] {
        var all: [String: Int] = [:]
        for schema in ["public"] + AyonProject.all.map(\.schema) {
            for (table, rows) in try await self.tables(of: schema) { all["\(schema).\(table)"] = rows }
        }
        return all
    }
}
