import ArgumentParser
import Shared

/// `producer doctor`: looks at everything that a run needs.
struct DoctorCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "doctor",
        abstract: "Checks configuration, privileges, versions, indexes and server settings. Writes nothing.",
        discussion: "Exits with 2 when there is a problem; warnings are no failure."
    )

    @Flag(help: "Print one JSON document.")
    var json = false

    func run() async throws {
        try await reportingErrors {
            let findings = await Self.findings()
            if self.json { try Output.json(findings) } else { Self.show(findings) }
            if findings.contains(where: { $0.level == .problem }) { throw ExitCode.unusable }
        }
    }

    private static func findings() async -> [Finding] {
        do {
            return await Doctor(try Services.producer()).findings()
        } catch {
            return [
                Finding(.problem, "configuration", "\(error)"),
                Finding(.problem, "servers", "they could not be checked without a configuration"),
            ]
        }
    }

    private static func show(_ findings: [Finding]) {
        var rows: [[String]] = []
        for finding in findings {
            rows.append([finding.level.rawValue, finding.check, finding.target ?? "", finding.message])
            if let fix = finding.fix { rows.append(["", "", "", "  \(fix)"]) }
        }
        Output.table(rows)
        let counts = Finding.Level.allCases.map { level in
            "\(findings.count { $0.level == level }) \(level.rawValue)"
        }
        print("\n" + counts.joined(separator: ", "))
    }
}
