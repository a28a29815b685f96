import Foundation
import PostgresClient
import RedisClient
import Testing

/// `producer maintenance --json`.
struct ProcedureDocument: Decodable, Sendable {
    struct Stage: Decodable, Sendable {
        var name: String
        var kind: String
        var subject: String
        var state: String
        var reason: String?
        var started_at: String?
        var finished_at: String?
        var rows: Int
    }

    var procedure: String
    var state: String
    var error: String?
    var rows: Int
    var lapsed: Bool
    var taken_over: Int
    var only: [String]
    var skip: [String]
    var stages: [Stage]

    var states: [String] { self.stages.map { "\($0.name): \($0.state)" } }
}

/// A product with projects, and a procedure that cleans them.
enum Projects {
    /// Two projects, a table of everybody's, and all kinds of stages.
    static let configuration = """
        presets: []
        schemas:
          projects: {like: "SCHEMA_*"}
        targets:
          Logs: {schema: SCHEMA, table: logs, key: id, strategy: id_range, max_age: {column: at, age: 1d}}
          Files: {in: projects, table: files, key: id, max_age: {column: at, age: 1d}}
          Off: {schema: SCHEMA, table: logs, key: id, max_age: {column: at, age: "${OFF_AGE}"}}
        indexes:
          Missing: {in: projects, indexes: [{name: files_at, table: files, definition: "(at)"}]}
        hooks:
          Note: {command: {argv: [/bin/true]}}
        procedure:
          time_zone: UTC
          schedule: {cron: "${MAINTENANCE_CRON}"}
          stages:
            - {hook: Note}
            - {target: Logs}
            - {target: Files}
            - {target: Off}
            - {index: Missing}
            - {vacuum: touched}
        roles: {setup: "${RUN_SETUP:-true}", server: "${RUN_SERVER:-true}", maintenance: "${RUN_MAINTENANCE:-true}"}

        """

    /// Short leases, so that what a killed process held is free again soon.
    static let environment: [String: String?] = [
        "EBB_LEASES_DURATION": "1500ms", "EBB_BATCHES_STATEMENT_TIMEOUT": "700ms", "EBB_BATCHES_IDLE_TIMEOUT": "500ms",
        "EBB_BATCHES_ROWS": "5",
    ]

    /// Where nobody is killed: nobody takes over from a process that a busy machine has held up.
    ///
    /// - `lease`: whoever asks after a process that is at work waits for up to a third of it.
    static func patient(lease: String) -> [String: String?] {
        Self.environment.merging([
            "EBB_LEASES_DURATION": lease, "EBB_BATCHES_STATEMENT_TIMEOUT": "10s", "EBB_BATCHES_IDLE_TIMEOUT": "10s",
        ]) { $1 }
    }

    /// In a database of its own, since creating an index waits for every older snapshot in the database.
    static func withProjects(_ body: (Sandbox) async throws -> Void) async throws {
        func variables(_: Sandbox) -> [String: String] { [:] }
        try await withOwnDatabase(Self.configuration, product: "projects", environment: variables) { sandbox in
            try await sandbox.execute(
                "CREATE SCHEMA \(sandbox.schema)",
                "CREATE TABLE \(sandbox.schema).logs (id integer PRIMARY KEY, at timestamptz)",
                """
                INSERT INTO \(sandbox.schema).logs SELECT n, now() - (n % 2) * interval '2 days' - interval '1 hour'
                FROM generate_series(1, 1000) AS n
                """
            )
            for project in ["a", "b", "c"].map({ "\(sandbox.schema)_\($0)" }) {
                try await sandbox.execute(
                    "CREATE SCHEMA \(project)",
                    "CREATE TABLE \(project).files (id integer PRIMARY KEY, at timestamptz)",
                    "INSERT INTO \(project).files SELECT n, now() - interval '2 days' FROM generate_series(1, 100) AS n"
                )
            }
            try await body(sandbox)
        }
    }

    static func maintenance(_ sandbox: Sandbox, _ arguments: String...) async throws -> (ProcedureDocument, Outcome) {
        let outcome = try await sandbox.run(
            .producer,
            ["maintenance", "--json"] + arguments,
            environment: Self.environment
        )
        return (try outcome.json(), outcome)
    }

    /// Batches of the logs go slowly, 200 of them, until they are let go.
    static func slowDown(_ sandbox: Sandbox, by seconds: Double = 0.2) async throws {
        try await sandbox.execute(
            "CREATE TABLE \(sandbox.schema).brake AS SELECT true AS is_on",
            """
            CREATE FUNCTION \(sandbox.schema).slow() RETURNS trigger LANGUAGE plpgsql
            AS $$ BEGIN PERFORM pg_sleep(\(seconds)) FROM \(sandbox.schema).brake; RETURN NULL; END $$
            """,
            """
            CREATE TRIGGER slow BEFORE DELETE ON \(sandbox.schema).logs
            FOR EACH STATEMENT EXECUTE FUNCTION \(sandbox.schema).slow()
            """
        )
    }

    /// Lets rows go that were slowed down.
    static func letGo(_ sandbox: Sandbox) async throws {
        try await sandbox.execute("DELETE FROM \(sandbox.schema).brake")
    }

    /// Whether two deletions of the logs that were slowed down are under way, of batches that two workers hold.
    static func twoWorkersDelete(_ sandbox: Sandbox) async throws -> Bool {
        let deletions = try await sandbox.number(
            "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event = 'PgSleep'"
        )
        // Before there are any, there may be no stream to ask.
        guard deletions == 2 else { return false }
        let pending = try await sandbox.redis.send("XPENDING", sandbox.key("stream:default"), "workers")
        return pending.array?.last?.array?.count == 2
    }

    static func left(_ sandbox: Sandbox) async throws -> [Int] {
        var counts = [try await sandbox.number("SELECT count(*) FROM \(sandbox.schema).logs")]
        for project in ["a", "b", "c"] {
            counts.append(try await sandbox.number("SELECT count(*) FROM \(sandbox.schema)_\(project).files"))
        }
        return counts
    }
}
