import Foundation
import PostgresClient
import Subprocess
import SystemPackage
import Testing

/// A pgbouncer in transaction mode before the shared PostgreSQL, with two sessions to it.
struct Pgbouncer: Sendable {
    private let directory: String

    /// Where Debian's package has it.
    private static let path = "/usr/sbin/pgbouncer"
    /// Its socket's number, and how many sessions it opens.
    private static let port = 6_432
    static let sessions = 2

    static var isInstalled: Bool { FileManager.default.isExecutableFile(atPath: Self.path) }

    /// A URL that leads through it.
    var url: String { "postgresql:///pooled?host=\(self.directory)&port=\(Self.port)&user=plain" }

    func connect() async throws -> PostgresConnection {
        try await Servers.connect(to: self.url, as: "neighbour")
    }

    private func answers() async throws -> Bool {
        do {
            try await self.connect().close()
            return true
        } catch let error as PostgresError where error.isConnectionProblem {
            return false
        }
    }

    /// Runs `body` beside one, which is stopped afterwards, whatever happens.
    static func with(_ server: PostgresServer, _ body: (Pgbouncer) async throws -> Void) async throws {
        let pool = Pgbouncer(directory: server.directory + "/pool")
        try FileManager.default.createDirectory(atPath: pool.directory, withIntermediateDirectories: true)
        let settings = """
            [databases]
            pooled = host=\(server.directory) dbname=ebb
            [pgbouncer]
            pool_mode = transaction
            default_pool_size = \(Self.sessions)
            listen_addr =
            listen_port = \(Self.port)
            unix_socket_dir = \(pool.directory)
            unix_socket_mode = 0777
            auth_type = trust
            auth_file = \(pool.directory)/users
            logfile = \(pool.directory)/log
            pidfile = \(pool.directory)/pid

            """
        try settings.write(toFile: pool.directory + "/settings", atomically: true, encoding: .utf8)
        try "\"plain\" \"\"\n".write(toFile: pool.directory + "/users", atomically: true, encoding: .utf8)
        try FileManager.default.setAttributes([.posixPermissions: 0o777], ofItemAtPath: pool.directory)
        let result: Result<Void, any Error>
        do {
            try await PostgresServer.runAsServer(Self.path, ["--daemon", pool.directory + "/settings"])
            // Its socket is there a moment before it listens.
            try await until("pgbouncer answers") { try await pool.answers() }
            result = .success(try await body(pool))
        } catch {
            result = .failure(error)
        }
        try await Task { try await pool.stop() }.value
        try result.get()
    }

    private func stop() async throws {
        guard let text = try? String(contentsOfFile: self.directory + "/pid", encoding: .utf8),
            let pid = Int(text.trimmingCharacters(in: .whitespacesAndNewlines))
        else { return }
        kill(pid_t(pid), SIGQUIT)
        try await until("pgbouncer is gone") { !ProcessTable.isAlive(pid) }
    }
}

/// Another client of the pool, which must not notice Ebb.
struct Neighbour: Sendable {
    let connection: PostgresConnection

    /// What a session is like; the server session may be another one at every look.
    struct View: Equatable, Sendable {
        var settings: [String]
        /// Prepared statements, cursors, advisory locks, temporary objects, channels listened to.
        var objects: [String]
    }

    func look() async throws -> (session: Int, view: View) {
        // One transaction, so that all of it is of one session.
        let results = try await self.connection.pipeline([
            PostgresStatement("BEGIN"),
            PostgresStatement("SELECT pg_backend_pid()"),
            // PL/pgSQL's own turn up in a session that has run a function; the table of these tests has one.
            PostgresStatement(
                "SELECT name || ' = ' || setting FROM pg_settings WHERE name NOT LIKE 'plpgsql.%' ORDER BY name"
            ),
            PostgresStatement(
                """
                SELECT 'statement ' || name FROM pg_prepared_statements WHERE name <> ''
                UNION ALL SELECT 'cursor ' || name FROM pg_cursors WHERE name <> ''
                UNION ALL SELECT 'lock ' || objid FROM pg_locks WHERE locktype = 'advisory' AND pid = pg_backend_pid()
                UNION ALL SELECT 'table ' || relname FROM pg_class WHERE relnamespace = pg_my_temp_schema()
                UNION ALL SELECT 'channel ' || c FROM pg_listening_channels() AS c
                """
            ),
            PostgresStatement("COMMIT"),
        ])
        let view = View(
            settings: results[2].rows.compactMap { $0[0] },
            objects: results[3].rows.compactMap { $0[0] }
        )
        return (results[1].rows.first?.int(0) ?? 0, view)
    }
}
