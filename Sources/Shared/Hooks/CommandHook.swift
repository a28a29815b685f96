import Glibc
import Subprocess
import Synchronization
import SystemPackage

/// A command hook at work: a program in a process group of its own, which ends as a whole when its time is over.
struct CommandHook: Sendable {
    let hook: Hook.Command
    let arguments: [String]
    let environment: [String: String]
    let directory: String?

    /// How long the group may take to end after SIGTERM; then comes SIGKILL.
    private static let grace = Duration.seconds(2)

    private struct TimeOver: Error {}

    func run() async -> HookAttempt {
        let group = ProcessGroup()
        var attempt: HookAttempt
        do {
            attempt = try await withThrowingTaskGroup(of: HookAttempt.self) { tasks in
                tasks.addTask { try await self.execute(group) }
                tasks.addTask {
                    try await Task.sleep(for: self.hook.timeout)
                    throw TimeOver()
                }
                defer { tasks.cancelAll() }
                return try await tasks.next() ?? HookAttempt()
            }
            if Task.isCancelled { throw CancellationError() }
        } catch {
            attempt = group.output
            let reason =
                switch error {
                case is TimeOver: "it took longer than \(DurationText.format(self.hook.timeout)) and was killed"
                case is CancellationError: "it was stopped"
                default: "\(self.arguments[0]) could not be run: \(error)"
                }
            attempt.failure = .init(reason: reason, isTransient: false)
            // The library stops as soon as the program itself has ended; what it had started may have ignored the signal.
            group.kill()
        }
        return attempt
    }

    /// Runs the program; when the task is cancelled, its group ends first.
    private func execute(_ group: ProcessGroup) async throws -> HookAttempt {
        var options = PlatformOptions()
        options.processGroupID = 0
        options.teardownSequence = [
            .gracefulShutDown(toProcessGroup: true, allowedDurationToNextStep: Self.grace)
        ]
        let program = self.arguments[0]
        let variables = self.environment.map { (Subprocess.Environment.Key(stringLiteral: $0.key), $0.value) }
        let ended = try await Subprocess.run(
            program.hasPrefix("/") ? .path(FilePath(program)) : .name(program),
            arguments: Arguments(Array(self.arguments.dropFirst())),
            environment: .custom(Dictionary(uniqueKeysWithValues: variables)),
            workingDirectory: self.directory.map { FilePath($0) },
            platformOptions: options,
            input: .none,
            output: .sequence,
            error: .combinedWithOutput
        ) { execution in
            group.begin(execution.processIdentifier.value)
            for try await buffer in execution.standardOutput {
                group.append(buffer.withUnsafeBytes { Array($0) }, most: self.hook.output)
            }
        }
        var attempt = group.output
        switch ended.terminationStatus {
        case .exited(let code):
            attempt.code = Int(code)
            if code != 0 { attempt.failure = .init(reason: "it exited with \(code)", isTransient: false) }
        case .signaled(let signal):
            attempt.failure = .init(reason: "signal \(signal) ended it", isTransient: false)
        }
        return attempt
    }
}

/// What a command has started, and what it has said so far.
private final class ProcessGroup: Sendable {
    private struct State {
        /// 0 before it has begun.
        var leader: pid_t = 0
        var said = HookAttempt()
    }

    private let state = Mutex(State())

    /// - `leader`: whose group it is.
    func begin(_ leader: pid_t) { self.state.withLock { $0.leader = leader } }

    /// Keeps output, of which there may be more than is kept.
    func append(_ bytes: [UInt8], most: Int) {
        self.state.withLock { state in
            state.said.bytes += bytes.count
            state.said.output += bytes.prefix(most - state.said.output.count)
        }
    }

    var output: HookAttempt { self.state.withLock { $0.said } }

    /// Ends whatever is left of it.
    func kill() {
        let leader = self.state.withLock { $0.leader }
        if leader > 1 { _ = Glibc.kill(-leader, SIGKILL) }
    }
}
