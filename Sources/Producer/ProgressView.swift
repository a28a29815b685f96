import Glibc
import Shared

extension RunStatus {
    /// Whether a command that waited for the run has failed: exit code 1.
    var isFailure: Bool { self.state == .failed || self.state == .cancelled || self.isPausedByError }
}

/// Shows a run's progress: a live bar on a terminal, a line per change of note elsewhere.
struct ProgressView {
    private let isTerminal: Bool
    private var lastPercent = -1
    private var lastState: RunState?

    init(isTerminal: Bool = Output.isTerminal) { self.isTerminal = isTerminal }

    private static let barWidth = 28

    /// Draws the run as it is now.
    mutating func show(_ status: RunStatus) {
        let percent = Self.percent(status)
        if self.isTerminal {
            print(
                "\r\u{1B}[K" + Self.line(status, percent),
                terminator: status.state.isOver || status.isPausedByError ? "\n" : ""
            )
            fflush(nil)
        } else if status.state != self.lastState || percent / 10 != self.lastPercent / 10 {
            print(Self.line(status, percent))
            // Lines of a pipe should arrive as they come.
            fflush(nil)
        }
        self.lastPercent = percent
        self.lastState = status.state
    }

    /// How much is done, 0 to 100; 100 only when the run is finished.
    static func percent(_ status: RunStatus) -> Int {
        if status.state == .finished { return 100 }
        let byRows = status.rows.estimated > 0 ? Double(status.rows.deleted) / Double(status.rows.estimated) : 0
        let byBatches =
            status.batches.total > 0
            ? Double(status.batches.done) / Double(status.batches.total) : 0
        return min(99, Int(100 * (status.state == .planning ? byRows : byBatches)))
    }

    static func line(_ status: RunStatus, _ percent: Int) -> String {
        let full = percent * Self.barWidth / 100
        let bar = String(repeating: "█", count: full) + String(repeating: "░", count: Self.barWidth - full)
        let batches = status.batches
        var parts = [
            "\(status.target) \(bar) \(percent)%",
            Output.count(status.rows.deleted, "row"),
            "\(Output.number(status.rate.rowsPerSecond)) rows/s",
            "batches \(batches.done)/\(batches.total)",
        ]
        let waiting = [
            (batches.leased, "leased"), (batches.delayed, "delayed"), (batches.parked, "parked"),
            (batches.dead, "dead"),
        ].filter { $0.0 > 0 }.map { "\($0.0) \($0.1)" }
        if !waiting.isEmpty { parts.append(waiting.joined(separator: ", ")) }
        if let eta = status.etaSeconds, !status.state.isOver { parts.append("ETA \(eta)s") }
        parts.append(status.state.rawValue)
        return parts.joined(separator: "  ")
    }

    /// A run with everything that `status` knows, for people.
    static func details(_ status: RunStatus) {
        let batches = status.batches
        var rows = [
            ["run", status.run],
            ["target", "\(status.target) in schema \(status.schema)"],
            ["state", status.state.rawValue],
            ["strategy", status.strategy],
            ["cutoff", status.cutoff ?? "none"],
            status.rows.bytes.map { bytes in
                [
                    "objects",
                    "\(Output.number(status.rows.deleted)) deleted of about \(Output.number(status.rows.estimated)), "
                        + "\(Output.bytes(bytes)) reclaimed",
                ]
            } ?? [
                "rows",
                "\(Output.number(status.rows.deleted)) deleted of about \(Output.number(status.rows.estimated)), "
                    + "\(Output.number(status.rows.cascaded)) more by cascade",
            ],
            [
                "batches",
                "\(batches.total) total: \(batches.queued) queued, \(batches.leased) leased, \(batches.delayed) delayed, "
                    + "\(batches.parked) parked, \(batches.done) done, \(batches.dead) dead, \(batches.cancelled) cancelled",
            ],
            ["rate", "\(Output.number(status.rate.rowsPerSecond)) rows/s"],
            ["created", status.createdAt ?? ""],
            ["started", status.startedAt ?? "not yet"],
            ["finished", status.finishedAt ?? "not yet"],
        ]
        if let eta = status.etaSeconds, !status.state.isOver { rows.append(["ETA", "\(eta)s"]) }
        if let error = status.error { rows.append(["error", error]) }
        Output.table(rows)
    }
}
