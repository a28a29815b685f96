import ArgumentParser
import FoundationEssentials
import Glibc
import Logging
import Shared
import Subprocess
import SystemPackage
import UnixSignals

/// Worker processes that live as long as a command needs them.
struct LocalWorkers: Sendable {
    /// How many; nil is one, started as soon as no worker is alive.
    let count: Int?
    let session: Session

    /// Time for a stopping worker to give its batches back.
    private static let grace = Duration.seconds(30)
    /// A worker that ends by itself is replaced so many times.
    private static let replacements = 5

    /// Runs `body` beside the workers and stops them afterwards.
    ///
    /// - Throws: `CommandError` when the worker's executable is not beside this one; `CommandStopped`, with `body` over by then,
    ///   when the command is told to stop or a worker ends by itself again and again.
    func during<Value: Sendable>(_ body: @escaping @Sendable () async throws -> Value) async throws -> Value {
        let path = try Self.executable()
        return try await withThrowingTaskGroup(of: Value?.self) { group in
            for _ in 0..<(self.count ?? 0) {
                group.addTask {
                    try await self.work(path)
                    return nil
                }
            }
            if self.count == nil {
                group.addTask {
                    try await self.waitUntilNoWorkerIsAlive()
                    try await self.work(path)
                    return nil
                }
            }
            group.addTask { try await body() }
            group.addTask {
                try await Self.stopOnSignal()
                return nil
            }
            defer { group.cancelAll() }
            while let ended = try await group.next() {
                if let ended { return ended }
            }
            throw CancellationError()
        }
    }

    /// A worker that died counts as alive for up to a lease after its last beat, so once is not enough to ask.
    private func waitUntilNoWorkerIsAlive() async throws {
        let lease = self.session.services.configuration.leases.duration
        while try await self.session.queue.mayHaveWorkers(within: lease) {
            try await Task.sleep(for: min(.seconds(1), lease / 3))
        }
    }

    /// Lets the workers end, too, when this command is told to.
    private static func stopOnSignal() async throws {
        for await signal in await UnixSignalsSequence(trapping: .sigterm, .sigint) {
            throw CommandStopped(reason: "by \(signal)")
        }
    }

    /// Runs one worker until this task is cancelled, replacing one that ends by itself.
    private func work(_ path: String) async throws {
        for _ in 0...Self.replacements {
            let status = try await self.workOnce(path)
            if Task.isCancelled { return }
            complain("a local worker ended by itself (\(status))")
            try await Task.sleep(for: .seconds(1))
        }
        throw CommandStopped(reason: "because its local workers end by themselves")
    }

    /// What the worker warns of is for whoever reads the command's errors; its news only if they have asked for them.
    private func workOnce(_ path: String) async throws -> TerminationStatus {
        let level = self.session.services.logger.logLevel
        var options = PlatformOptions()
        options.teardownSequence = [.gracefulShutDown(allowedDurationToNextStep: Self.grace)]
        return try await Subprocess.run(
            .path(FilePath(path)),
            arguments: ["--concurrency", "1", "--end-with-parent", "\(getpid())"],
            // Both at once would be refused.
            environment: .inherit.updating(["EBB_LOG_LEVEL": level.rawValue, "EBB_LOG_LEVEL_FILE": nil]),
            platformOptions: options,
            input: .none,
            output: .discarded,
            error: .currentStandardError
        ).terminationStatus
    }

    /// `worker` beside this very executable.
    private static func executable() throws -> String {
        let own = try FileManager.default.destinationOfSymbolicLink(atPath: "/proc/self/exe")
        let path = own.split(separator: "/").dropLast().map { "/\($0)" }.joined() + "/worker"
        guard FileManager.default.isExecutableFile(atPath: path) else {
            throw CommandError("there is no worker at \(path); install it beside producer, or start workers elsewhere")
        }
        return path
    }
}

/// A command ended before what it waited for.
struct CommandStopped: Error, CustomStringConvertible {
    /// Behind "stopped".
    var reason: String

    var description: String { "stopped \(self.reason)" }
}
