import Glibc
import Shared
import Synchronization

/// Shows a run of the procedure: a line for each stage, and on a terminal how the one at work comes along.
final class MaintenanceView: ProcedureObserver {
    private let isTerminal = Output.isTerminal
    /// Whether a line is open that the next one takes the place of.
    private let isOpen = Mutex(false)
    /// The run that is shown.
    private let shown = Mutex<String?>(nil)

    func note(_ news: ProcedureNews) async {
        switch news {
        case .began(let record, let isNew):
            self.shown.withLock { $0 = record.id }
            if isNew {
                self.line("procedure run \(record.id): \(record.selection.words)")
            } else {
                self.line("procedure run \(record.id) goes on\(Self.place(of: record)): its process is gone")
            }
        case .stageBegan(_, let stage): self.live("\(stage.name): running")
        case .progress(let stage, let rows, let estimated):
            self.live(
                "\(stage.name): running, \(Output.number(rows)) of about \(Output.count(estimated, "row")) deleted"
            )
        case .waits(let stage): self.line(Self.waitingLine(of: stage))
        case .stageEnded(_, let stage): self.line(Self.line(of: stage))
        case .ended(let record):
            let isShown = self.shown.withLock { $0 == record.id }
            self.line((isShown ? "" : "procedure run \(record.id) was over already: ") + Self.summary(of: record))
        }
    }

    static func line(of stage: StageRecord) -> String {
        var parts = ["\(stage.name): \(stage.state.rawValue)" + (stage.reason.map { ": \($0)" } ?? "")]
        parts += Self.figures(of: stage)
        return parts.joined(separator: ", ")
    }

    /// What a stage waits for that waits too long.
    static func waitingLine(of stage: StageRecord) -> String {
        "\(stage.name): waiting, since no worker is alive; start worker"
    }

    /// What a stage has done, as far as it is known; empty for one that has not run.
    static func figures(of stage: StageRecord) -> [String] {
        let kind = StageWork.Kind(rawValue: stage.kind)
        guard [.finished, .failed].contains(stage.state), stage.startedAt != nil,
            kind == .target || stage.detail != nil
        else { return [] }
        func number(_ key: String) -> Int { stage.detail?[key]?.int ?? stage.detail?[key]?.count ?? 0 }
        func others(_ keys: [(key: String, words: String)]) -> [String] {
            keys.filter { number($0.key) > 0 }.map { "\(Output.number(number($0.key))) \($0.words)" }
        }
        switch kind {
        case .target: return ["\(Output.count(stage.rows, "row")) deleted"]
        case .sweep: return ["\(Output.count(stage.sessions, "session")) deleted"]
        case .index:
            let rest = others([("present", "there already"), ("skipped", "skipped"), ("failed", "failed")])
            return ["\(number("created") == 1 ? "1 index" : "\(Output.number(number("created"))) indexes") created"]
                + rest
        case .vacuum:
            let rest = others([("skipped", "skipped"), ("failed", "failed")])
            return ["\(Output.count(number("vacuumed"), "table")) vacuumed"] + rest
        case .hook, nil: return []
        }
    }

    static func summary(of record: ProcedureRecord) -> String {
        let sessions = record.sessions > 0 ? " and \(Output.count(record.sessions, "session"))" : ""
        let rows = "\(Output.count(record.rows, "row"))\(sessions) deleted"
        switch record.state {
        case .finished: return "finished, \(rows)"
        case .failed: return "failed: \(record.error ?? ""), \(rows)"
        case .inProgress:
            let who = record.owner.isEmpty ? "it has not begun" : "its process is gone"
            let lapsed =
                record.isLapsed ? "; \(who): the next producer maintenance, or a producer serve, goes on with it" : ""
            return "in progress\(Self.place(of: record)), \(rows) so far\(lapsed)"
        }
    }

    private static func place(of record: ProcedureRecord) -> String {
        record.stages.first { !$0.state.isOver }.map { " at stage \($0.name)" } ?? ""
    }

    private func live(_ text: String) {
        guard self.isTerminal else { return }
        self.isOpen.withLock { isOpen in
            print("\r\u{1B}[K" + text, terminator: "")
            fflush(nil)
            isOpen = true
        }
    }

    private func line(_ text: String) {
        self.isOpen.withLock { isOpen in
            print((isOpen ? "\r\u{1B}[K" : "") + text)
            // Whoever reads a pipe should know at once.
            fflush(nil)
            isOpen = false
        }
    }
}
