import Foundation
import TestSupport
import Testing

@testable import Shared

@Suite struct CommandHookTests {
    /// Runs a shell script as the hook, on its own words: `$0` and on are what is given after it.
    private static func run(
        _ script: String,
        _ options: String = "",
        variables: [String: String] = [:],
        context: [String: String] = [:]
    ) async throws -> HookResult {
        let yaml = """
              Hook:
                command:
                  argv:
                    - /bin/sh
                    - -c
                    - |
                      \(script.replacing("\n", with: "\n              "))
                    - first
                    - "{run}"
            \(options)
            """
        return try await HookBed.with(yaml, variables: variables) { try await $0.run("Hook", context) }
    }

    @Test func `a program that succeeds is done, with its output`() async throws {
        let result = try await Self.run("echo out; echo err >&2")
        #expect(result.outcome == .done && result.code == 0 && result.attempts == 1 && result.reason == nil)
        #expect(Set(result.output.split(separator: "\n")) == ["out", "err"] && result.bytes == 8)
    }

    @Test func `any other exit code is a failure, and so is a signal`() async throws {
        let exit = try await Self.run("echo no; exit 3")
        #expect(exit.outcome == .failed && exit.code == 3 && exit.reason == "it exited with 3" && exit.output == "no\n")
        let signal = try await Self.run("kill -9 $$")
        #expect(signal.outcome == .failed && signal.code == nil && signal.reason == "signal 9 ended it")
    }

    @Test func `a program that is not there is a failure`() async throws {
        for program in ["/no/such/program", "ebb-no-such-program"] {
            try await HookBed.with("  Hook: {command: {argv: [\(program)]}}") { hooks in
                let result = try await hooks.run()
                #expect(result.outcome == .failed && result.code == nil)
                #expect(result.reason?.hasPrefix("\(program) could not be run: ") == true)
            }
        }
    }

    @Test func `its environment is what it is given, and PATH`() async throws {
        setenv("EBB_TEST_LEAK", "leaked", 1)
        let options = "      environment: {A: '${GIVEN}', RUN: 'x{run}'}"
        let result = try await Self.run(
            "env",
            options,
            variables: ["GIVEN": "b c", "PATH": "/bin:/usr/bin"],
            context: ["run": "r1"]
        )
        let names = Set(result.output.split(separator: "\n").compactMap { $0.split(separator: "=").first })
        // The shell sets some itself.
        #expect(names.subtracting(["PWD", "SHLVL", "_", "OLDPWD"]) == ["A", "PATH", "RUN"])
        #expect(result.output.contains("RUN=xr1\n") && result.output.contains("PATH=/bin:/usr/bin\n"))
        // What comes from a variable may be a secret, and short ones are not worth hiding.
        #expect(result.output.contains("A=b c\n") || result.output.contains("A=(hidden)\n"))
    }

    @Test func `there is no shell between`() async throws {
        let marker = FileManager.default.temporaryDirectory.appending(path: UUID().uuidString).path()
        let yaml = """
              Hook:
                command: {argv: [printf, '%s|', '$HOME', '*', '; touch \(marker)', '$(id)', '{run}', "it's \\"quoted\\""]}
            """
        try await HookBed.with(yaml, variables: ["PATH": "/bin:/usr/bin"]) { hooks in
            let result = try await hooks.run("Hook", ["run": "`touch \(marker)`"])
            #expect(result.output == "$HOME|*|; touch \(marker)|$(id)|`touch \(marker)`|it's \"quoted\"|")
            #expect(!FileManager.default.fileExists(atPath: marker))
        }
    }

    @Test func `it runs in the folder that it is given`() async throws {
        let result = try await Self.run("pwd", "      cwd: /usr")
        #expect(result.output == "/usr\n")
        let missing = try await Self.run("pwd", "      cwd: /no/such/folder")
        #expect(missing.outcome == .failed)
    }

    @Test func `more output than is kept is read all the same`() async throws {
        let result = try await Self.run("head -c 1000000 /dev/zero | tr '\\0' x; echo; exit 4", "      output: 2KiB")
        #expect(result.code == 4 && result.bytes == 1_000_001 && result.output.count < 1_100)
    }

    @Test(arguments: ["", "trap '' TERM;"])
    func `when its time is over, all that it has started ends`(_ trap: String) async throws {
        // Each writes its id; the grandchildren ignore the signal or not, and hold the output open.
        let script =
            "\(trap) echo $$; (\(trap) exec sleep 600) & echo $!; (\(trap) sleep 600; true) & echo $!; wait; sleep 600"
        var processes: [pid_t] = []
        // On a busy machine the time may be over before all three are there.
        for time in ["500ms", "5s", "60s"] where processes.count < 3 {
            let result = try await Self.run(script, "      timeout: \(time)")
            #expect(result.outcome == .failed && result.code == nil)
            #expect(result.reason == "it took longer than \(time) and was killed")
            processes = result.output.split(separator: "\n").compactMap { pid_t($0) }
        }
        #expect(processes.count == 3)
        for process in processes {
            // Whoever adopted it may not have reaped it yet.
            try await eventually("process \(process) ends") { !Self.isRunning(process) }
        }
    }

    @Test func `what it leaves behind on purpose lives, and is not waited for`() async throws {
        let result = try await Self.run("echo begun; sleep 600 & echo $!", "      timeout: 5m")
        #expect(result.outcome == .done && result.output.hasPrefix("begun\n"))
        let process = try #require(result.output.split(separator: "\n").last.flatMap { pid_t($0) })
        #expect(Self.isRunning(process))
        kill(process, SIGKILL)
    }

    @Test func `a hook that is stopped takes its program with it`() async throws {
        let file = FileManager.default.temporaryDirectory.appending(path: UUID().uuidString).path()
        let yaml = "  Hook: {command: {argv: [/bin/sh, -c, 'echo $$ > \(file); exec sleep 600']}}"
        try await HookBed.with(yaml) { hooks in
            let task = Task { try await hooks.run() }
            var process: pid_t?
            try await eventually("it has begun") {
                process = (FileManager.default.contents(atPath: file)).flatMap { String(data: $0, encoding: .utf8) }
                    .flatMap { pid_t($0.trimmingCharacters(in: .whitespacesAndNewlines)) }
                return process != nil
            }
            task.cancel()
            let result = try await task.value
            #expect(result.outcome == .failed && result.reason == "it was stopped")
            let id = try #require(process)
            try await eventually("it ends") { !Self.isRunning(id) }
        }
    }

    /// Whether a process is there, and no zombie.
    private static func isRunning(_ process: pid_t) -> Bool {
        guard let data = FileManager.default.contents(atPath: "/proc/\(process)/stat") else { return false }
        return !String(decoding: data, as: UTF8.self).contains(") Z")
    }
}
