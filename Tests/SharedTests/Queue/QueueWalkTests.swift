import RedisClient
import TestSupport
import Testing

@testable import Shared

/// A walk of random moves, after each of which every batch is somewhere, and in one place only.
@Suite(.timeLimit(.minutes(3))) struct QueueWalkTests {
    @Test(arguments: [1, 2, 3] as [UInt64]) func `every batch is counted once, whatever happens`(
        _ seed: UInt64
    ) async throws {
        try await QueueBench.with { bench in
            var random = SplitMix(state: seed)
            let (record, step) = try await bench.run()
            var next = 1
            var held: [(consumer: String, lease: Lease)] = []
            for _ in 0..<700 {
                let consumer = ["a", "b", "c"].randomElement(using: &random) ?? "a"
                switch Int.random(in: 0..<10, using: &random) {
                case 0:
                    let count = Int.random(in: 1...8, using: &random)
                    #expect(try await bench.append(count, first: next, from: next == 1 ? "" : "\(next)", step) != nil)
                    next += count
                case 1...3: held += try await bench.claim(consumer, 3).map { (consumer, $0) }
                case 4: held += try await bench.reclaim(consumer, 100).map { (consumer, $0) }
                case 5:
                    for member in try await bench.queue.redis.send("ZRANGE", bench.queue.keys.delayed, "0", "2").array
                        ?? []
                    {
                        _ = try await bench.queue.redis.send("ZADD", bench.queue.keys.delayed, "1", member.string ?? "")
                    }
                default:
                    // Old leases stay in the list: zombies act, too.
                    guard let (owner, lease) = held.randomElement(using: &random) else { continue }
                    switch Int.random(in: 0..<6, using: &random) {
                    case 0: try await bench.queue.giveBack(lease, .release(after: .zero), consumer: owner)
                    case 1: try await bench.queue.giveBack(lease, .release(after: .seconds(60)), consumer: owner)
                    case 2:
                        try await bench.queue.giveBack(
                            lease,
                            .retry(after: .seconds(60), error: BatchError("")),
                            consumer: owner
                        )
                    case 3:
                        try await bench.queue.giveBack(
                            lease,
                            .dead(BatchError(""), range: nil, most: 100),
                            consumer: owner
                        )
                    default: _ = try await bench.queue.acknowledge([bench.settlement(lease)], consumer: owner)
                    }
                }
                try await self.check(bench, record.run, total: next - 1)
            }
        }
    }

    private func check(_ bench: QueueBench, _ run: String, total: Int) async throws {
        let counts = try await bench.counts(run)
        let redis = bench.queue.redis
        let stream = bench.queue.keys.stream(.default)
        let leased = try await redis.send("XPENDING", stream, "workers").array?.first?.int ?? -1
        let entries = try await redis.send("XLEN", stream).int ?? -1
        #expect(counts["total"] == total)
        #expect(QueueBench.counters.reduce(0) { $0 + (counts[$1] ?? 0) } == total)
        #expect(counts["leased"] == leased)
        #expect(counts["queued"] == entries - leased)
        #expect(counts["delayed"] == (try await redis.send("ZCARD", bench.queue.keys.delayed).int))
        #expect(counts["dead"] == (try await redis.send("ZCARD", bench.queue.keys.dead).int))
        #expect(counts["rows"] == (counts["done"] ?? 0) * 10)
    }
}

/// A small generator that repeats itself for the same seed.
struct SplitMix: RandomNumberGenerator {
    var state: UInt64

    mutating func next() -> UInt64 {
        self.state &+= 0x9E37_79B9_7F4A_7C15
        var z = self.state
        z = (z ^ (z >> 30)) &* 0xBF58_476D_1CE4_E5B9
        z = (z ^ (z >> 27)) &* 0x94D0_49BB_1331_11EB
        return z ^ (z >> 31)
    }
}
