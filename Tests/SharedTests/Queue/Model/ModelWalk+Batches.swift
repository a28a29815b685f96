import RedisClient

@testable import Shared

/// What workers do: claim, keep, settle and give back; also long after they have lost what they had.
extension ModelWalk {
    /// How many milliseconds no lease of the walk lasts, but those that were made old.
    static let long = "600000"

    mutating func number(_ range: ClosedRange<Int>) -> Int { Int.random(in: range, using: &self.random) }

    mutating func chance(_ percent: Int) -> Bool { self.number(1...100) <= percent }

    mutating func consumer() -> String { Self.consumers[self.number(0...3)] }

    /// A lease that is held, or one of those that were, and who says that it is his.
    mutating func lease() -> (lease: HeldLease, consumer: String)? {
        let leases = self.model.leases
        guard !leases.isEmpty else { return nil }
        var lease = leases[self.number((self.chance(60) ? leases.count * 3 / 4 : 0)...(leases.count - 1))]
        let stream = self.model.streams[lease.stream]
        if self.chance(60), !stream.pending.isEmpty {
            let pending = stream.pending[self.number(0...(stream.pending.count - 1))]
            lease = HeldLease(pending, in: lease.stream)
        }
        if self.chance(3) { lease.token += self.number(-1...1) }
        return (lease, self.chance(4) ? self.consumer() : lease.consumer)
    }

    mutating func claim() -> ModelMove {
        let consumer = self.consumer()
        let wanted = self.chance(5) ? 0 : self.number(1...6)
        let order = self.chance(80) ? [0, 1, 2] : self.chance(50) ? [2, 1, 0] : [self.number(0...2)]
        return self.claim(consumer, wanted, order)
    }

    func claim(_ consumer: String, _ wanted: Int, _ order: [Int]) -> ModelMove {
        ModelMove(
            QueueScripts.claim,
            keys: [self.model.prefix] + order.map(self.model.stream),
            [consumer, String(wanted)]
        ) { model, reply in
            let ids = (reply.array ?? []).map { $0.array?[1].string ?? "" }
            return model.claim(consumer, wanted, from: order, ids: ids)
        }
    }

    mutating func reclaim() -> ModelMove {
        let stream = self.number(0...2)
        let pending = self.model.streams[stream].pending
        let isWithin = self.chance(30) && !pending.isEmpty
        let cursor = isWithin ? pending[self.number(0...(pending.count - 1))].id.text : "0-0"
        return self.reclaim(
            self.consumer(),
            stream,
            isLong: self.chance(75),
            cursor: cursor,
            self.number(1...(self.chance(80) ? 4 : 20))
        )
    }

    func reclaim(_ consumer: String, _ stream: Int, isLong: Bool, cursor: String, _ wanted: Int) -> ModelMove {
        ModelMove(
            QueueScripts.reclaim,
            keys: [self.model.prefix, self.model.stream(stream)],
            [consumer, isLong ? Self.long : "0", cursor, String(wanted)]
        ) { model, _ in
            model.reclaim(stream, consumer, isLong: isLong, cursor: EntryID(cursor), wanted)
        }
    }

    mutating func start() -> ModelMove {
        guard let (lease, consumer) = self.lease() else { return self.claim() }
        return ModelMove(
            QueueScripts.start,
            keys: [self.model.prefix, self.model.stream(lease.stream)],
            [consumer, lease.id.text, String(lease.token), lease.run, lease.batch]
        ) { model, _ in model.start(lease, by: consumer) }
    }

    mutating func beat() -> ModelMove {
        guard let (first, consumer) = self.lease() else { return self.claim() }
        let leases = [first] + (0..<self.number(0...3)).compactMap { _ in self.lease()?.lease }
        return ModelMove(
            QueueScripts.beat,
            keys: [self.model.prefix],
            [consumer] + leases.flatMap { [self.model.stream($0.stream), $0.id.text, String($0.token)] }
        ) { model, _ in model.beat(leases, by: consumer) }
    }

    mutating func ack() -> ModelMove {
        guard let (first, consumer) = self.lease() else { return self.claim() }
        var leases = [first] + (0..<self.number(0...4)).compactMap { _ in self.lease()?.lease }
        if self.chance(3) { leases.append(first) }
        // Most of some runs is to fail.
        if self.chance(95) {
            leases.removeAll { self.isUnlucky($0.run) }
            if leases.isEmpty { return self.giveBack() }
        }
        return self.ack(leases, by: consumer)
    }

    func ack(_ leases: [HeldLease], by consumer: String) -> ModelMove {
        let arguments = leases.flatMap { lease in
            [
                self.model.stream(lease.stream), lease.id.text, String(lease.token), lease.run, lease.batch,
                String(HeldLease.rows), String(HeldLease.cascaded), String(HeldLease.bytes), String(lease.units),
                String(HeldLease.microseconds),
            ]
        }
        return ModelMove(QueueScripts.ack, keys: [self.model.prefix], [consumer] + arguments) { model, _ in
            model.ack(leases, by: consumer)
        }
    }
}
