import Foundation
import Logging
import PostgresClient
import Shared

/// Fires the slots of schedules; any number of schedulers may do so at once.
///
/// Nothing is elected and nothing is remembered here. Every scheduler computes the same slots from the same definitions and the
/// database's clock, and the row of the schedule in the ledger lets one of them settle each slot, in the transaction
/// that creates its run. See `Ledger.fire`.
struct Scheduler: Sendable {
    let services: Services
    let queue: Queue
    let entries: [ScheduleEntry]
    let pool: ConnectionPool
    /// How long planning may take; it waits for whoever has locked the table.
    let planningLimit: Duration

    /// What this scheduler has said of an entry, so that it says it once; also, that it has looked at it.
    private var notes: [Key: Note] = [:]
    private var isQueueAway = false

    private struct Key: Hashable {
        var schedule: String
        var target: String
    }

    private enum Note: Equatable {
        case rules
        /// Another replica's definition does.
        case standsBack
        /// A slot of it could not be settled yet.
        case waits
    }

    /// How long to sleep at most, so that a clock that was put, or a schedule that others have changed, is noticed.
    private static let longestPause = Duration.seconds(10)
    /// How soon to look again after a slot could not be settled.
    private static let retryPause = Duration.seconds(1)
    /// How often to say that a definition has somebody.
    private static let seenEvery: TimeInterval = 20
    /// After which a definition has nobody any more.
    private static let unseenAfter: TimeInterval = 60
    /// How many targets are planned at a time; each takes a connection.
    private static let width = 4

    init(
        services: Services,
        queue: Queue,
        entries: [ScheduleEntry],
        pool: ConnectionPool,
        planningLimit: Duration = .seconds(30)
    ) {
        self.services = services
        self.queue = queue
        self.entries = entries
        self.pool = pool
        self.planningLimit = planningLimit
    }

    /// Settles what is due, makes runs known that the queue has lost, and returns how long nothing will be due.
    ///
    /// - Throws: when the ledger cannot be read; nothing is lost then, and looking again is all there is to do.
    mutating func look() async throws -> Duration {
        let (ledger, entries) = (self.services.ledger, self.entries)
        let read = ContinuousClock.now
        let book = try await self.pool.withConnection(checked: true) { try await ledger.schedules($0) }
        var due: [SlotFiring.Work] = []
        for entry in entries {
            guard let timing = entry.timing else { continue }
            guard let state = try await self.ruling(entry, timing, book) else { continue }
            guard let slot = timing.due(at: book.now, after: state.floor) else { continue }
            due.append(SlotFiring.Work(entry: entry, timing: timing, due: slot, lastOutcome: state.outcome))
        }
        let settled = try await self.settle(due)
        try await self.restoreLost()
        return self.pause(from: book.now, since: read, isComplete: settled)
    }

    // MARK: Whose definition rules

    /// The state of an entry whose definition rules; nil when another does, or this one has only just come to rule.
    ///
    /// During a roll-out replicas disagree. The one that was started last is right, and the others stand back until their
    /// own definition rules again, or nobody has looked with the other for a minute. A start of a slot both would fire, or an
    /// endless to and fro in which neither does, are both impossible: `adopt` begins anew at the database's present time.
    private mutating func ruling(
        _ entry: ScheduleEntry,
        _ timing: ScheduleTiming,
        _ book: Ledger.ScheduleBook
    ) async throws -> Ledger.ScheduleState? {
        let (ledger, key) = (self.services.ledger, Key(schedule: entry.schedule, target: entry.work.name))
        let state = book.state(of: key.schedule, target: key.target)
        if let state, state.definition == timing.definition {
            // Also when it was seen in the future.
            if abs(book.now.timeIntervalSince(state.seenAt)) > Self.seenEvery { try await self.see(state) }
            if try await self.restart(state, timing, book.now) {
                self.note(.warning, "the database's clock was ahead; the schedule begins anew", entry, timing)
                return nil
            }
            if self.notes[key] == .standsBack { self.note(.info, "schedule is ours again", entry, timing) }
            if self.notes[key] != .waits { self.notes[key] = .rules }
            return state
        }
        // Seen in the future: the database's clock was ahead. Whether anybody is there shows within a minute from now.
        if let state, state.seenAt.timeIntervalSince(book.now) > Self.unseenAfter { try await self.see(state) }
        let isAbandoned = state.map { book.now.timeIntervalSince($0.seenAt) > Self.unseenAfter } ?? true
        guard self.notes[key] == nil || isAbandoned else {
            if self.notes[key] != .standsBack {
                self.note(
                    .warning,
                    "another replica was started with another definition of a schedule; it rules",
                    entry,
                    timing
                )
            }
            self.notes[key] = .standsBack
            return nil
        }
        try await self.pool.withConnection {
            try await ledger.adopt(
                timing.definition,
                of: key.schedule,
                target: key.target,
                insteadOf: state?.definition,
                $0
            )
        }
        self.notes[key] = .rules
        self.note(.info, state == nil ? "schedule is new" : "schedule has changed", entry, timing)
        return nil
    }

    /// Says that somebody with the definition that rules is there, or may be.
    private func see(_ state: Ledger.ScheduleState) async throws {
        let ledger = self.services.ledger
        try await self.pool.withConnection {
            try await ledger.see(state.definition, of: state.schedule, target: state.target, $0)
        }
    }

    /// Begins anew when slots are settled that are still to come, other than the next one, whose time a small correction of the
    /// clock may bring back.
    private func restart(
        _ state: Ledger.ScheduleState,
        _ timing: ScheduleTiming,
        _ now: Date
    ) async throws -> Bool {
        guard let next = timing.cron.next(after: now, in: timing.zone), state.floor > next else { return false }
        let ledger = self.services.ledger
        return try await self.pool.withConnection {
            try await ledger.restart(timing.definition, of: state.schedule, target: state.target, next: next, $0)
        }
    }

    private func note(
        _ level: Logger.Level,
        _ message: Logger.Message,
        _ entry: ScheduleEntry,
        _ timing: ScheduleTiming
    ) {
        self.services.logger.log(
            level,
            message,
            [.schedule: "\(entry.schedule)", .target: "\(entry.work.name)", .definition: "\(timing.definition)"]
        )
    }

    // MARK: Firing

    /// Settles slots, a few at a time: one whose table is locked must not hold up the others.
    ///
    /// - Returns: whether all are settled.
    private mutating func settle(_ due: [SlotFiring.Work]) async throws -> Bool {
        let firing = SlotFiring(
            services: self.services,
            queue: self.queue,
            pool: self.pool,
            planningLimit: self.planningLimit
        )
        var isComplete = true
        try await withThrowingTaskGroup(of: (Key, (any Error)?).self) { group in
            var waiting = due.makeIterator()
            func begin() {
                guard let work = waiting.next() else { return }
                let key = Key(schedule: work.entry.schedule, target: work.entry.work.name)
                group.addTask {
                    do {
                        try await firing.settle(work)
                        return (key, nil)
                    } catch is CancellationError {
                        throw CancellationError()
                    } catch { return (key, error) }
                }
            }
            for _ in 0..<Self.width { begin() }
            while let (key, error) = try await group.next() {
                if let error {
                    isComplete = false
                    if self.notes[key] != .waits {
                        self.services.logger.log(
                            .warning,
                            "slot has to wait",
                            [.schedule: "\(key.schedule)", .target: "\(key.target)", .error: "\(error)"]
                        )
                    }
                }
                self.notes[key] = error == nil ? .rules : .waits
                begin()
            }
        }
        return isComplete
    }

    // MARK: What the queue does not know

    /// Makes runs known that are in the ledger only: their scheduler died in between, or Redis was away or lost them.
    ///
    /// Redis being away stops no schedule: runs wait in the ledger.
    private mutating func restoreLost() async throws {
        let (services, queue) = (self.services, self.queue)
        do {
            let restored = try await self.pool.withConnection { connection in
                var restored: [RunRecord] = []
                // A run that waits for others would not wait for those that the queue does not know yet.
                let unfinished = try await services.ledger.unfinishedRuns(connection)
                let ordered = unfinished.filter(\.after.isEmpty) + unfinished.filter { !$0.after.isEmpty }
                for record in ordered {
                    guard try await queue.fields(of: record.run).isEmpty else { continue }
                    // A queue that has lost a run may have lost its streams.
                    try await queue.setup()
                    try await services.runStarter(queue).restore(record, connection)
                    restored.append(record)
                }
                return restored
            }
            for record in restored {
                services.logger.log(.info, "run is in the queue", [.run: "\(record.run)", .target: "\(record.target)"])
            }
            if self.isQueueAway { services.logger.info("Redis is back") }
            self.isQueueAway = false
        } catch  where Outage.isOfQueue(error) {
            if !self.isQueueAway {
                services.logger.log(.warning, "Redis is away; runs wait in the ledger", [.error: "\(error)"])
            }
            self.isQueueAway = true
        }
    }

    // MARK: Sleeping

    private func pause(from now: Date, since read: ContinuousClock.Instant, isComplete: Bool) -> Duration {
        var pause = isComplete ? Self.longestPause : Self.retryPause
        for timing in self.entries.compactMap(\.timing) {
            // What is due already is settled, or waits for the next look.
            guard let next = timing.next(at: now, after: .distantPast) else { continue }
            // A millisecond more, so that the database's clock has passed it.
            pause = min(pause, .seconds(next.due.timeIntervalSince(now)) + .milliseconds(1) - read.duration(to: .now))
        }
        return max(pause, .zero)
    }
}
