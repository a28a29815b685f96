import PostgresClient

/// A run as the ledger has it: who may delete what, fixed at its creation.
package struct RunRecord: Sendable, Hashable {
    package var run: String
    package var target: String
    package var schema: String
    package var table: String
    /// `Target.definitionHash` at creation.
    package var definitionHash: String
    package var priority: Priority
    package var knobs: KnobValues
    /// Fixed batch size in rows; nil when batches are sized by time.
    package var batchRows: Int?
    package var strategy: Strategy
    package var estimated: Int
    /// `2026-11-21 00:00:00.123456`, UTC.
    package var createdAt: String
    /// Like `createdAt`; nil without `max_age`.
    package var cutoff: String?
    /// nil while the run is not over.
    package var finishedAt: String?
    /// How it ended; nil while it is not over.
    package var state: RunState?
    /// Why it ended so.
    package var error: String?
    /// Whether the session that read this is on the server that the run was created on; see `Ledger.serverIdentity`.
    package var isOnItsServer: Bool
    /// Milliseconds from the reading to the run's deadline, by the database's clock; nil without one.
    package var millisecondsLeft: Int?
    /// Runs that have to be over before this one is planned.
    package var after: [String]
    /// How many digits of their keys cut a run's objects into batches; nil for a run of rows.
    package var prefixDigits: Int?

    /// For people: its target and where that is.
    package var title: String { self.strategy == .prefix ? self.target : "\(self.target) in \(self.schema)" }

    /// Whether its deadline had passed when it was read, while it was not over.
    package var isTimedOut: Bool { self.finishedAt == nil && self.millisecondsLeft ?? 1 <= 0 }

    /// The values that its statements bind.
    package var terms: RunTerms {
        RunTerms(run: self.run, createdAt: self.createdAt, cutoff: self.cutoff, keep: self.knobs.keep)
    }

    static let columns = """
        run, target, schema_name, table_name, definition_hash, priority, max_age, keep, batch_rows, strategy, estimated,
        to_char(created_at AT TIME ZONE 'UTC', '\(Self.format)'), to_char(cutoff AT TIME ZONE 'UTC', '\(Self.format)'),
        to_char(finished_at AT TIME ZONE 'UTC', '\(Self.format)'), state, error,
        coalesce(server = \(Ledger.serverIdentity), true),
        (extract(epoch FROM deadline - clock_timestamp()) * 1000)::bigint, array_to_string(after_runs, ' '),
        prefix_digits
        """

    /// Microseconds, so that a moment comes back as it was stored.
    static let format = "YYYY-MM-DD HH24:MI:SS.US"

    init(_ row: PostgresRow) throws {
        self.run = try row.text(0)
        self.target = try row.text(1)
        self.schema = try row.text(2)
        self.table = try row.text(3)
        self.definitionHash = try row.text(4)
        guard let priority = Priority(rawValue: try row.text(5)), let strategy = Strategy(rawValue: try row.text(9))
        else {
            throw LedgerError(
                "run \(self.run) in the ledger has priority \(row[5] ?? "") and strategy \(row[9] ?? ""), which this "
                    + "version of Ebb does not know"
            )
        }
        self.priority = priority
        self.knobs = KnobValues(maxAge: row.int(6).map { .microseconds($0) }, keep: row.int(7))
        self.batchRows = row.int(8)
        self.strategy = strategy
        self.estimated = row.int(10) ?? 0
        self.createdAt = try row.text(11)
        self.cutoff = row[12]
        self.finishedAt = row[13]
        self.state = row[14].flatMap(RunState.init(rawValue:))
        self.error = row[15]
        self.isOnItsServer = row.bool(16) ?? true
        self.millisecondsLeft = row.int(17)
        self.after = (row[18] ?? "").split(separator: " ").map(String.init)
        self.prefixDigits = row.int(19)
    }
}

/// Which stream a run's batches travel in.
package enum Priority: String, Sendable, Hashable, CaseIterable, Codable {
    case high
    case `default`
    case low
}

/// The states of a run; see the diagram in `docs/architecture.md`.
package enum RunState: String, Sendable, Hashable, CaseIterable, Codable {
    /// Batches are still being cut. Can become running, paused, cancelled, failed.
    case planning
    /// All batches are cut, some are not over. Can become verifying, paused, cancelled, failed.
    case running
    /// No batch is open; what is left is looked for. Can become running, finished, paused, cancelled, failed.
    case verifying
    /// Over: verified, and without dead letters.
    case finished
    /// Over: with dead letters, or by an error.
    case failed
    /// Over: by an operator.
    case cancelled
    /// Waiting for an operator.
    case paused

    package var isOver: Bool { [.finished, .failed, .cancelled].contains(self) }
}

/// What is wrong with the ledger, in one sentence.
package struct LedgerError: Error, Sendable, CustomStringConvertible, Equatable {
    package var description: String

    package init(_ description: String) { self.description = description }
}
