package import Logging

/// The metadata keys of Ebb's log lines.
package enum LogKey: String, Sendable {
    case run = "run.id"
    case batch = "batch.id"
    case batches = "batch.count"
    case target = "run.target"
    case state = "run.state"
    case rows = "run.rows"
    case step = "step.name"
    case pass = "verify.pass"
    case attempts = "batch.attempts"
    case sqlState = "error.sqlstate"
    case error = "error.message"
    case keys = "object.keys"
    case count = "object.count"
    case consumer = "worker.consumer"
    case slots = "worker.slots"
    case schedule = "schedule.name"
    case slot = "schedule.slot"
    case outcome = "schedule.outcome"
    case definition = "schedule.definition"
    case schedules = "schedule.count"
    case event = "event.topic"
    case hook = "hook.name"
    case hookOutcome = "hook.outcome"
    case swept = "sweep.outcome"
    case examined = "sweep.examined"
    case deleted = "sweep.deleted"
    case skipped = "sweep.skipped"
    case milliseconds = "sweep.milliseconds"
    case procedure = "procedure.id"
    case procedureState = "procedure.state"
    case procedureRows = "procedure.rows"
    case stage = "procedure.stage"
    case stageState = "stage.state"
    case stageRows = "stage.rows"
    case stageReason = "stage.reason"
    case index = "index.name"
}

extension Logger.Metadata {
    /// Metadata under Ebb's own keys.
    package init(_ values: [LogKey: Logger.MetadataValue]) {
        self = [:]
        for (key, value) in values { self[key.rawValue] = value }
    }
}

extension Logger {
    /// Logs a constant message with values under Ebb's own keys.
    package func log(_ level: Level, _ message: Message, _ values: [LogKey: MetadataValue]) {
        self.log(level: level, message, metadata: Metadata(values))
    }
}
