import Foundation
import Logging
import PostgresClient
import Shared

/// Executes a run of the procedure that this process owns, stage by stage.
///
/// All stages may be repeated: one that its owner did not live to end is begun again by whoever takes the run over.
struct ProcedureExecutor: Sendable {
    let services: Services
    let queue: Queue
    var procedure: Procedure
    let pool: ConnectionPool
    var observers: [any ProcedureObserver] = []

    /// The token that its writes are fenced by.
    let owner = "procedure-\(String(UInt64.random(in: .min ... .max), radix: 36))"

    /// How long somebody may have locked a target's table before its run counts as failed.
    var lockPatience = Duration.seconds(60)

    /// How long to leave a server alone that cannot be reached.
    private static let pause = Duration.milliseconds(500)

    var lease: Duration { self.services.configuration.leases.duration }

    /// Executes the stages that are not over, and keeps the run meanwhile; takes it back after an outage, unless somebody else
    /// was faster.
    ///
    /// Of one that is over already, and of whose end not everybody was told, only that is left to do.
    ///
    /// - Returns: the run, which is over.
    /// - Throws: `LeaseLost` when another process goes on with it; `CancellationError`.
    func execute(_ record: ProcedureRecord, isNew: Bool) async throws -> ProcedureRecord {
        var (record, isNew) = (record, isNew)
        while record.state == .inProgress {
            do {
                await self.tell(.began(record, isNew: isNew))
                let (current, begins) = (record, isNew)
                try await withHeartbeat(lease: self.lease) {
                    try await self.pool.withConnection(checked: true) {
                        try await self.services.ledger.beatProcedure(
                            current.id,
                            owner: self.owner,
                            lease: self.lease,
                            $0
                        )
                    }
                } _: {
                    try await self.stages(of: current, begins: begins)
                }
                return try await self.ended(current.id)
            } catch is LeaseLost {
                let id = record.id
                let taken = try await self.patiently { try await self.retake(id, $0) }
                guard let taken else { throw LeaseLost() }
                (record, isNew) = (taken, false)
            }
        }
        return try await self.conclude(record)
    }

    /// Ends a run that this process has been told to stop.
    func stop(_ record: ProcedureRecord, reason: String) async throws -> ProcedureRecord {
        _ = try await self.patiently {
            try await self.services.ledger.finishProcedure(record.id, owner: self.owner, error: reason, $0)
        }
        return try await self.ended(record.id)
    }

    private func ended(_ id: String) async throws -> ProcedureRecord {
        let record = try await self.patiently { try await self.services.ledger.procedure(id, $0) }
        guard let record else { throw CommandError("procedure run \(id) is not in the ledger any more") }
        return try await self.conclude(record)
    }

    /// Tells everybody of an end; those who could not be reached are told by whoever takes the run over when its lease is lapsed.
    private func conclude(_ record: ProcedureRecord) async throws -> ProcedureRecord {
        var isTold = true
        for observer in self.observers { isTold = await observer.end(record) && isTold }
        if isTold, !record.isTold {
            try await self.patiently {
                try await self.services.ledger.toldProcedure(record.id, owner: self.owner, $0)
            }
        }
        return record
    }

    /// The run if it is this process's again, or over; nil when somebody else has it.
    private func retake(_ id: String, _ connection: PostgresConnection) async throws -> ProcedureRecord? {
        let ledger = self.services.ledger
        if let record = try await ledger.procedure(id, connection), record.state != .inProgress { return record }
        // Its own, of which it could not say in time that it is alive.
        if try await ledger.beatProcedure(id, owner: self.owner, lease: self.lease, connection) {
            return try await ledger.procedure(id, connection)
        }
        return nil
    }

    // MARK: Stages

    private func stages(of record: ProcedureRecord, begins: Bool) async throws {
        var failed: [String] = []
        var stop: String?
        for stage in record.stages {
            // Runs have left their tables to the vacuum, which is due after a stop as well.
            guard stop == nil || stage.vacuumsTouched else { continue }
            let definition = self.procedure.stages.first { $0.name == stage.name }
            var state = stage.state
            var reason = stage.reason
            if !state.isOver {
                let ended = try await self.execute(stage, definition, of: record)
                (state, reason) = (ended.state, ended.reason)
            } else if begins, state == .off {
                await self.tell(.stageEnded(record, stage))
            }
            guard state == .failed else { continue }
            failed.append(stage.name)
            if definition?.onFailure == .stop, stop == nil { stop = "stage \(stage.name) failed: \(reason ?? "")" }
        }
        let failures = "\(failed.count == 1 ? "stage" : "stages") \(failed.joined(separator: ", ")) failed"
        try await self.finish(record, error: failed.isEmpty ? nil : stop ?? failures)
    }

    private func finish(_ record: ProcedureRecord, error: String?) async throws {
        let isOver = try await self.patiently { connection in
            let ledger = self.services.ledger
            if try await ledger.finishProcedure(record.id, owner: self.owner, error: error, connection) { return true }
            // The first try may have taken effect without an answer.
            return try await ledger.procedure(record.id, connection)?.state != .inProgress
        }
        guard isOver else { throw LeaseLost() }
        let retention = self.services.configuration.ledger.retention
        try await self.patiently { try await self.services.ledger.pruneProcedures(retention: retention, $0) }
    }

    /// Executes one stage, and says how it ended.
    private func execute(
        _ stage: StageRecord,
        _ definition: Stage?,
        of record: ProcedureRecord
    ) async throws -> StageRecord {
        guard let definition, definition.work.kind.rawValue == stage.kind, definition.work.subject == stage.subject
        else {
            let reason = "the configuration of the process that does it has no such stage"
            return try await self.end(stage, of: record, Ledger.StageEnd(.failed, reason: reason))
        }
        if let off = definition.off {
            return try await self.end(stage, of: record, Ledger.StageEnd(.off, reason: off))
        }
        let now = try await self.patiently { try await self.services.ledger.clock($0) }
        var limits: [StageLimit] = []
        if let window = definition.window {
            guard let close = window.closes(after: now, in: self.procedure.zone) else {
                let reason = "outside its window \(window) (\(self.procedure.zone.name))"
                return try await self.end(stage, of: record, Ledger.StageEnd(.skipped, reason: reason))
            }
            let left = min(close.timeIntervalSince(now), 10 * 86_400)
            limits.append(
                StageLimit(instant: .now + .seconds(left), reason: "its window \(window) closed", isTimeout: false)
            )
        }
        try await self.patiently {
            try await self.services.ledger.beginStage(stage, of: record.id, owner: self.owner, $0)
        }
        if let timeout = definition.timeout {
            // Of each owner's own: an outage between two of them is not the stage's fault.
            limits.append(StageLimit(instant: .now + timeout, reason: StageLimit.timedOut, isTimeout: true))
        }
        let limit = limits.min { $0.instant < $1.instant }
        var running = stage
        running.state = .running
        await self.tell(.stageBegan(record, running))
        let ended = try await self.perform(definition, running, of: record, until: limit)
        return try await self.end(running, of: record, ended)
    }

    private func end(
        _ stage: StageRecord,
        of record: ProcedureRecord,
        _ end: Ledger.StageEnd
    ) async throws -> StageRecord {
        @Sendable func note(_ end: Ledger.StageEnd) async throws {
            try await self.patiently {
                try await self.services.ledger.endStage(stage, of: record.id, owner: self.owner, end, $0)
            }
        }
        do { try await note(end) } catch  where Self.isRefusal(error) {
            // Doing the stage again would end in the same.
            try await note(Ledger.StageEnd(.failed, reason: "its end could not be noted: \(error)", rows: end.rows))
        }
        let current = try await self.patiently { try await self.services.ledger.procedure(record.id, $0) }
        guard let current, let ended = current.stages.first(where: { $0.position == stage.position }) else {
            throw LeaseLost()
        }
        await self.tell(.stageEnded(current, ended))
        return ended
    }

    /// Whether the ledger does not take what it was given.
    private static func isRefusal(_ error: any Error) -> Bool {
        ![.stopped, .serverAway].contains(Fault(error)) && !(error is LeaseLost)
    }

    /// Does what the stage is for, again and again while a server is away.
    private func perform(
        _ definition: Stage,
        _ stage: StageRecord,
        of record: ProcedureRecord,
        until limit: StageLimit?
    ) async throws -> Ledger.StageEnd {
        while true {
            do {
                return try await self.attempt(definition, stage, of: record, until: limit)
            } catch let error as CancellationError {
                throw error
            } catch let error as LeaseLost {
                throw error
            } catch is TimeLimitExceeded {
                return Ledger.StageEnd(.failed, reason: limit?.reason ?? StageLimit.timedOut)
            } catch  where [.serverAway, .queueAway].contains(Fault(error)) {
                if let limit, limit.left == .zero { return Ledger.StageEnd(.failed, reason: limit.reason) }
                self.services.logger.log(.notice, "waiting", [.stage: "\(stage.name)", .error: "\(error)"])
                try await Task.sleep(for: Self.pause)
            } catch {
                return Ledger.StageEnd(.failed, reason: "\(error)")
            }
        }
    }

    private func attempt(
        _ definition: Stage,
        _ stage: StageRecord,
        of record: ProcedureRecord,
        until limit: StageLimit?
    ) async throws -> Ledger.StageEnd {
        if case .target(let name) = definition.work {
            let work = TargetStage(
                executor: self,
                stage: stage,
                procedure: record.id,
                limit: limit,
                contexts: self.services.runContexts()
            )
            return try await work.run(name, definition)
        }
        guard let limit else { return try await self.attempt(definition, stage, of: record) }
        return try await withTimeLimit(limit.left) { try await self.attempt(definition, stage, of: record) }
    }

    private func attempt(
        _ definition: Stage,
        _ stage: StageRecord,
        of record: ProcedureRecord
    ) async throws -> Ledger.StageEnd {
        switch definition.work {
        case .target: throw CommandError("stage \(stage.name) has no limit of its own")
        case .sweep: return try await self.services.sweepStage(self.queue)
        case .hook(let name):
            return try await self.services.hookStage(name, context: record.context(stage.name), self.queue)
        case .index(let name): return try await IndexStage(services: self.services).run(name)
        case .vacuum(let scope):
            return try await VacuumStage(services: self.services, procedure: record.id).run(scope)
        }
    }

    /// Asks the ledger, again and again while it is away; whoever does so while it lasts is stopped by a missing heartbeat.
    ///
    /// - `isWorthIt`: after which failures it is asked again.
    func patiently<Value: Sendable>(
        while isWorthIt: @Sendable (Fault) -> Bool = { [.serverAway, .conflict, .locked].contains($0) },
        _ body: @escaping @Sendable (PostgresConnection) async throws -> Value
    ) async throws -> Value {
        while true {
            do {
                return try await self.pool.withConnection(checked: true, body)
            } catch  where isWorthIt(Fault(error)) {
                self.services.logger.log(.notice, "waiting", [.error: "\(error)"])
                try await Task.sleep(for: Self.pause)
            }
        }
    }

    func tell(_ news: ProcedureNews) async {
        for observer in self.observers { await observer.note(news) }
    }
}
