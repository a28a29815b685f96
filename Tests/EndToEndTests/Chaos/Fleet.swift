import Foundation
import Synchronization

/// A storm's programs, kept alive: whenever one ends, it is started again.
///
/// Also says which ends were not asked for.
final class Fleet: Sendable {
    /// A program that runs now.
    struct Member: Sendable {
        var running: Running
        var log: String
    }

    private struct State {
        var members: [String: Member] = [:]
        /// Processes that were sent SIGKILL.
        var doomed: Set<Int> = []
        var starts = 0
        var isOver = false
        var complaints: [String] = []
        /// Programs that did not come up, as a server was away.
        var refusals = 0
    }

    private let sandbox: Sandbox
    private let programs: String
    private let state = Mutex(State())

    /// - `programs`: the folder in which each process leaves a file of its id; see `deploy/servers`.
    init(_ sandbox: Sandbox, programs: String) {
        self.sandbox = sandbox
        self.programs = programs
    }

    /// What went wrong so far, one sentence each.
    var complaints: [String] { self.state.withLock { $0.complaints } }

    var refusals: Int { self.state.withLock { $0.refusals } }

    /// Whether the programs were told to end.
    private var isOver: Bool { self.state.withLock { $0.isOver } }

    // MARK: Keeping them alive

    /// Keeps a worker alive until the end.
    func keepWorker(_ number: Int) async throws {
        let name = Self.worker(number)
        while !self.isOver {
            let (outcome, pid) = try await self.run(.worker, [], name)
            if self.wasAskedFor(outcome, pid) { continue }
            guard outcome.errors.contains("worker started") else {
                try await self.noteRefusal(name, outcome)
                continue
            }
            self.complain("\(name) ended by itself: \(outcome.status), \(outcome.errors.suffix(600))")
        }
    }

    /// Keeps a producer at waiting for the run, until it has seen its end or `isOver` says that there is none to see.
    func keepProducer(_ arguments: [String], unless isOver: () async -> Bool) async throws {
        while !self.isOver {
            let (outcome, pid) = try await self.run(.producer, arguments, Self.producer)
            switch outcome.status {
            // The run's own state tells whether that was right.
            case .exited(0), .exited(1): return
            case .exited(2): try await self.noteRefusal(Self.producer, outcome)
            default:
                if !self.wasAskedFor(outcome, pid) {
                    self.complain("the producer ended by itself: \(outcome.status), \(outcome.errors.suffix(600))")
                }
            }
            if await isOver() { return }
        }
    }

    private func run(_ program: Program, _ arguments: [String], _ name: String) async throws -> (Outcome, Int) {
        let number = self.state.withLock { state in
            state.starts += 1
            return state.starts
        }
        let log = "\(self.sandbox.directory)/\(name).\(number).log"
        let pid = Mutex(0)
        let outcome = try await self.sandbox.run(program, arguments, environment: [:], log: log) { running in
            pid.withLock { $0 = running.pid }
            self.register(name, Member(running: running, log: log))
        }
        let id = pid.withLock { $0 }
        self.state.withLock { _ = $0.members.removeValue(forKey: name) }
        try FileManager.default.removeItem(atPath: "\(self.programs)/\(id)")
        return (outcome, id)
    }

    private func register(_ name: String, _ member: Member) {
        _ = FileManager.default.createFile(atPath: "\(self.programs)/\(member.running.pid)", contents: nil)
        let isLate = self.state.withLock { state in
            state.members[name] = member
            return state.isOver
        }
        if isLate { member.running.send(SIGTERM) }
    }

    /// Whether a process was killed by the storm, or ended well when it was told to: also before it listened to signals.
    private func wasAskedFor(_ outcome: Outcome, _ pid: Int) -> Bool {
        self.state.withLock { state in
            // Removed, since the id may become another's.
            let wasDoomed = state.doomed.remove(pid) != nil
            if state.isOver, [.exited(0), .killed(by: SIGTERM)].contains(outcome.status) {
                return outcome.status == .exited(0) || !outcome.errors.contains("worker started")
            }
            return outcome.status == .killed(by: SIGKILL) && wasDoomed
        }
    }

    /// A program that finds a server away ends with 2 and a sentence; whoever runs it starts it again.
    private func noteRefusal(_ name: String, _ outcome: Outcome) async throws {
        guard outcome.status == .exited(2) else {
            return self.complain("\(name) did not come up: \(outcome.status), \(outcome.errors.suffix(600))")
        }
        self.state.withLock { $0.refusals += 1 }
        // What is away stays away for a while; starting processes without a pause would only keep it from coming back.
        try await Task.sleep(for: .milliseconds(50))
    }

    private func complain(_ sentence: String) { self.state.withLock { $0.complaints.append(sentence) } }

    // MARK: What is done to them

    static let producer = "producer"

    static func worker(_ number: Int) -> String { "worker \(number)" }

    /// The program of this name; nil when it is just being started.
    func member(_ name: String) -> Member? { self.state.withLock { $0.members[name] } }

    /// Names of the programs that run now.
    var names: [String] { self.state.withLock { $0.members.keys.sorted() } }

    /// Sends SIGKILL; false when the program has just ended or was not there.
    func kill(_ name: String) -> Bool {
        self.state.withLock { state in
            guard let member = state.members[name], member.running.isAlive,
                state.doomed.insert(member.running.pid).inserted
            else { return false }
            member.running.send(SIGKILL)
            return true
        }
    }

    /// Sends a signal to this very process, if it is still there.
    func send(_ signal: Int32, to member: Member) {
        self.state.withLock { state in
            guard state.members.values.contains(where: { $0.running.pid == member.running.pid }) else { return }
            member.running.send(signal)
        }
    }

    /// The name of the worker that calls itself `consumer` in Redis, by its log; the producer does not say its name there.
    func name(of consumer: String) -> String? {
        if consumer.hasPrefix("producer-") { return Self.producer }
        let members = self.state.withLock { $0.members }
        return members.first { self.consumer(of: $0.value) == consumer }?.key
    }

    /// What a worker calls itself in Redis; nil before it has said so.
    func consumer(of member: Member) -> String? {
        guard let log = FileManager.default.contents(atPath: member.log) else { return nil }
        return String(decoding: log, as: UTF8.self).firstMatch(of: /worker\.consumer=(\S+)/).map { String($0.1) }
    }

    /// Tells all to end.
    func stop(_ signal: Int32 = SIGTERM) {
        let members = self.state.withLock { state in
            state.isOver = true
            if signal == SIGKILL { state.doomed.formUnion(state.members.values.map(\.running.pid)) }
            return state.members.values
        }
        for member in members {
            member.running.send(signal)
            member.running.send(SIGCONT)
        }
    }
}
