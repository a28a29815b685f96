import Logging
import Shared

/// Tells the event log, and the system that is told of procedures, how a run of one comes along.
actor ProcedureTeller: ProcedureObserver {
    private let events: EventLog
    private let announcer: Announcer?
    private let logger: Logger
    /// When progress was last told.
    private var told = ContinuousClock.now
    private var record: ProcedureRecord?
    /// The run whose end the event log has.
    private var ended: String?

    /// The topic of announcements.
    private static let topic = "maintenance"
    /// How often progress within a stage is told.
    private static let pause = Duration.seconds(2)

    /// - Throws: `ConfigurationError` for an announcement that cannot be made.
    init(_ services: Services, _ queue: Queue) throws {
        self.events = queue.events
        self.announcer = try services.announcer(Self.topic, queue)
        self.logger = services.logger
    }

    func note(_ news: ProcedureNews) async {
        switch news {
        case .began(let record, let isNew):
            self.record = record
            await self.tell(record, isNew ? "begins" : "goes on, its process is gone")
        case .stageBegan(let record, let stage):
            self.record = record
            await self.tell(stage, of: record)
            await self.tell(record, stage.name)
        case .progress(let stage, let rows, let estimated):
            guard let record, self.told.duration(to: .now) >= Self.pause else { return }
            let share = estimated > 0 ? min(0.99, Double(rows) / Double(estimated)) : 0
            await self.tell(record, "\(stage.name), \(Output.count(rows, "row")) deleted so far", share: share)
        case .waits(let stage):
            if let record { await self.tell(record, MaintenanceView.waitingLine(of: stage)) }
        case .stageEnded(let record, let stage):
            self.record = record
            await self.tell(stage, of: record)
        case .ended(let record): _ = await self.end(record)
        }
    }

    func end(_ record: ProcedureRecord) async -> Bool {
        if record.isTold { return true }
        return await self.tell(record, MaintenanceView.summary(of: record))
    }

    /// - `share`: how much of the stage at work is done, 0 to 1.
    /// - Returns: false when somebody could not be reached.
    @discardableResult
    private func tell(_ record: ProcedureRecord, _ description: String, share: Double = 0) async -> Bool {
        self.told = .now
        let over = Double(record.stages.count { $0.state.isOver })
        let progress = record.state == .inProgress ? 100 * (over + share) / Double(max(1, record.stages.count)) : 100
        let counts = [
            "rows": record.rows, "sessions": record.sessions, "stages": record.stages.count, "over": Int(over),
            "failed": record.stages.count { $0.state == .failed },
        ]
        // An end is told to each once, however often the other could not be reached.
        var isLogged = self.ended == record.id
        if !isLogged {
            isLogged = await self.events.tell(
                EbbEvent(
                    .maintenance,
                    subject: record.id,
                    status: record.state.rawValue,
                    description: description,
                    progress: progress,
                    counts: counts,
                    error: record.error
                ),
                self.logger
            )
            if isLogged, record.state != .inProgress { self.ended = record.id }
        }
        guard let announcer else { return isLogged }
        let status: Announcer.Status =
            switch record.state {
            case .inProgress: .inProgress
            case .finished: .finished
            case .failed: .failed
            }
        let telling = await announcer.update(
            record.announcement,
            status: status,
            description: description,
            progress: progress,
            summary: self.summary(of: record)
        )
        return isLogged && telling != .unreached
    }

    private func tell(_ stage: StageRecord, of record: ProcedureRecord) async {
        await self.events.tell(
            EbbEvent(
                .stage,
                subject: record.id,
                target: stage.name,
                status: stage.state.rawValue,
                description: MaintenanceView.line(of: stage),
                progress: stage.state.isOver ? 100 : 0,
                counts: ["rows": stage.rows, "sessions": stage.sessions],
                error: stage.state == .failed ? stage.reason : nil
            ),
            self.logger
        )
    }

    private struct Summary: Encodable {
        var procedure: String
        var rows: Int
        var error: String?
        var stages: [String: Stage]

        struct Stage: Encodable {
            var state: StageState
            var rows: Int
            var reason: String?
        }
    }

    private func summary(of record: ProcedureRecord) -> String {
        let stages = record.stages.map { ($0.name, Summary.Stage(state: $0.state, rows: $0.rows, reason: $0.reason)) }
        let summary = Summary(
            procedure: record.id,
            rows: record.rows,
            error: record.error,
            stages: Dictionary(stages) { first, _ in first }
        )
        do { return try JSONValue(summary).text() } catch {
            self.logger.log(.warning, "no summary", [.error: "\(error)"])
            return "{}"
        }
    }
}
