import Logging
import Shared

/// Talks to the queue for a worker: settles verdicts, fetches work, and keeps house.
///
/// A verdict that could not be delivered, because Redis is away, is kept and delivered with the next fetch.
struct Fetcher {
    let queue: Queue
    let consumer: String
    let configuration: EbbConfiguration

    private var lease: Duration { self.configuration.leases.duration }
    /// How often a worker says that it lives.
    var housekeeping: Duration { self.lease / 3 }
    /// Not yet delivered.
    private var settlements: [Settlement] = []
    /// Not yet delivered: verdicts on batches that are not done.
    private var returns: [Verdict] = []
    private var held: Set<Lease> = []
    private var cursors: [String: String]
    private var nextReclaim: ContinuousClock.Instant
    private var nextHousekeeping: ContinuousClock.Instant

    /// Leases are taken over at every poll with a free slot, but at most this often.
    private static let reclaimInterval = Duration.seconds(1)
    /// Settlements per script: it handles at most 100.
    private static let mostSettlements = 100

    init(queue: Queue, consumer: String, configuration: EbbConfiguration) {
        self.queue = queue
        self.consumer = consumer
        self.configuration = configuration
        self.cursors = Dictionary(uniqueKeysWithValues: queue.streams.map { ($0, "0-0") })
        self.nextReclaim = .now
        self.nextHousekeeping = .now
    }

    /// Whether the queue still has to hear about a batch of this worker.
    var holdsWork: Bool { !self.held.isEmpty }

    /// Takes a verdict in; it is delivered with the next fetch, or on leaving.
    mutating func settle(_ verdict: Verdict) {
        if case .done(let settlement) = verdict {
            self.settlements.append(settlement)
        } else {
            self.returns.append(verdict)
        }
        self.held.remove(verdict.lease)
    }

    /// Delivers verdicts and, with a free slot, fetches work, in one round trip where it can.
    ///
    /// - Throws: `RedisError`; what was not delivered is kept.
    mutating func fetch(slots: Int, _ logger: Logger) async throws -> Queue.Work {
        let now = ContinuousClock.now
        let reclaims = slots > 0 && now >= self.nextReclaim
        // What failed is judged by what is done, so that is told first. There may be a step beside batches in all slots.
        if slots <= 0 || !self.returns.isEmpty || self.settlements.count > Self.mostSettlements {
            try await self.acknowledge()
        }
        try await self.giveBack()
        try await self.keepHouse()
        guard slots > 0 else { return Queue.Work() }
        let work = try await self.queue.poll(
            Queue.Poll(
                consumer: self.consumer,
                lease: self.lease,
                slots: slots,
                settlements: self.settlements,
                reclaim: reclaims ? self.cursors : nil
            )
        )
        if work.isSettled { self.settlements.removeAll() }
        if reclaims {
            self.nextReclaim = now + min(Self.reclaimInterval, self.lease / 3)
            self.cursors.merge(work.cursors) { $1 }
        }
        for error in work.malformed { logger.log(.error, "malformed batch", [.error: "\(error)"]) }
        self.held.formUnion(work.leases)
        return work
    }

    /// Delivers what is left and removes this worker from the queue.
    mutating func leave() async throws {
        try await self.acknowledge()
        try await self.giveBack()
        try await self.queue.leave(self.consumer)
    }

    private mutating func acknowledge() async throws {
        while !self.settlements.isEmpty {
            let chunk = self.settlements.prefix(Self.mostSettlements)
            // A lost lease after a commit is no failure: the ledger has the row, and the lease's new holder settles it.
            _ = try await self.queue.acknowledge(Array(chunk), consumer: self.consumer)
            self.settlements.removeFirst(chunk.count)
        }
    }

    private mutating func giveBack() async throws {
        for verdict in self.returns { try await self.giveBack(verdict) }
        self.returns.removeAll()
    }

    private func giveBack(_ verdict: Verdict) async throws {
        switch verdict {
        case .done, .lost: break
        case .back(let lease, let how): try await self.queue.giveBack(lease, how, consumer: self.consumer)
        case .outage(let lease, let delay):
            try await self.queue.giveBack(lease, .release(after: delay), consumer: self.consumer)
        case .paused(let lease, let reason):
            // In this order, or another worker would start it at once.
            try await self.queue.pause(lease.message.run, error: reason)
            try await self.queue.giveBack(lease, .release(after: .zero), consumer: self.consumer)
        case .declined(let lease, let reason):
            let run = lease.message.run
            try await self.queue.decline(run, consumer: self.consumer, within: self.lease, error: reason)
            try await self.queue.giveBack(lease, .release(after: FailurePolicy.pause), consumer: self.consumer)
        }
    }

    /// Says that the worker lives, and forgets those that do not.
    private mutating func keepHouse() async throws {
        let now = ContinuousClock.now
        guard now >= self.nextHousekeeping else { return }
        _ = try await self.queue.beat([], consumer: self.consumer)
        try await self.queue.reap(silentFor: self.lease * 1.5, deadLetters: self.configuration.dead.retention)
        self.nextHousekeeping = now + self.housekeeping
    }
}
