import Foundation
import PostgresClient
import RedisClient
import Subprocess
import SystemPackage
import Testing

/// A PostgreSQL and a Redis of one storm's own, which can be restarted, each with a proxy before it.
///
/// The storm's programs go through the proxies; the storm itself looks past them.
struct ChaosServers: Sendable {
    /// Short, because of the sockets in it.
    let directory: String
    let postgresProxy: Proxy
    let redisProxy: Proxy

    /// Crashes of processes are under test, not of the machine, so what the kernel has taken is safe.
    ///
    /// Commits are synchronous, other than in `deploy/test`: those that a crashed server has confirmed must have taken place.
    private static let settings = [
        "fsync=off", "full_page_writes=off", "shared_buffers=256MB", "max_connections=100", "max_wal_size=4GB",
    ]

    /// Starts both.
    static func start() async throws -> ChaosServers {
        // The script that runs the tests stops what is left there when the tests come to a bad end.
        let parent = ProcessInfo.processInfo.environment["EBB_TEST_DIRECTORY"] ?? "/tmp"
        let directory = "\(parent)/chaos.\(String(UInt32.random(in: .min ... .max), radix: 36))"
        do {
            try await Self.script(["start", directory] + Self.settings)
            return ChaosServers(
                directory: directory,
                postgresProxy: try Proxy(to: .unix(path: directory + "/.s.PGSQL.5432")),
                redisProxy: try Proxy(to: .unix(path: directory + "/redis.sock"))
            )
        } catch {
            try await Self.script(["stop", directory])
            throw error
        }
    }

    /// Stops both and removes all they held.
    func stop() async throws {
        self.postgresProxy.stop()
        self.redisProxy.stop()
        try await Self.script(["stop", self.directory])
    }

    /// How PostgreSQL comes to its end.
    enum PostgresEnd: String, Sendable, CaseIterable {
        case fast
        /// As a crash: with recovery at the next start.
        case immediate
    }

    /// Returns when it answers again.
    func restartPostgres(_ end: PostgresEnd) async throws {
        try await Self.script(["restart-postgres", self.directory, end.rawValue])
    }

    /// Returns when it has read its append-only file; `kill`: it ended by SIGKILL.
    func restartRedis(kill: Bool) async throws {
        try await Self.script(["restart-redis", self.directory] + (kill ? ["kill"] : []))
    }

    /// A session past the proxy.
    func connectPostgres() async throws -> PostgresConnection {
        try await Servers.connect(to: "postgresql:///ebb?host=\(self.directory)&user=ebb", as: "chaos")
    }

    /// What a storm has for itself on them.
    ///
    /// - `targets`: its configuration file, in which `SCHEMA` stands for the sandbox's schema.
    func sandbox(_ targets: String) async throws -> Sandbox {
        let folder = self.directory + "/sandbox"
        for path in [folder, self.directory + "/programs"] {
            try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true)
        }
        let redis = try RedisConfiguration(
            url: "unix://\(self.directory)/redis.sock",
            commandTimeout: .seconds(120),
            maxBackoff: .milliseconds(50)
        )
        let sandbox = Sandbox(
            namespace: "storm",
            directory: folder,
            postgres: try await self.connectPostgres(),
            redis: RedisClient(configuration: redis),
            environment: [
                "DATABASE_URL": "postgresql://ebb@127.0.0.1:\(self.postgresProxy.port)/ebb",
                "REDIS_URL": "redis://127.0.0.1:\(self.redisProxy.port)",
                "EBB_NAMESPACE": "storm",
                "EBB_CONFIG": folder + "/ebb.yaml",
                "EBB_POLL_INTERVAL": "20ms",
                // So that workers soon notice that the gate is open.
                "EBB_OUTAGES_MAX_PAUSE": "1s",
            ].merging(Storm.shortLeases) { $1 }
        )
        try targets.replacing("SCHEMA", with: sandbox.schema)
            .write(toFile: folder + "/ebb.yaml", atomically: true, encoding: .utf8)
        try await sandbox.execute("CREATE SCHEMA \(sandbox.schema)")
        return sandbox
    }

    private static func script(_ arguments: [String]) async throws {
        let path = URL(filePath: #filePath).appending(path: "../../../../deploy/servers").standardized.path()
        let result = try await Subprocess.run(
            .path(FilePath(path)),
            arguments: Arguments(arguments),
            output: .discarded,
            error: .string(limit: 1 << 16)
        )
        try #require(result.terminationStatus.isSuccess, "deploy/servers \(arguments): \(result.standardError)")
    }
}

/// Runs `body` with servers of its own, and stops them afterwards, whatever happens.
func withChaosServers<Value: Sendable>(_ body: (ChaosServers) async throws -> Value) async throws -> Value {
    let servers = try await ChaosServers.start()
    let result: Result<Value, any Error>
    do { result = .success(try await body(servers)) } catch { result = .failure(error) }
    // A task of its own, so that a test that ran out of time, and is cancelled, cleans up too.
    try await Task { try await servers.stop() }.value
    return try result.get()
}
