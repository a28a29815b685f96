package import FoundationEssentials

/// A run's progress as `producer status --json` prints it; the names are the contract of DESIGN 3.1.
package struct RunStatus: Sendable, Equatable, Encodable {
    package var run: String
    package var target: String
    package var schema: String
    package var state: RunState
    package var strategy: String
    /// ISO 8601, UTC; nil for a rule without `max_age`.
    package var cutoff: String?
    package var rows: Rows
    package var batches: Batches
    package var rate: Rate
    /// Seconds until the end at the present rate; nil while that cannot be told.
    package var etaSeconds: Int?
    package var createdAt: String?
    package var startedAt: String?
    package var finishedAt: String?
    package var error: String?

    /// Whether it waits for an operator because of an error.
    package var isPausedByError: Bool { self.state == .paused && self.error != nil }
    /// The run that has to go on for this one to go on, where that is another; told only to whoever waits for this one.
    package var toResume: String?

    package struct Rows: Sendable, Equatable, Encodable {
        package var deleted: Int
        package var estimated: Int
        package var cascaded: Int
        /// Reclaimed by a run of objects, or of rows with files; nil for other rows.
        package var bytes: Int?
    }

    package struct Batches: Sendable, Equatable, Encodable {
        package var total: Int
        package var queued: Int
        package var leased: Int
        package var delayed: Int
        package var parked: Int
        package var done: Int
        package var dead: Int
        package var cancelled: Int
        package var split: Int
        package var redelivered: Int
    }

    package struct Rate: Sendable, Equatable, Encodable {
        package var rowsPerSecond: Int

        private enum CodingKeys: String, CodingKey { case rowsPerSecond = "rows_per_second" }
    }

    private enum CodingKeys: String, CodingKey {
        case run, target, schema, state, strategy, cutoff, rows, batches, rate, error
        case etaSeconds = "eta_seconds"
        case createdAt = "created_at"
        case startedAt = "started_at"
        case finishedAt = "finished_at"
    }

    /// Every name is always there; what is not known is null.
    package func encode(to encoder: any Encoder) throws {
        var container = encoder.container(keyedBy: CodingKeys.self)
        try container.encode(self.run, forKey: .run)
        try container.encode(self.target, forKey: .target)
        try container.encode(self.schema, forKey: .schema)
        try container.encode(self.state, forKey: .state)
        try container.encode(self.strategy, forKey: .strategy)
        try container.encode(self.cutoff, forKey: .cutoff)
        try container.encode(self.rows, forKey: .rows)
        try container.encode(self.batches, forKey: .batches)
        try container.encode(self.rate, forKey: .rate)
        try container.encode(self.etaSeconds, forKey: .etaSeconds)
        try container.encode(self.createdAt, forKey: .createdAt)
        try container.encode(self.startedAt, forKey: .startedAt)
        try container.encode(self.finishedAt, forKey: .finishedAt)
        try container.encode(self.error, forKey: .error)
    }
}

extension RunStatus {
    /// Reads a run's hash.
    ///
    /// - `now`: the moment that rates are reckoned at while the run is not over.
    /// - Throws: `QueueError` when the hash is none of ours.
    package init(fields: [String: String], now: Date = .now) throws(QueueError) {
        func text(_ name: String) -> String? { fields[name].flatMap { $0.isEmpty ? nil : $0 } }
        func number(_ name: String) -> Int { fields[name].flatMap { Int($0) } ?? 0 }
        guard let run = text("run"), let target = text("target"),
            let state = text("state").flatMap(RunState.init(rawValue:))
        else {
            throw .malformed(
                "run \(fields["run"] ?? "without a name")",
                accepted: "a state out of " + RunState.allCases.map(\.rawValue).joined(separator: ", ")
            )
        }
        self.run = run
        self.target = target
        self.schema = text("schema") ?? ""
        self.state = state
        self.strategy = text("strategy") ?? ""
        self.cutoff = text("cutoff").map(Moment.iso)
        self.rows = Rows(deleted: number("rows"), estimated: number("estimated"), cascaded: number("cascaded"))
        if self.strategy == Strategy.prefix.rawValue || number("bytes") > 0 { self.rows.bytes = number("bytes") }
        self.batches = Batches(
            total: number("total"),
            queued: number("queued"),
            leased: number("leased"),
            delayed: number("delayed"),
            parked: number("parked"),
            done: number("done"),
            dead: number("dead"),
            cancelled: number("cancelled"),
            split: number("split"),
            redelivered: number("redelivered")
        )
        let started = text("started_ms").flatMap(Double.init).map { Date(timeIntervalSince1970: $0 / 1_000) }
        self.createdAt = text("created_at").map(Moment.iso)
        self.startedAt = started.map { $0.formatted(Date.ISO8601FormatStyle(includingFractionalSeconds: true)) }
        self.finishedAt = text("finished_at").map(Moment.iso)
        self.error = text("error")
        let end = text("finished_at").flatMap(Moment.date) ?? now
        let seconds = started.map { max(end.timeIntervalSince($0), 0.001) } ?? 0
        let perSecond = seconds > 0 ? Double(number("rows")) / seconds : 0
        self.rate = Rate(rowsPerSecond: Int(perSecond))
        self.etaSeconds = state.isOver ? 0 : Self.eta(fields, self.rows, self.batches, seconds: seconds)
    }

    /// By batches once all are cut, since the estimate of rows may be off; by rows before that.
    private static func eta(_ fields: [String: String], _ rows: Rows, _ batches: Batches, seconds: Double) -> Int? {
        guard seconds > 0 else { return nil }
        if fields["step"] != "plan", batches.done > 0 {
            let open = batches.queued + batches.leased + batches.delayed + batches.parked
            return Int((seconds / Double(batches.done) * Double(open)).rounded(.up))
        }
        guard rows.deleted > 0 else { return nil }
        return Int((Double(max(0, rows.estimated - rows.deleted)) * seconds / Double(rows.deleted)).rounded(.up))
    }
}

/// Moments as the ledger writes them, `2026-11-21 00:00:00.123456` in UTC.
enum Moment {
    /// ISO 8601: `2026-11-21T00:00:00.123456Z`.
    static func iso(_ text: String) -> String { text.replacing(" ", with: "T") + "Z" }

    static func date(_ text: String) -> Date? {
        let parts = text.split(separator: ".")
        guard let whole = parts.first else { return nil }
        let style = Date.ISO8601FormatStyle().year().month().day().dateTimeSeparator(.space).time(
            includingFractionalSeconds: false
        )
        let date: Date
        do { date = try style.parse(String(whole)) } catch { return nil }
        let fraction = parts.dropFirst().first.flatMap { Double("0.\($0)") } ?? 0
        return date.addingTimeInterval(fraction)
    }
}
