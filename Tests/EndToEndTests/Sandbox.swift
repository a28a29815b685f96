import Foundation
import PostgresClient
import RedisClient
import Testing

/// What one test has for itself on the shared servers: a namespace, a schema of tables, and a configuration file.
///
/// The namespace names the ledger schema and the Redis keys; the tables are in the schema `<namespace>_data`.
struct Sandbox: Sendable {
    let namespace: String
    let directory: String
    let postgres: PostgresConnection
    let redis: RedisClient
    /// All that the programs see of the world, besides `PATH`.
    var environment: [String: String]

    var schema: String { self.namespace + "_data" }

    /// The first column of the first row.
    func value(_ sql: String) async throws -> String? {
        try await self.postgres.query(sql).rows.first?[0]
    }

    /// The first column of the first row, as a number.
    func number(_ sql: String) async throws -> Int {
        let text = try await self.value(sql)
        return try #require(text.flatMap { Int($0) }, "\(sql) gave \(text ?? "nothing")")
    }

    func execute(_ statements: String...) async throws {
        for sql in statements { _ = try await self.postgres.query(sql) }
    }

    /// A key of the namespace.
    func key(_ name: String) -> String { "{\(self.namespace)}:\(name)" }

    /// The namespace's keys.
    func keys() async throws -> [String] {
        (try await self.redis.send("KEYS", self.key("*")).array ?? []).compactMap(\.string)
    }

    /// A counter or another number in a run's hash; 0 when it is not there.
    func field(_ name: String, of run: String) async throws -> Int {
        try await self.redis.send("HGET", self.key("run:\(run)"), name).int ?? 0
    }

    /// The state of a run in Redis; nil when it is not known there.
    func state(of run: String) async throws -> String? {
        try await self.redis.send("HGET", self.key("run:\(run)"), "state").string
    }

    /// The runs that Redis remembers.
    func runs() async throws -> [String] {
        (try await self.redis.send("ZRANGE", self.key("runs"), "0", "-1").array ?? []).compactMap(\.string)
    }

    /// The consumers of a stream's group.
    func consumers(of stream: String = "stream:default") async throws -> Int {
        try await self.redis.send("XINFO", "CONSUMERS", self.key(stream), "workers").array?.count ?? 0
    }

    /// Expects that streams, pending lists and the delayed set are empty.
    func expectQueueAtRest(sourceLocation: SourceLocation = #_sourceLocation) async throws {
        for priority in ["high", "default", "low"] {
            let stream = self.key("stream:\(priority)")
            let length = try await self.redis.send("XLEN", stream).int
            let pending = try await self.redis.send("XPENDING", stream, "workers").array?.first?.int
            #expect(length == 0, "entries in \(stream)", sourceLocation: sourceLocation)
            #expect(pending == 0, "pending entries in \(stream)", sourceLocation: sourceLocation)
        }
        for name in ["delayed", "delayed:entries", "active"] {
            let exists = try await self.redis.send("EXISTS", self.key(name)).int
            #expect(exists == 0, "\(name) is not empty", sourceLocation: sourceLocation)
        }
        let left = try await self.keys().filter { $0.contains("parked:") || $0.contains("starts:") }
        #expect(left == [], sourceLocation: sourceLocation)
    }

    /// Whether anything of the namespace exists in either server.
    func leftTraces() async throws -> [String] {
        var traces = try await self.keys()
        if try await self.value("SELECT to_regnamespace('\(self.namespace)')") != nil { traces.append("ledger schema") }
        return traces
    }
}

/// The two servers that all tests share.
enum Servers {
    static func databaseURL() throws -> String { try self.variable("EBB_TEST_DATABASE_URL", "a PostgreSQL database") }

    static func redisURL() throws -> String { try self.variable("EBB_TEST_REDIS_URL", "a Redis") }

    /// The other side of hooks; see `Tests/HookServer/server.py`.
    static func hookURL() throws -> String { try self.variable("EBB_TEST_HTTP_URL", "a server that hooks call") }

    private static func variable(_ name: String, _ what: String) throws -> String {
        try #require(ProcessInfo.processInfo.environment[name], "set \(name) to the URL of \(what) for tests")
    }

    /// The database's URL with one more parameter, which overrides what the URL says elsewhere.
    static func databaseURL(adding parameter: String) throws -> String {
        let url = try self.databaseURL()
        return url + (url.contains("?") ? "&" : "?") + parameter
    }

    static func connect() async throws -> PostgresConnection {
        try await Self.connect(to: self.databaseURL())
    }

    /// A session of a test itself, which waits on a busy machine.
    static func connect(to url: String, as name: String = "ebb e2e test") async throws -> PostgresConnection {
        try await .connect(PostgresConfiguration(url: url, applicationName: name, connectTimeout: .seconds(120)))
    }
}

/// Runs a test in a sandbox of its own and removes it afterwards, also when the test fails.
///
/// `targets` is its configuration file, in which `SCHEMA` stands for the sandbox's schema.
func withSandbox(_ targets: String = Events.target(), _ body: (Sandbox) async throws -> Void) async throws {
    let postgres = try await Servers.connect()
    let redis = RedisClient(
        configuration: try RedisConfiguration(
            url: Servers.redisURL(),
            connectTimeout: .seconds(120),
            commandTimeout: .seconds(120)
        )
    )
    let namespace = "e2e_" + String(UInt64.random(in: .min ... .max), radix: 36)
    let directory = NSTemporaryDirectory() + "/" + namespace
    let file = directory + "/ebb.yaml"
    try FileManager.default.createDirectory(atPath: directory, withIntermediateDirectories: true)
    let sandbox = Sandbox(
        namespace: namespace,
        directory: directory,
        postgres: postgres,
        redis: redis,
        environment: [
            "DATABASE_URL": try Servers.databaseURL(),
            "REDIS_URL": try Servers.redisURL(),
            "EBB_NAMESPACE": namespace,
            "EBB_CONFIG": file,
            "EBB_VACUUM": "off",
            "EBB_POLL_INTERVAL": "20ms",
        ]
    )
    try targets.replacing("SCHEMA", with: sandbox.schema).write(toFile: file, atomically: true, encoding: .utf8)
    let result: Result<Void, any Error>
    do {
        try await sandbox.execute("CREATE SCHEMA \(sandbox.schema)")
        result = .success(try await body(sandbox))
    } catch {
        result = .failure(error)
    }
    // A task of its own, so that a test that ran out of time, and is cancelled, cleans up too.
    try await Task { try await sandbox.remove() }.value
    try result.get()
}

extension Sandbox {
    fileprivate func remove() async throws {
        await self.postgres.close()
        let postgres = try await Servers.connect()
        for schema in [self.namespace, self.schema] {
            _ = try await postgres.query("DROP SCHEMA IF EXISTS \(schema) CASCADE")
        }
        await postgres.close()
        let keys = try await self.keys()
        if !keys.isEmpty { _ = try await self.redis.send(RedisCommand(["UNLINK"] + keys)) }
        await self.redis.close()
        try FileManager.default.removeItem(atPath: self.directory)
    }
}

/// Waits for something to become true, and fails when it does not in time.
func until(
    _ what: Comment,
    within limit: Duration = .seconds(120),
    sourceLocation: SourceLocation = #_sourceLocation,
    _ condition: () async throws -> Bool
) async throws {
    let deadline = ContinuousClock.now + limit
    while try await !condition() {
        try #require(ContinuousClock.now < deadline, what, sourceLocation: sourceLocation)
        // Only makes room for others between two looks.
        try await Task.sleep(for: .milliseconds(2))
    }
}
