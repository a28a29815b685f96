import Foundation
import Subprocess
import SystemPackage
import Testing

/// The programs under test, built beside this one.
enum Program: String, Sendable {
    case producer
    case worker

    func path() throws -> String {
        let own = try FileManager.default.destinationOfSymbolicLink(atPath: "/proc/self/exe")
        let beside = URL(filePath: own).deletingLastPathComponent().appending(path: self.rawValue).path()
        let path: String
        if FileManager.default.isExecutableFile(atPath: beside) {
            path = beside
        } else {
            path = URL(filePath: #filePath).appending(path: "../../../.build/debug/\(self.rawValue)").standardized
                .path()
        }
        try #require(FileManager.default.isExecutableFile(atPath: path), "\(path) is not there; run swift build first")
        return path
    }
}

/// How a program ended, with all it printed.
struct Outcome: Sendable {
    enum Status: Equatable, Sendable {
        case exited(Int32)
        case killed(by: Int32)
    }

    var status: Status
    var output: String
    var errors: String

    /// The lines on standard error.
    var complaints: [Substring] { self.errors.split(separator: "\n", omittingEmptySubsequences: true) }

    /// Standard output as one JSON document.
    func json<Value: Decodable>(_ type: Value.Type = Value.self) throws -> Value {
        do {
            return try JSONDecoder().decode(type, from: Data(self.output.utf8))
        } catch {
            throw NotJSON(description: "\(error) in \(self.output), \(self.errors)")
        }
    }

    private struct NotJSON: Error, CustomStringConvertible { var description: String }
}

/// A program that is running.
struct Running: Sendable {
    fileprivate let identifier: ProcessIdentifier

    var pid: Int { Int(self.identifier.value) }

    /// Sends a signal; that it may have ended by itself meanwhile is no failure.
    func send(_ signal: Int32) { _ = kill(self.identifier.value, signal) }

    /// Whether it has neither ended nor become a zombie.
    var isAlive: Bool { ProcessTable.isAlive(self.pid) }

    /// Asks it to stop, once it listens: before that the signal would just kill it.
    func stop() async throws {
        try await self.untilItListens()
        self.send(SIGTERM)
    }

    /// Waits until it listens to signals, or has ended; a worker has then made its checks, which have no patience.
    func untilItListens() async throws {
        try await until("the program listens to signals") { self.listens(to: SIGTERM) || !self.isAlive }
    }

    private func listens(to signal: Int32) -> Bool {
        guard let status = try? String(contentsOfFile: "/proc/\(self.pid)/status", encoding: .utf8) else {
            // It is gone.
            return false
        }
        return status.split(separator: "\n").contains { line in
            guard line.hasPrefix("SigIgn:") || line.hasPrefix("SigCgt:") else { return false }
            let mask = UInt64(line.drop { $0 != "\t" }.dropFirst(), radix: 16) ?? 0
            return mask >> (signal - 1) & 1 == 1
        }
    }

    /// The most memory it ever held, in KiB.
    func peakMemory() throws -> Int {
        let status = try String(contentsOfFile: "/proc/\(self.pid)/status", encoding: .utf8)
        let line = try #require(status.split(separator: "\n").first { $0.hasPrefix("VmHWM:") })
        return try #require(Int(line.filter(\.isNumber)))
    }
}

/// Processes, as the kernel sees them.
enum ProcessTable {
    static func isAlive(_ pid: Int) -> Bool {
        guard let stat = try? String(contentsOfFile: "/proc/\(pid)/stat", encoding: .utf8) else { return false }
        return stat.split(separator: ")").last?.split(separator: " ").first != "Z"
    }

    /// The live processes whose environment has the variable with this value.
    static func pids(with variable: String, _ value: String) throws -> [Int] {
        try FileManager.default.contentsOfDirectory(atPath: "/proc").compactMap { Int($0) }.filter { pid in
            guard let environment = FileManager.default.contents(atPath: "/proc/\(pid)/environ") else { return false }
            return environment.split(separator: 0).contains(Data("\(variable)=\(value)".utf8)) && self.isAlive(pid)
        }
    }
}

extension Sandbox {
    private static let outputLimit = 16 << 20

    private func environment(_ changes: [String: String?]) -> Environment {
        var variables = self.environment
        for (name, value) in changes { variables[name] = value }
        variables["PATH"] = ProcessInfo.processInfo.environment["PATH"] ?? "/usr/bin:/bin"
        let pairs = variables.compactMap { name, value in Environment.Key(rawValue: name).map { ($0, value) } }
        return .custom(Dictionary(uniqueKeysWithValues: pairs))
    }

    /// Runs a program to its end.
    func run(
        _ program: Program,
        _ arguments: [String],
        environment: [String: String?] = [:]
    ) async throws -> Outcome {
        try await self.during(program, arguments, environment: environment) { _ in }.outcome
    }

    /// Runs a program to its end, with standard error in a file that can be read meanwhile.
    ///
    /// - `started`: called once it runs.
    func run(
        _ program: Program,
        _ arguments: [String],
        environment: [String: String?],
        log: String,
        _ started: @Sendable (Running) -> Void
    ) async throws -> Outcome {
        let file = try FileDescriptor.open(
            log,
            .writeOnly,
            options: [.create, .truncate, .closeOnExec],
            permissions: .ownerReadWrite
        )
        let result = try await Subprocess.run(
            .path(FilePath(try program.path())),
            arguments: Arguments(arguments),
            environment: self.environment(environment),
            input: .none,
            output: .string(limit: Self.outputLimit),
            error: .fileDescriptor(file, closeAfterSpawningProcess: true)
        ) { execution in
            started(Running(identifier: execution.processIdentifier))
        }
        return Outcome(
            status: Self.status(result.terminationStatus),
            output: result.standardOutput,
            errors: try String(contentsOfFile: log, encoding: .utf8)
        )
    }

    private static func status(_ status: TerminationStatus) -> Outcome.Status {
        switch status {
        case .exited(let code): .exited(code)
        case .signaled(let signal): .killed(by: signal)
        }
    }

    /// Runs `producer` to its end.
    func producer(_ arguments: String..., environment: [String: String?] = [:]) async throws -> Outcome {
        try await self.run(.producer, arguments, environment: environment)
    }

    /// Runs a program while `body` runs, and returns when both have ended; kills it when `body` throws.
    func during<Value: Sendable>(
        _ program: Program,
        _ arguments: [String] = [],
        environment: [String: String?] = [:],
        _ body: @Sendable (Running) async throws -> Value
    ) async throws -> (value: Value, outcome: Outcome) {
        let result = try await Subprocess.run(
            .path(FilePath(try program.path())),
            arguments: Arguments(arguments),
            environment: self.environment(environment),
            input: .none,
            output: .string(limit: Self.outputLimit),
            error: .string(limit: Self.outputLimit)
        ) { execution in
            try await body(Running(identifier: execution.processIdentifier))
        }
        let outcome = Outcome(
            status: Self.status(result.terminationStatus),
            output: result.standardOutput,
            errors: result.standardError
        )
        return (result.closureResult, outcome)
    }

    /// Runs a program until it has printed enough, and asks it to stop then.
    ///
    /// - `started`: called once it runs.
    func run(
        _ program: Program,
        _ arguments: [String],
        untilOutput isEnough: @Sendable (String) -> Bool,
        _ started: @Sendable () async throws -> Void = {}
    ) async throws -> Outcome {
        try await self.run(program, arguments, environment: [:], onceOutput: isEnough, started) { try await $0.stop() }
    }

    /// Runs a program to its end.
    ///
    /// - `started`: called once it runs.
    /// - `then`: called once it has printed enough.
    func run(
        _ program: Program,
        _ arguments: [String],
        environment: [String: String?],
        onceOutput isEnough: @Sendable (String) -> Bool,
        _ started: @Sendable () async throws -> Void = {},
        then: @Sendable (Running) async throws -> Void
    ) async throws -> Outcome {
        let result = try await Subprocess.run(
            .path(FilePath(try program.path())),
            arguments: Arguments(arguments),
            environment: self.environment(environment),
            input: .none,
            output: .sequence,
            error: .string(limit: Self.outputLimit)
        ) { execution in
            try await started()
            var output = ""
            var wasEnough = false
            for try await part in execution.standardOutput {
                output += part.withUnsafeBytes { String(decoding: $0, as: UTF8.self) }
                if !wasEnough, isEnough(output) {
                    try await then(Running(identifier: execution.processIdentifier))
                    wasEnough = true
                }
            }
            return output
        }
        return Outcome(
            status: Self.status(result.terminationStatus),
            output: result.closureResult,
            errors: result.standardError
        )
    }

    /// Runs `body` beside workers, once all have started, stops them, and expects that they end well.
    func withWorkers<Value: Sendable>(
        _ count: Int = 1,
        _ arguments: [String] = [],
        environment: [String: String?] = [:],
        _ body: @escaping @Sendable ([Running]) async throws -> Value
    ) async throws -> Value {
        try await self.withWorkers(count, arguments, environment, [], body)
    }

    private func withWorkers<Value: Sendable>(
        _ count: Int,
        _ arguments: [String],
        _ environment: [String: String?],
        _ running: [Running],
        _ body: @escaping @Sendable ([Running]) async throws -> Value
    ) async throws -> Value {
        guard count > 0 else {
            // Whatever `body` does to the servers must not meet a worker that is still starting.
            for worker in running { try await worker.untilItListens() }
            return try await body(running)
        }
        let (value, outcome) = try await self.during(.worker, arguments, environment: environment) { worker in
            let value = try await self.withWorkers(count - 1, arguments, environment, running + [worker], body)
            try await worker.stop()
            return value
        }
        #expect(outcome.status == .exited(0), "a worker ended with \(outcome.errors)")
        return value
    }
}
