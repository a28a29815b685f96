package import PostgresClient
import RedisClient

/// What an operator may do to a run: pause, resume, cancel, recover, retry its dead letters.
package struct RunControl: Sendable {
    let ledger: Ledger
    let queue: Queue
    let configuration: EbbConfiguration

    package init(ledger: Ledger, queue: Queue, configuration: EbbConfiguration) {
        self.ledger = ledger
        self.queue = queue
        self.configuration = configuration
    }

    /// A younger run may be on its way from the ledger to the queue.
    private static let onItsWay = Duration.seconds(60)

    /// Runs that are not over and that the queue does not know, oldest first: Redis has lost them, or was away when they began.
    ///
    /// - Returns: nil where the ledger's version is not this one's.
    package func lost(_ connection: PostgresConnection) async throws -> [RunRecord]? {
        guard try await self.ledger.version(connection) == Ledger.newestVersion else { return nil }
        var lost: [RunRecord] = []
        for record in try await self.ledger.unfinishedRuns(atLeast: Self.onItsWay, connection)
        where try await self.queue.fields(of: record.run).isEmpty { lost.append(record) }
        return lost
    }

    /// Pauses a run: batches under way end, no other begins.
    ///
    /// - Throws: `RunRefusal` when the run is unknown, over or ending; `RedisError`.
    package func pause(_ run: String) async throws {
        try self.expect(.paused, try await self.queue.pause(run), run)
    }

    /// Lets a paused run go on, or takes a failed one back to running: its dead letters are tried again, and what was
    /// cancelled is planned anew.
    ///
    /// The server that the database is on now becomes the run's own. A run that is under way stays as it is.
    ///
    /// - Returns: the state that it is in now.
    /// - Throws: `RunRefusal`; `LedgerError` when the target has another unfinished run.
    package func resume(_ run: String, _ connection: PostgresConnection) async throws -> RunState {
        let record = try await self.record(run, connection)
        try await self.ledger.adoptServer(run, connection)
        switch try await self.queue.resume(run) {
        case .state(.failed): return try await self.reopen(record, connection)
        case .state(let state) where !state.isOver: return state
        case let change: throw self.refusal(change, run, wanted: "resumed")
        }
    }

    /// Finishes what a crash has interrupted: a run that the ledger has taken back from its end, and Redis has not.
    func reopenIfHalf(_ record: RunRecord, _ connection: PostgresConnection) async throws {
        let state = try await self.queue.fields(of: record.run)["state"].flatMap(RunState.init(rawValue:))
        if record.state == nil, state?.isOver == true { _ = try await self.reopen(record, connection) }
    }

    private func reopen(_ record: RunRecord, _ connection: PostgresConnection) async throws -> RunState {
        let fields = try await self.queue.fields(of: record.run)
        let batches = try await self.queue.deadLetters(of: record.run).map(\.batch)
        // Batches that were planned and never done have left no trace in the ledger.
        let planned = fields["generation"].flatMap { Int($0) } ?? 0
        let generation = max(planned, try await self.ledger.generation(of: record.run, connection))
        let wasCutShort = fields["cancelled"].flatMap { Int($0) } ?? 0 > 0 || fields["total"] == "0"
        try await self.revive(
            batches,
            of: record,
            planning: wasCutShort ? generation + 1 : nil,
            generation: planned > 0 ? planned : generation,
            connection
        )
        return wasCutShort ? .planning : .running
    }

    /// Tries dead batches of a run again, as if never tried; a run that had failed is running again.
    ///
    /// - Returns: how many there were.
    /// - Throws: `RunRefusal` when the run is unknown, was cancelled, or is ending; `LedgerError` when the target has
    ///   another unfinished run.
    @discardableResult
    package func retry(_ batches: [String], of run: String, _ connection: PostgresConnection) async throws -> Int {
        let record = try await self.record(run, connection)
        let fields = try await self.queue.fields(of: run)
        switch fields["state"].flatMap(RunState.init(rawValue:)) {
        case nil: throw self.refusal(.unknown, run, wanted: "retried")
        case let state? where state == .cancelled || state == .finished:
            throw self.refusal(.state(state), run, wanted: "retried")
        default:
            return try await self.revive(
                batches,
                of: record,
                planning: nil,
                generation: fields["generation"].flatMap { Int($0) } ?? 1,
                connection
            )
        }
    }

    @discardableResult
    private func revive(
        _ batches: [String],
        of record: RunRecord,
        planning plan: Int?,
        generation: Int,
        _ connection: PostgresConnection
    ) async throws -> Int {
        try await self.ledger.revive(batches, of: record, connection)
        let revived = try await self.queue.revive(batches, of: record.run, planning: plan, generation: generation)
        guard let revived else { throw self.refusal(.ending, record.run, wanted: "retried") }
        return revived
    }

    /// Lets a run end early, cancelled: batches under way end, no other begins.
    ///
    /// It is over once no lease of it is open. A run that Redis has lost is over at once. Runs that it waits for, such as
    /// those that drain the children of its table, are cancelled with it.
    ///
    /// - Throws: `RunRefusal` when the run is unknown or over.
    package func cancel(_ run: String, _ connection: PostgresConnection) async throws {
        if let record = try await self.ledger.upgrade(connection) ? self.ledger.run(run, connection) : nil {
            try await self.reopenIfHalf(record, connection)
            for other in record.after where try await self.ledger.run(other, connection)?.finishedAt == nil {
                try await self.cancel(other, connection)
            }
        }
        if try await self.queue.end(run, as: .cancelled, error: nil) { return }
        let fields = try await self.queue.fields(of: run)
        if fields["ending"] != nil { return }
        if let state = fields["state"].flatMap(RunState.init(rawValue:)) {
            if state == .cancelled { return }
            throw self.refusal(.state(state), run, wanted: "cancelled")
        }
        let record = try await self.record(run, connection)
        if let state = record.state, state != .cancelled { throw self.refusal(.state(state), run, wanted: "cancelled") }
        // What calls did whose answer nobody has seen, only a worker can find out.
        if record.state == nil, try await self.ledger.hasUnconfirmedLists(run, connection) {
            try await self.restore(record, connection)
            _ = try await self.queue.end(run, as: .cancelled, error: nil)
            return
        }
        _ = try await self.ledger.finish(run, state: .cancelled, error: nil, connection)
        // No script has ended it.
        let event = EbbEvent(
            .runCancelled,
            subject: run,
            target: record.target,
            schema: record.schema,
            status: RunState.cancelled.rawValue,
            description: "cancelled; Redis had lost it"
        )
        // The run is over in any case.
        do { try await self.queue.events.append(event) } catch is RedisError { return }
    }

    private func restore(_ record: RunRecord, _ connection: PostgresConnection) async throws {
        try await self.queue.setup()
        let starter = RunStarter(ledger: self.ledger, queue: self.queue, configuration: self.configuration)
        try await starter.restore(record, connection)
    }

    /// Rebuilds a run that Redis has lost, from the ledger and the table: what has ended stays ended and counted, what is
    /// left in the table is planned anew.
    ///
    /// On another server than the run's own, it pauses as soon as somebody works on it; only resuming accepts that.
    ///
    /// - Returns: false when Redis knows the run, which then stays as it is.
    /// - Throws: `RunRefusal` when the ledger does not know the run, or it is over.
    package func recover(_ run: String, _ connection: PostgresConnection) async throws -> Bool {
        let record = try await self.record(run, connection)
        guard try await self.queue.fields(of: run).isEmpty else {
            try await self.reopenIfHalf(record, connection)
            return false
        }
        if let state = record.state { throw self.refusal(.state(state), run, wanted: "recovered") }
        try await self.restore(record, connection)
        return true
    }

    private func record(_ run: String, _ connection: PostgresConnection) async throws -> RunRecord {
        guard try await self.ledger.upgrade(connection), let record = try await self.ledger.run(run, connection) else {
            throw RunRefusal("run \(run) is not in this database's ledger; producer runs lists those that Redis knows")
        }
        return record
    }

    private func expect(_ state: RunState, _ change: Queue.Change, _ run: String) throws {
        guard change == .state(state) else { throw self.refusal(change, run, wanted: state.rawValue) }
    }

    private func refusal(_ change: Queue.Change, _ run: String, wanted: String) -> RunRefusal {
        switch change {
        case .unknown:
            RunRefusal("run \(run) is not known in Redis; if it was lost there, producer recover \(run) rebuilds it")
        case .ending: RunRefusal("run \(run) is just ending and cannot be \(wanted)")
        case .state(let state): RunRefusal("run \(run) is \(state.rawValue) and cannot be \(wanted)")
        }
    }
}
