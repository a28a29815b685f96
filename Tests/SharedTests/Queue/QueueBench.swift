import RedisClient
import TestSupport

@testable import Shared

/// A queue with runs that were never planned, for tests that play planner and worker themselves.
struct QueueBench: Sendable {
    let bed: TestBed
    var queue: Queue { self.bed.queue }

    static let counters = ["queued", "leased", "delayed", "parked", "done", "dead", "cancelled"]

    static func with(_ body: (QueueBench) async throws -> Void) async throws {
        let targets = (1...3).map { "  T\($0): {table: t, key: id, expires_at: e}" }.joined(separator: "\n")
        try await withTestBed(targets: targets) { bed in
            try await bed.run("CREATE TABLE t (id integer PRIMARY KEY, e timestamptz)")
            try await body(QueueBench(bed: bed))
        }
    }

    /// A run and its first step, to plan.
    func run(_ target: String = "T1") async throws -> (record: RunRecord, step: StepLease) {
        let record = try await self.bed.start(target)
        guard let step = try await self.queue.takeStep(owner: "planner", lease: .seconds(60), run: record.run) else {
            throw UnexpectedState("a new run has no step")
        }
        return (record, step)
    }

    /// Appends batches numbered from `first`; moves the cursor from `cursor` to the number after the last.
    @discardableResult
    func append(_ count: Int, first: Int = 1, from cursor: String = "", _ step: StepLease) async throws -> Int? {
        let batches = (first..<first + count).map {
            (id: "1.\($0)", batch: PlannedBatch(range: .block(from: $0, to: $0 + 1), units: 1))
        }
        return try await self.queue.append(
            batches,
            of: step,
            priority: .default,
            from: cursor,
            fields: ["cursor": "\(first + count)"]
        )
    }

    func claim(_ consumer: String, _ slots: Int = 1) async throws -> [Lease] {
        try await self.poll(consumer, slots).leases
    }

    func poll(_ consumer: String, _ slots: Int = 1, settling settlements: [Settlement] = []) async throws -> Queue.Work
    {
        try await self.queue.poll(
            Queue.Poll(
                consumer: consumer,
                lease: .seconds(60),
                slots: slots,
                settlements: settlements,
                reclaim: nil,
                ahead: (0, 0)
            )
        )
    }

    /// Takes over every lease of the streams, however young.
    func reclaim(_ consumer: String, _ count: Int = 100) async throws -> [Lease] {
        let cursors = Dictionary(uniqueKeysWithValues: self.queue.streams.map { ($0, "0-0") })
        let work = try await self.queue.poll(
            Queue.Poll(consumer: consumer, lease: .zero, slots: 1, reclaim: cursors, ahead: (0, 0))
        )
        return work.leases
    }

    func counts(_ run: String) async throws -> [String: Int] {
        try await self.queue.fields(of: run).compactMapValues { Int($0) }
    }

    func settlement(_ lease: Lease, rows: Int = 10) -> Settlement {
        Settlement(lease: lease, rows: rows, cascaded: 1, isMeasured: true, microseconds: 5)
    }
}
