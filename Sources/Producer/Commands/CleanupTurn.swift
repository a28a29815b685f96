import Shared

/// What a `producer cleanup` knows of one of its targets: before its turn, in the middle of it, and after.
struct CleanupTurn: Sendable {
    let wanted: RunOptions.Wanted
    /// One, or one for each schema of a group.
    var results: [CleanupResult] = []
    /// Runs that are still to be waited for.
    var runs: [RunRecord] = []
    var hasBegun = false
    var isOver = false

    init(_ wanted: RunOptions.Wanted, hasBegun: Bool = false) {
        self.wanted = wanted
        self.hasBegun = hasBegun
    }

    /// With the last result.
    mutating func end(_ result: CleanupResult) {
        self.results.append(result)
        self.isOver = true
    }

    /// Takes in what became of a run.
    mutating func add(_ result: CleanupResult, of record: RunRecord) {
        var result = result
        if self.wanted.entry.group != nil { result.schema = record.schema }
        self.results.append(result)
        self.runs.removeAll { $0.run == record.run }
    }

    /// The command was stopped: in the middle of this target, or before its turn.
    mutating func stop(_ stop: CommandStopped) {
        let name = self.wanted.entry.name
        guard case .on = self.wanted.knobs else {
            return self.end(CleanupResult(name, .off, reason: self.wanted.knobs.reason))
        }
        guard self.hasBegun else { return self.end(CleanupResult(name, .notBegun, reason: "\(stop)")) }
        let stopped = CleanupResult(name, .stopped, reason: stop.reason)
        if self.runs.isEmpty && self.results.isEmpty { return self.end(stopped) }
        for record in self.runs {
            var result = stopped
            result.run = record.run
            self.add(result, of: record)
        }
        self.isOver = true
    }
}
