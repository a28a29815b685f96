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
                self.line("procedure run \(record.id) goes on: its process had vanished")
            }
        case .stageBegan(_, let stage): self.live("\(stage.name): running")
        case .progress(let stage, let rows, let estimated):
            self.live(
                "\(stage.name): running, \(Output.number(rows)) of about \(Output.number(estimated)) rows deleted"
            )
        case .stageEnded(_, let stage): self.line(Self.line(of: stage))
        case .ended(let record):
            let isShown = self.shown.withLock { $0 == record.id }
            self.line((isShown ? "" : "procedure run \(record.id) was over already: ") + Self.summary(of: record))
        }
    }

    static func line(of stage: StageRecord) -> String {
        var parts = ["\(stage.name): \(stage.state.rawValue)" + (stage.reason.map { ": \($0)" } ?? "")]
        if stage.kind == StageWork.Kind.target.rawValue, stage.startedAt != nil, stage.state != .off {
            parts.append("\(Output.number(stage.rows)) rows deleted")
        }
        return parts.joined(separator: ", ")
    }

    static func summary(of record: ProcedureRecord) -> String {
        let rows = "\(Output.number(record.rows)) rows deleted"
        switch record.state {
        case .finished: return "finished, \(rows)"
        case .failed: return "failed: \(record.error ?? ""), \(rows)"
        case .inProgress:
            let stage = record.stages.first { !$0.state.isOver }
            let who = record.owner.isEmpty ? "it has not begun" : "its process has vanished"
            let lapsed =
                record.isLapsed ? "; \(who): the next producer maintenance, or a producer serve, goes on with it" : ""
            return "in progress" + (stage.map { " at stage \($0.name)" } ?? "") + ", \(rows) so far\(lapsed)"
        }
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
