import Foundation
import RedisClient
import TestSupport

/// A private Valkey for one test.
enum ValkeyServer {
    /// `EBB_TEST_VALKEY_BIN`, else `valkey-server` from PATH; nil where there is none.
    static var binary: String? {
        let environment = ProcessInfo.processInfo.environment
        if let binary = environment["EBB_TEST_VALKEY_BIN"], !binary.isEmpty { return binary }
        return (environment["PATH"] ?? "").split(separator: ":").map { "\($0)/valkey-server" }
            .first(where: FileManager.default.isExecutableFile(atPath:))
    }

    /// Starts a server, lends its URL, and ends it.
    static func with(_ binary: String, _ body: (_ url: String) async throws -> Void) async throws {
        // A socket's path has at most 107 bytes.
        let folder = URL(filePath: "/tmp/ebb-valkey-\(UInt32.random(in: .min ... .max))")
        try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: false)
        let socket = folder.appending(path: "socket").path()
        let process = Process()
        process.executableURL = URL(filePath: binary)
        process.arguments = [
            "--port", "0", "--unixsocket", socket, "--dir", folder.path(), "--appendonly", "yes", "--save", "",
            "--logfile", folder.appending(path: "log").path(),
        ]
        try process.run()
        let result: Result<Void, any Error>
        do {
            let url = "unix://\(socket)"
            // The socket is there a moment before it listens.
            let client = RedisClient(configuration: try RedisConfiguration(url: url, maxBackoff: .milliseconds(20)))
            try await eventually("\(binary) answers") {
                do {
                    return try await client.send("PING").string == "PONG"
                } catch let error as RedisError where error.isServerAway {
                    return false
                }
            }
            await client.close()
            result = .success(try await body(url))
        } catch {
            result = .failure(error)
        }
        // SIGTERM would wait for ever: the server has inherited that this thread blocks it.
        kill(process.processIdentifier, SIGKILL)
        process.waitUntilExit()
        try FileManager.default.removeItem(at: folder)
        try result.get()
    }
}
