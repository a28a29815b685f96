import FoundationEssentials
import PostgresClient

/// A run of the procedure as the ledger has it; the names of its JSON are a contract.
package struct ProcedureRecord: Sendable, Equatable {
    package var id: String
    package var state: ProcedureState
    /// Why it failed.
    package var error: String?
    /// ISO 8601, UTC, and so are all other moments.
    package var createdAt: String
    package var finishedAt: String?
    package var owner: String
    package var beatAt: String
    /// Whether its owner has given no sign of life for a lease, so that anybody may take it over.
    package var isLapsed: Bool
    /// For how long it has been lapsed.
    package var lapsedSeconds: Int
    package var takenOver: Int
    package var selection: StageSelection
    /// What a system that is told of it calls it; see ``Announcer``.
    package var announcement: String
    /// Whether all who have to know of its end have been told.
    package var isTold: Bool
    package var stages: [StageRecord] = []

    /// Rows deleted by all stages.
    package var rows: Int { self.stages.reduce(0) { $0 + $1.rows } }
    /// Sessions deleted by all stages.
    package var sessions: Int { self.stages.reduce(0) { $0 + $1.sessions } }
}

/// How a run of the procedure stands.
package enum ProcedureState: String, Sendable, Hashable, Codable {
    case inProgress = "in_progress"
    case finished
    case failed
}

/// A stage of a run of the procedure.
package struct StageRecord: Sendable, Equatable {
    package var position: Int
    package var name: String
    package var kind: String
    package var subject: String
    package var state: StageState
    /// Why, for all but `finished`.
    @OrNull package var reason: String?
    @OrNull package var startedAt: String?
    @OrNull package var finishedAt: String?
    package var rows: Int
    @OrNull package var detail: JSONValue?

    /// Whether it vacuums what the procedure has deleted rows from.
    package var vacuumsTouched: Bool {
        self.kind == StageWork.Kind.vacuum.rawValue && self.subject == VacuumScope.touched
    }

    /// Sessions that it has deleted, which are no rows.
    package var sessions: Int { self.kind == StageWork.Kind.sweep.rawValue ? self.detail?["deleted"]?.int ?? 0 : 0 }
}

/// How a stage stands.
package enum StageState: String, Sendable, Hashable, Codable {
    case pending
    case running
    case finished
    case failed
    /// It did not have to run, or could not: outside its window, say.
    case skipped
    /// It is switched off, or what it works on is.
    case off

    package var isOver: Bool { self != .pending && self != .running }
}

/// Which stages somebody has asked for.
package struct StageSelection: Sendable, Hashable {
    /// Empty for all.
    package var only: [String]
    package var skip: [String]

    package init(only: [String] = [], skip: [String] = []) {
        self.only = only.sorted()
        self.skip = skip.sorted()
    }

    /// Why a stage does not run; nil when it does.
    package func reason(against stage: String) -> String? {
        if self.skip.contains(stage) { return "left out by --skip" }
        return self.only.isEmpty || self.only.contains(stage) ? nil : "not named by --only"
    }

    /// Whether all that a run still has to do is part of this.
    package func covers(_ record: ProcedureRecord) -> Bool {
        record.stages.allSatisfy { $0.state.isOver || self.reason(against: $0.name) == nil }
    }

    package var words: String {
        let parts = [("--only", self.only), ("--skip", self.skip)].filter { !$0.1.isEmpty }
        return parts.isEmpty
            ? "all stages" : parts.map { "\($0.0) \($0.1.joined(separator: ","))" }.joined(separator: " ")
    }
}

extension ProcedureRecord: Encodable {
    private enum CodingKeys: String, CodingKey {
        case procedure, state, error, rows, sessions, owner, lapsed, only, skip, stages
        case createdAt = "created_at"
        case finishedAt = "finished_at"
        case beatAt = "beat_at"
        case takenOver = "taken_over"
    }

    /// Every name is always there; what is not known is null.
    package func encode(to encoder: any Encoder) throws {
        var container = encoder.container(keyedBy: CodingKeys.self)
        try container.encode(self.id, forKey: .procedure)
        try container.encode(self.state, forKey: .state)
        try container.encode(self.error, forKey: .error)
        try container.encode(self.rows, forKey: .rows)
        try container.encode(self.sessions, forKey: .sessions)
        try container.encode(self.createdAt, forKey: .createdAt)
        try container.encode(self.finishedAt, forKey: .finishedAt)
        try container.encode(self.owner, forKey: .owner)
        try container.encode(self.beatAt, forKey: .beatAt)
        try container.encode(self.isLapsed, forKey: .lapsed)
        try container.encode(self.takenOver, forKey: .takenOver)
        try container.encode(self.selection.only, forKey: .only)
        try container.encode(self.selection.skip, forKey: .skip)
        try container.encode(self.stages, forKey: .stages)
    }
}

extension StageRecord: Encodable {
    private enum CodingKeys: String, CodingKey {
        case name, kind, subject, state, reason, rows, detail
        case startedAt = "started_at"
        case finishedAt = "finished_at"
    }
}

extension ProcedureRecord {
    static let columns = """
        id, state, error, to_char(created_at AT TIME ZONE 'UTC', '\(RunRecord.format)'),
        to_char(finished_at AT TIME ZONE 'UTC', '\(RunRecord.format)'), owner,
        to_char(beat_at AT TIME ZONE 'UTC', '\(RunRecord.format)'),
        finished_at IS NULL AND lease_until < clock_timestamp(),
        greatest(0, extract(epoch FROM clock_timestamp() - lease_until))::bigint, taken_over,
        array_to_string(only_stages, ' '), array_to_string(skip_stages, ' '), announcement,
        told_at IS NOT NULL
        """

    init(_ row: PostgresRow) throws {
        func names(_ index: Int) -> [String] { (row[index] ?? "").split(separator: " ").map(String.init) }
        self.id = try row.text(0)
        guard let state = ProcedureState(rawValue: try row.text(1)) else {
            throw LedgerError("procedure run \(self.id) has the state \(row[1] ?? ""), which this Ebb does not know")
        }
        self.state = state
        self.error = row[2]
        self.createdAt = Moment.iso(try row.text(3))
        self.finishedAt = row[4].map(Moment.iso)
        self.owner = try row.text(5)
        self.beatAt = Moment.iso(try row.text(6))
        self.isLapsed = row.bool(7) ?? false
        self.lapsedSeconds = row.int(8) ?? 0
        self.takenOver = row.int(9) ?? 0
        self.selection = StageSelection(only: names(10), skip: names(11))
        self.announcement = try row.text(12)
        self.isTold = row.bool(13) ?? false
    }
}

extension StageRecord {
    static let columns = """
        position, name, kind, subject, state, reason, to_char(started_at AT TIME ZONE 'UTC', '\(RunRecord.format)'),
        to_char(finished_at AT TIME ZONE 'UTC', '\(RunRecord.format)'), rows, detail
        """

    init(_ row: PostgresRow) throws {
        self.position = row.int(0) ?? 0
        self.name = try row.text(1)
        self.kind = try row.text(2)
        self.subject = try row.text(3)
        guard let state = StageState(rawValue: try row.text(4)) else {
            throw LedgerError("stage \(self.name) has the state \(row[4] ?? ""), which this Ebb does not know")
        }
        self.state = state
        self.reason = row[5]
        self.startedAt = row[6].map(Moment.iso)
        self.finishedAt = row[7].map(Moment.iso)
        self.rows = row.int(8) ?? 0
        self.detail = try row[9].map(JSONValue.init(parsing:))
    }
}
