import Foundation
import RedisClient
import Subprocess
import Testing

/// A Redis of a test's own, at a socket in the sandbox's directory, which can be killed and started again with its data.
struct RedisServer: Sendable {
    let directory: String
    let client: RedisClient

    private var socket: String { self.directory + "/redis.sock" }
    private var pidFile: String { self.directory + "/redis.pid" }
    var url: String { "unix://" + self.socket }

    fileprivate init(in directory: String) throws {
        self.directory = directory
        try FileManager.default.createDirectory(atPath: directory, withIntermediateDirectories: true)
        self.client = RedisClient(
            configuration: try RedisConfiguration(url: "unix://\(directory)/redis.sock", maxBackoff: .milliseconds(20))
        )
    }

    /// Starts the server and returns once it can be used; when that `takesLong`, already while it loads its data.
    func start(_ options: [String] = [], takesLong: Bool = false) async throws {
        let standard = [
            "--port", "0", "--unixsocket", self.socket, "--dir", self.directory, "--save", "", "--daemonize", "yes",
            "--pidfile", self.pidFile, "--logfile", self.directory + "/redis.log", "--appendonly", "yes",
            "--appendfsync", "no",
        ]
        let result = try await Subprocess.run(
            .name("redis-server"),
            arguments: Arguments(standard + options),
            input: .none,
            output: .string(limit: 1 << 16),
            error: .combinedWithOutput
        )
        try #require(result.terminationStatus.isSuccess, "\(result.standardOutput)")
        // INFO is answered while data is loaded.
        try await until("Redis answers") { try await self.answer(takesLong ? "INFO" : "PING") != nil }
    }

    /// Ends the server at once, as a crash does, and returns when it is gone.
    func kill(_ signal: Int32 = SIGKILL) async throws {
        guard let text = try? String(contentsOfFile: self.pidFile, encoding: .utf8),
            let pid = Int32(text.trimmingCharacters(in: .whitespacesAndNewlines))
        else { return }
        Foundation.kill(pid, signal)
        try await until("Redis is gone") { !ProcessTable.isAlive(Int(pid)) }
        // A killed one leaves it behind, and its number may be another's later.
        if FileManager.default.fileExists(atPath: self.pidFile) {
            try FileManager.default.removeItem(atPath: self.pidFile)
        }
    }

    /// The reply to a command; nil while the server is away.
    func answer(_ command: String...) async throws -> RESPValue? {
        do {
            return try await self.client.send(RedisCommand(command))
        } catch let error as RedisError where error.isServerAway {
            return nil
        }
    }

    /// A field of `INFO`; nil when it is not there or the server is away.
    func information(_ field: String, in section: String) async throws -> Substring? {
        let text = try await self.answer("INFO", section)?.string ?? ""
        let line = text.split(whereSeparator: \.isNewline).first { $0.hasPrefix(field + ":") }
        return line?.dropFirst(field.count + 1)
    }

    /// How often the server, since it was started, has answered with an error of this kind.
    func errors(_ prefix: String) async throws -> Int {
        let text = try await self.information("errorstat_" + prefix, in: "errorstats") ?? "count=0"
        return Int(text.dropFirst("count=".count)) ?? 0
    }
}

/// Runs a test in a sandbox whose Redis is the test's own; see `withSandbox`.
///
/// - `options`: further options of the server.
func withRedisSandbox(
    _ targets: String = Events.target(),
    options: [String] = [],
    _ body: (Sandbox, RedisServer) async throws -> Void
) async throws {
    try await withSandbox(targets) { shared in
        let server = try RedisServer(in: shared.directory)
        let sandbox = Sandbox(
            namespace: shared.namespace,
            directory: shared.directory,
            postgres: shared.postgres,
            redis: server.client,
            environment: shared.environment.merging(["REDIS_URL": server.url]) { $1 }
        )
        let result: Result<Void, any Error>
        do {
            try await server.start(options)
            result = .success(try await body(sandbox, server))
        } catch {
            result = .failure(error)
        }
        // A task of its own, so that a test that ran out of time stops its server too.
        try await Task { try await server.kill() }.value
        await server.client.close()
        try result.get()
    }
}
