import Foundation
import PostgresClient
import Subprocess
import SystemPackage
import Testing

/// A PostgreSQL of a test's own, at a socket in a directory of its own, which can be stopped, started and copied.
///
/// As root it runs as the user `postgres`, since PostgreSQL refuses root.
struct PostgresServer: Sendable {
    let directory: String
    /// Its data; a copy of the server has other data at the same socket.
    var data: String { self.directory + "/postgres/data" }

    private static let bin = ProcessInfo.processInfo.environment["EBB_TEST_POSTGRES_BIN"]

    /// Commits are synchronous, so that what a crashed server has confirmed has taken place; only machines do not crash.
    private static let settings = """
        listen_addresses = ''
        unix_socket_permissions = 0777
        fsync = off
        full_page_writes = off
        max_connections = 50
        shared_buffers = 32MB
        log_min_messages = warning

        """

    /// A URL of it.
    func url(user: String = "ebb", database: String = "ebb") -> String {
        "postgresql:///\(database)?host=\(self.directory)&user=\(user)"
    }

    func connect(to database: String = "ebb") async throws -> PostgresConnection {
        try await Servers.connect(to: self.url(database: database))
    }

    fileprivate static func create(in directory: String) async throws -> PostgresServer {
        let folder = directory + "/postgres"
        try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
        if getuid() == 0 { try await Self.run("chown", ["postgres:", directory, folder]) }
        let server = PostgresServer(directory: directory)
        try await server.tool(
            "initdb",
            ["-D", server.data, "-U", "ebb", "-A", "trust", "-E", "UTF8", "--locale=C.UTF-8", "--no-sync"]
        )
        let path = server.data + "/postgresql.conf"
        let file = try #require(FileHandle(forWritingAtPath: path), "\(path) is not there")
        try file.seekToEnd()
        try file.write(contentsOf: Data((Self.settings + "unix_socket_directories = '\(directory)'\n").utf8))
        try file.close()
        return server
    }

    /// Starts it, and returns when it answers.
    func start() async throws {
        try await self.tool("pg_ctl", ["-D", self.data, "-l", self.directory + "/log", "-w", "-t", "60", "start"])
    }

    /// How it comes to its end.
    enum End: String, Sendable, CaseIterable {
        case fast
        /// As in a crash: with recovery at the next start.
        case immediate
    }

    /// Stops it, and returns when it is gone.
    func stop(_ end: End) async throws {
        try await self.tool("pg_ctl", ["-D", self.data, "-m", end.rawValue, "-w", "-t", "60", "stop"])
    }

    /// Copies its data while it runs; the copy begins as a standby.
    func copy(to data: String) async throws {
        try await self.tool(
            "pg_basebackup",
            ["-h", self.directory, "-U", "ebb", "-D", data, "-c", "fast", "-X", "stream", "--no-sync"]
        )
        try await self.tool("/usr/bin/touch", [data + "/standby.signal"])
    }

    /// Lets a stopped server start with other data.
    func replaceData(by data: String) async throws {
        try await self.tool("/bin/mv", [self.data, self.data + ".old"])
        try await self.tool("/bin/mv", [data, self.data])
    }

    /// Makes a standby a server of its own.
    func promote() async throws { try await self.tool("pg_ctl", ["-D", self.data, "-w", "-t", "60", "promote"]) }

    /// Changes a setting for all sessions, and waits until a new one has it.
    func set(_ name: String, to value: String) async throws {
        let connection = try await self.connect()
        _ = try await connection.query("ALTER SYSTEM SET \(name) = \(value)")
        _ = try await connection.query("SELECT pg_reload_conf()")
        try await until("the setting holds") {
            try await connection.query("SELECT current_setting('\(name)')").rows[0][0] == value
        }
        await connection.close()
    }

    /// Runs `body` with a tablespace `small` of so many MiB, in which the ledger will be; needs the right to mount.
    ///
    /// - Returns: false when there is no such right.
    func withSmallTablespace(_ size: Int, _ body: () async throws -> Void) async throws -> Bool {
        let path = self.directory + "/small"
        try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true)
        do { try await Self.run("mount", ["-t", "tmpfs", "-o", "size=\(size)m,mode=777", "tmpfs", path]) } catch {
            return false
        }
        let result: Result<Void, any Error>
        do {
            try await Self.runAsServer("/bin/mkdir", [path + "/data"])
            let connection = try await self.connect()
            for sql in [
                "CREATE TABLESPACE small LOCATION '\(path)/data'", "GRANT CREATE ON TABLESPACE small TO plain",
                "ALTER ROLE plain SET default_tablespace = small",
            ] {
                _ = try await connection.query(sql)
            }
            await connection.close()
            result = .success(try await body())
        } catch {
            result = .failure(error)
        }
        try await Task {
            try await self.stop(.immediate)
            try await Self.run("umount", [path])
        }.value
        try result.get()
        return true
    }

    fileprivate func remove() async throws {
        if FileManager.default.fileExists(atPath: self.data + "/postmaster.pid") { try await self.stop(.immediate) }
        try FileManager.default.removeItem(atPath: self.directory)
    }

    private func tool(_ name: String, _ arguments: [String]) async throws {
        let bin = try #require(Self.bin, "set EBB_TEST_POSTGRES_BIN to the folder of initdb and pg_ctl")
        let path = name.hasPrefix("/") ? name : bin + "/" + name
        try await Self.runAsServer(path, arguments)
    }

    /// Runs a program as the user that servers run as.
    static func runAsServer(_ path: String, _ arguments: [String]) async throws {
        guard getuid() == 0 else { return try await self.run(path, arguments) }
        let user = ["--reuid", "postgres", "--regid", "postgres", "--init-groups", "--"]
        try await self.run("setpriv", user + [path] + arguments)
    }

    private static func run(_ program: String, _ arguments: [String]) async throws {
        let executable: Executable = program.hasPrefix("/") ? .path(FilePath(program)) : .name(program)
        // Not a pipe: a server that was started would keep it open.
        let result = try await Subprocess.run(
            executable,
            arguments: Arguments(arguments),
            input: .none,
            output: .discarded,
            error: .discarded
        )
        try #require(result.terminationStatus.isSuccess, "\(program) \(arguments): \(result.terminationStatus)")
    }
}

/// Runs a test in a sandbox whose PostgreSQL is the test's own; see `withSandbox`.
///
/// Its programs are an ordinary role, `plain`, which may do no more than a cleanup needs.
func withPostgresSandbox(
    _ targets: String = Events.target(),
    _ body: (Sandbox, PostgresServer) async throws -> Void
) async throws {
    try await withSandbox(targets) { shared in
        // Short, because of the socket in it, and where another user may go. The script that runs the tests stops what is left
        // there when they come to a bad end.
        let parent = ProcessInfo.processInfo.environment["EBB_TEST_DIRECTORY"] ?? "/tmp"
        let directory = "\(parent)/server.\(String(UInt32.random(in: .min ... .max), radix: 36))"
        let server = PostgresServer(directory: directory)
        let result: Result<Void, any Error>
        do {
            _ = try await PostgresServer.create(in: directory)
            try await server.start()
            try await server.createDatabase(for: shared)
            result = .success(try await body(try await server.sandbox(like: shared), server))
        } catch {
            result = .failure(error)
        }
        // A task of its own, so that a test that ran out of time stops its server too.
        try await Task { try await server.remove() }.value
        try result.get()
    }
}

extension PostgresServer {
    fileprivate func createDatabase(for sandbox: Sandbox) async throws {
        let template = try await self.connect(to: "postgres")
        for sql in ["CREATE DATABASE ebb", "CREATE ROLE plain LOGIN", "GRANT CREATE ON DATABASE ebb TO plain"] {
            _ = try await template.query(sql)
        }
        await template.close()
        let connection = try await self.connect()
        for sql in [
            "CREATE SCHEMA \(sandbox.schema)", "GRANT USAGE ON SCHEMA \(sandbox.schema) TO plain",
            "ALTER DEFAULT PRIVILEGES IN SCHEMA \(sandbox.schema) GRANT SELECT, DELETE ON TABLES TO plain",
        ] {
            _ = try await connection.query(sql)
        }
        await connection.close()
    }

    /// The same sandbox with a new connection, for tests that have lost theirs.
    func sandbox(like sandbox: Sandbox) async throws -> Sandbox {
        Sandbox(
            namespace: sandbox.namespace,
            directory: sandbox.directory,
            postgres: try await self.connect(),
            redis: sandbox.redis,
            environment: sandbox.environment.merging(["DATABASE_URL": self.url(user: "plain")]) { $1 }
        )
    }
}
