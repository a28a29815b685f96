import RedisClient
import TestSupport
import Testing

@testable import Shared

/// How a batch travels through Redis, and that only the holder of its lease can move it.
@Suite(.timeLimit(.minutes(5))) struct BatchProtocolTests {
    @Test func `a chunk is appended with its cursor, once`() async throws {
        try await QueueBench.with { bench in
            let (record, step) = try await bench.run()
            #expect(try await bench.append(3, step) == 3)
            #expect(try await bench.append(3, step) == nil, "a cursor that has moved on")
            let thief = StepLease(run: step.run, step: step.step, token: step.token + 1)
            #expect(try await bench.append(1, first: 4, from: "4", thief) == nil, "another's token")
            #expect(try await bench.append(1, first: 4, from: "4", step) == 4)
            let counts = try await bench.counts(record.run)
            #expect((counts["total"], counts["queued"]) == (4, 4))
            #expect(try await bench.queue.redis.send("XLEN", bench.queue.keys.stream(.default)).int == 4)
        }
    }

    @Test func `creating a known run again changes nothing`() async throws {
        try await QueueBench.with { bench in
            let (record, step) = try await bench.run()
            try await bench.append(2, step)
            let before = try await bench.queue.fields(of: record.run)
            try await bench.queue.create(record, generation: 7)
            #expect(try await bench.queue.fields(of: record.run) == before)
        }
    }

    @Test func `claims never exceed the slots, and settle once`() async throws {
        try await QueueBench.with { bench in
            let (record, step) = try await bench.run()
            try await bench.append(5, step)
            let leases = try await bench.claim("a", 2)
            #expect(leases.map(\.message.batch) == ["1.1", "1.2"])
            #expect(leases.map(\.message.range) == [.block(from: 1, to: 2), .block(from: 2, to: 3)])
            let settled = leases.map { bench.settlement($0) }
            #expect(try await bench.queue.acknowledge(settled, consumer: "a") == [true, true])
            #expect(try await bench.queue.acknowledge(settled, consumer: "a") == [false, false])
            let counts = try await bench.counts(record.run)
            #expect((counts["done"], counts["queued"], counts["leased"]) == (2, 3, 0))
            #expect((counts["rows"], counts["cascaded"], counts["units"], counts["microseconds"]) == (20, 2, 2, 10))
        }
    }

    @Test func `whoever lost a lease can neither settle, fail, keep nor start the batch`() async throws {
        try await QueueBench.with { bench in
            let (record, step) = try await bench.run()
            try await bench.append(1, step)
            let old = try #require(try await bench.claim("zombie").first)
            let new = try #require(try await bench.reclaim("heir").first)
            #expect(new.token == 2 && new.isRedelivered && new.message == old.message)
            #expect(try await bench.queue.acknowledge([bench.settlement(old)], consumer: "zombie") == [false])
            #expect(try await bench.queue.beat([old], consumer: "zombie") == [false])
            #expect(try await bench.queue.start(old, consumer: "zombie") == nil)
            try await bench.queue.giveBack(old, .dead(BatchError("no"), range: nil, most: 100), consumer: "zombie")
            // The token alone fences the same consumer, too.
            let newest = try #require(try await bench.reclaim("heir").first)
            #expect(try await bench.queue.acknowledge([bench.settlement(new)], consumer: "heir") == [false])
            #expect(try await bench.queue.beat([newest], consumer: "heir") == [true])
            var counts = try await bench.counts(record.run)
            #expect((counts["leased"], counts["done"], counts["dead"], counts["redelivered"]) == (1, 0, 0, 2))
            #expect(try await bench.queue.acknowledge([bench.settlement(newest)], consumer: "heir") == [true])
            counts = try await bench.counts(record.run)
            #expect((counts["leased"], counts["done"], counts["rows"]) == (0, 1, 10))
        }
    }

    @Test func `only starts of redelivered batches are counted, and forgotten when the batch is settled`() async throws
    {
        try await QueueBench.with { bench in
            let (record, step) = try await bench.run()
            try await bench.append(1, step)
            _ = try await bench.claim("a")
            for starts in 1...3 {
                let lease = try #require(try await bench.reclaim("b").first)
                #expect(try await bench.queue.start(lease, consumer: "b") == starts)
            }
            let lease = try #require(try await bench.reclaim("c").first)
            _ = try await bench.queue.acknowledge([bench.settlement(lease)], consumer: "c")
            #expect(
                try await bench.queue.redis.send("EXISTS", bench.queue.keys.prefix + "starts:" + record.run).int == 0
            )
        }
    }

    @Test func `a batch is released without an attempt, retried with one, and dies with its error`() async throws {
        try await QueueBench.with { bench in
            let (record, step) = try await bench.run()
            try await bench.append(1, step)
            var lease = try #require(try await bench.claim("a").first)
            try await bench.queue.giveBack(lease, .release(after: .zero), consumer: "a")
            lease = try #require(try await bench.claim("a").first)
            #expect(lease.message.attempts == 0)
            try await bench.queue.giveBack(
                lease,
                .retry(after: .seconds(60), error: BatchError(sqlState: "55P03", "locked")),
                consumer: "a"
            )
            #expect(try await bench.counts(record.run)["delayed"] == 1)
            let work = try await bench.poll("a")
            #expect(work.leases.isEmpty)
            #expect((1...60_000).contains(try #require(work.nextDue)))
            // What waits for its time is made due.
            let member = "\(record.run) 1.1"
            _ = try await bench.queue.redis.send("ZADD", bench.queue.keys.delayed, "1", member)
            lease = try #require(try await bench.claim("b").first)
            #expect((lease.message.attempts, lease.token) == (1, 1))
            #expect(lease.message.range == .block(from: 1, to: 2))
            try await bench.queue.giveBack(
                lease,
                .dead(BatchError(sqlState: "23503", "it \"cannot\"\nbe"), range: nil, most: 100),
                consumer: "b"
            )
            let counts = try await bench.counts(record.run)
            #expect((counts["dead"], counts["total"], counts["leased"], counts["delayed"]) == (1, 1, 0, 0))
            let letter =
                try await bench.queue.redis.send("HGET", bench.queue.keys.dead + ":letters", member).string ?? ""
            #expect(letter.contains("23503") && letter.contains("\"attempts\":\"2\""))
            #expect(try await bench.queue.redis.send("ZCARD", bench.queue.keys.dead).int == 1)
        }
    }

    @Test(arguments: [["x", "y"], ["r", "RUN"], ["r", "gone", "b", "1.9", "a", "0", "u", "1", "f", "", "v", "[]"]])
    func `an entry that is no batch is dropped and stops nothing`(_ entry: [String]) async throws {
        try await self.besides(entry) { bench, run, work in
            #expect(work.malformed.count == (entry.contains("gone") ? 0 : 1))
            let counts = try await bench.counts(run)
            #expect((counts["done"], counts["queued"], counts["leased"]) == (2, 0, 0))
            #expect(try await bench.queue.redis.send("XLEN", bench.queue.keys.stream(.default)).int == 0)
        }
    }

    @Test(arguments: ["nonsense", "[\"block\",\"9\",\"1\"]"])
    func `a batch whose range cannot be read is handed out to be given up on`(_ range: String) async throws {
        try await QueueBench.with { bench in
            let (record, _) = try await bench.run()
            let fields = ["r", record.run, "b", "1.9", "a", "0", "u", "1", "f", "", "v", range]
            _ = try await bench.queue.redis.send(
                RedisCommand(["XADD", bench.queue.keys.stream(.default), "*"] + fields)
            )
            let lease = try #require(try await bench.poll("a", 10).leases.first)
            #expect(lease.message.range == nil)
            try await bench.queue.giveBack(lease, .dead(BatchError("malformed"), range: nil, most: 100), consumer: "a")
            #expect(try await bench.counts(record.run)["dead"] == 1)
            #expect(try await bench.counts(record.run)["leased"] == 0)
        }
    }

    /// Polls a stream that holds an entry and, after it, two batches, and settles them.
    private func besides(
        _ entry: [String],
        _ body: (QueueBench, _ run: String, Queue.Work) async throws -> Void
    ) async throws {
        try await QueueBench.with { bench in
            let (record, step) = try await bench.run()
            let fields = entry.map { $0 == "RUN" ? record.run : $0 }
            _ = try await bench.queue.redis.send(
                RedisCommand(["XADD", bench.queue.keys.stream(.default), "*"] + fields)
            )
            try await bench.append(2, step)
            let work = try await bench.poll("a", 10)
            #expect(work.leases.map(\.message.batch) == ["1.1", "1.2"])
            let settled = work.leases.map { bench.settlement($0) }
            #expect(try await bench.queue.acknowledge(settled, consumer: "a") == [true, true])
            try await body(bench, record.run, work)
        }
    }
}
