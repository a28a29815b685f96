/// What Redis has to hold and every unit of the queue has to answer, by the contracts on top of the scripts.
///
/// It has no clock: what is due, stale or over its time is so because a test made it so. Each unit is one function of the
/// state; it is given what only the server can know, such as the ids of entries.
struct QueueModel {
    let prefix: String
    var runs: [String: Run] = [:]
    var streams = [StreamState](repeating: StreamState(), count: 3)
    /// By `run batch`, as the letters.
    var delayed: [String: Delayed] = [:]
    var letters: [String: Letter] = [:]
    var parked: [String: [Waiting]] = [:]
    var starts: [String: [String: Int]] = [:]
    /// Workers, and whether their last sign of life is recent.
    var workers: [String: Bool] = [:]
    var blind: [String: Set<String>] = [:]
    var active: [String: Int] = [:]
    var known: [String: Int] = [:]
    /// What consumers were given, however long ago they lost it; the newest are last.
    var leases: [HeldLease] = []
    var steps: [HeldStep] = []
    /// Batches that were settled as done, and those of them that were so twice.
    var settled: Set<String> = []
    var settledTwice: [String] = []
    /// What has happened that no reply tells, and how often.
    var notes: [String: Int] = [:]
    /// How many first failures and lives of runs there have been; numbers them.
    var firsts = 0
    var lives = 0

    init(prefix: String) { self.prefix = prefix }

    struct Batch: Equatable {
        var run: String
        var name: String
        var attempts = 0
        var units = 0
        /// Which first failure; 0 before it.
        var first = 0
        var range = ""
        /// Of its run, when it was put into the queue: a run that was over and is revived has another.
        var life: Int

        var member: String { "\(self.run) \(self.name)" }
        /// Whether a split has made it: `1.7.0`; what planning has cut is `1.7`.
        var isChild: Bool { self.name.utf8.count { $0 == UInt8(ascii: ".") } > 1 }
    }

    enum Content: Equatable {
        case batch(Batch)
        /// What is no batch: its fields and values.
        case garbage([String])
    }

    struct Pending {
        var id: EntryID
        var batch: Batch
        var consumer: String
        var count: Int
        /// Whether its lease has run out.
        var isOld = false
    }

    struct StreamState {
        /// What no consumer was given yet, oldest first.
        var waiting: [Content] = []
        /// What is leased, by id.
        var pending: [Pending] = []
        /// Consumers that were given something, and those that only asked, which not every server remembers.
        var consumers: Set<String> = []
        var asked: Set<String> = []
    }

    struct Waiting: Equatable {
        var stream: Int
        var batch: Batch
    }

    struct Delayed {
        var waiting: Waiting
        /// Milliseconds from when it was given back.
        var pause: Int
        /// Once a test has made it due.
        var isDue = false
    }

    struct Letter {
        var waiting: Waiting
        var sqlState: String
        var error: String
        var score: Int
    }

    mutating func note(_ what: String) { self.notes[what, default: 0] += 1 }

    static let names = ["high", "default", "low"]
    func stream(_ index: Int) -> String { "\(self.prefix)stream:\(Self.names[index])" }
}

/// A run as its hash holds it.
struct Run {
    /// Fields that are no counters.
    var fields: [String: String]
    var counts: [Counter: Int]
    /// Whether the lease of its step, or the wait for it, lasts.
    var isTaken = false
    var hasStarted = false
    var life: Int

    enum Counter: String, CaseIterable {
        case total, queued, leased, delayed, parked, done, dead, cancelled, split, redelivered, rows, cascaded, bytes,
            units
        case microseconds, pass
        case token = "step_token"
        case doneChildren = "done_children"
        case failedFirst = "failed_first"
        case rowSplits = "row_splits"
    }

    var state: String { self.fields["state"] ?? "" }
    var isOver: Bool {
        switch self.state {
        case "finished", "failed", "cancelled": true
        default: false
        }
    }
    var isEnding: Bool { self.fields["ending"] != nil }
    var open: Int { self[.queued] + self[.leased] + self[.delayed] + self[.parked] }

    subscript(_ counter: Counter) -> Int {
        get { self.counts[counter] ?? 0 }
        set { self.counts[counter] = newValue }
    }

    mutating func set(_ pairs: [String]) {
        for position in stride(from: 0, to: pairs.count - 1, by: 2) {
            if let counter = Counter(rawValue: pairs[position]) {
                self[counter] = Int(pairs[position + 1]) ?? 0
            } else {
                self.fields[pairs[position]] = pairs[position + 1]
            }
        }
    }
}

/// The id of an entry of a stream.
struct EntryID: Comparable {
    let text: String
    let milliseconds: Int
    let sequence: Int

    init(_ text: String) {
        let parts = text.split(separator: "-")
        self.text = text
        self.milliseconds = parts.first.flatMap { Int($0) } ?? 0
        self.sequence = parts.last.flatMap { Int($0) } ?? 0
    }

    // Not by the text, which takes longer.
    static func == (left: EntryID, right: EntryID) -> Bool {
        left.sequence == right.sequence && left.milliseconds == right.milliseconds
    }

    static func < (left: EntryID, right: EntryID) -> Bool {
        (left.milliseconds, left.sequence) < (right.milliseconds, right.sequence)
    }
}

/// The model and the server do not agree.
struct Disagreement: Error, CustomStringConvertible {
    var description: String

    init(_ description: String) { self.description = description }
}
