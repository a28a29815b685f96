import Shared

/// How one target of a `producer cleanup` ended; one line for people, one object for programs.
struct CleanupResult: Sendable, Encodable {
    var target: String
    /// Of a target in a group of schemas.
    @OrNull var schema: String? = nil
    var outcome: Outcome
    /// Why, for all but `finished`.
    @OrNull var reason: String? = nil
    @OrNull var run: String? = nil
    var rows = 0
    var cascaded = 0
    /// Reclaimed, by a run of objects or of rows with files.
    @OrNull var bytes: Int? = nil
    var seconds = 0.0
    private var isOfObjects = false
    /// The run that waits for an operator.
    private var toResume: String?

    private enum CodingKeys: String, CodingKey {
        case target, schema, outcome, reason, run, rows, cascaded, bytes, seconds
    }

    /// The words are a contract.
    enum Outcome: String, Sendable, Encodable {
        case finished
        /// A knob is not set; no failure.
        case off
        case failed
        case cancelled
        /// Paused by an error, until an operator has mended it.
        case paused
        /// The time was over before the run was.
        case timedOut = "timed out"
        /// The time was over, or the command stopped, before its turn came.
        case notBegun = "not begun"
        /// The command was stopped while it waited for it.
        case stopped
    }

    var isFailure: Bool { self.outcome != .finished && self.outcome != .off }

    /// `Name: finished, 4 000 000 rows deleted, 12 cascaded, 3.2 s`.
    var line: String {
        let place = self.schema.map { " in \($0)" } ?? ""
        var parts = ["\(self.target)\(place): \(self.outcome.rawValue)" + (self.reason.map { ": \($0)" } ?? "")]
        if let run = self.run, self.outcome == .stopped {
            parts.append("run \(run)")
        } else if let run = self.run {
            parts +=
                self.isOfObjects
                ? ["\(Output.count(self.rows, "object")) deleted"]
                : ["\(Output.count(self.rows, "row")) deleted", "\(Output.number(self.cascaded)) cascaded"]
            if let bytes = self.bytes { parts.append("\(Output.bytes(bytes)) reclaimed") }
            parts.append("\((self.seconds * 10).rounded() / 10) s")
            if let toResume {
                parts.append("once that is mended: producer resume \(toResume)")
            } else if self.isFailure {
                parts.append("run \(run)")
            }
        }
        return parts.joined(separator: ", ")
    }

    init(_ target: String, in schema: String? = nil, _ outcome: Outcome, reason: String? = nil) {
        self.target = target
        self.schema = schema
        self.outcome = outcome
        self.reason = reason
    }

    /// What became of a run that was waited for.
    ///
    /// - `timeout`: how long the command may take, for the sentence when that was the reason.
    init(_ status: RunStatus, timeout: Duration?, seconds: Double) {
        let limit = timeout.map { "the timeout of \(DurationText.format($0)) was over" } ?? "its timeout was over"
        switch status.state {
        case .finished: self.init(status.target, .finished)
        case .failed where status.error == "timed out": self.init(status.target, .timedOut, reason: limit)
        case .failed: self.init(status.target, .failed, reason: status.error)
        case .cancelled: self.init(status.target, .cancelled, reason: status.error)
        case .paused where status.isPausedByError:
            self.init(status.target, .paused, reason: status.error)
            self.toResume = status.toResume ?? status.run
        case .planning, .running, .verifying, .paused:
            self.init(status.target, .timedOut, reason: "\(limit), and the run is still \(status.state.rawValue)")
        }
        self.run = status.run
        self.rows = status.rows.deleted
        self.cascaded = status.rows.cascaded
        self.bytes = status.rows.bytes
        self.isOfObjects = status.strategy == Strategy.prefix.rawValue
        self.seconds = seconds
    }
}

extension CleanupResult {
    /// Lines for people of a target in a group of schemas: one for each schema that failed, and one for the others together.
    static func lines(_ results: [CleanupResult], of target: String) -> [String] {
        let done = results.filter { !$0.isFailure }
        var lines = results.filter(\.isFailure).map(\.line)
        guard !done.isEmpty else { return lines }
        let rows = done.reduce(0) { $0 + $1.rows }
        let cascaded = done.reduce(0) { $0 + $1.cascaded }
        let seconds = done.map(\.seconds).max() ?? 0
        var parts = [
            "\(target): finished in \(Output.count(done.count, "schema"))",
            "\(Output.count(rows, "row")) deleted", "\(Output.number(cascaded)) cascaded",
        ]
        let bytes = done.compactMap(\.bytes).reduce(0, +)
        if bytes > 0 { parts.append("\(Output.bytes(bytes)) reclaimed") }
        lines.append((parts + ["\((seconds * 10).rounded() / 10) s"]).joined(separator: ", "))
        return lines
    }
}
