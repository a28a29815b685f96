import RedisClient
import TestSupport
import Testing

@testable import Shared

/// Batches that are given up on: when that stops their run, what is kept of them, and how they come back.
@Suite(.timeLimit(.minutes(5))) struct DeadLetterProtocolTests {
    /// What a run has counted before its last batch, the one that decides, dies or is split for a row.
    struct Edge: Sendable, CustomTestStringConvertible {
        var testDescription: String
        var before: [String: Int]
        var split = false
        var sign: String?
    }

    @Test(arguments: [
        Edge(testDescription: "49 first tries, all failed", before: ["failed_first": 48]),
        Edge(
            testDescription: "50 first tries, all failed",
            before: ["failed_first": 49],
            sign: "stopped, since 50 of the first 50 batches failed; the last error: no"
        ),
        Edge(testDescription: "50 first tries, half failed", before: ["failed_first": 24, "done": 25]),
        Edge(
            testDescription: "50 first tries, one more than half failed",
            before: ["failed_first": 25, "done": 24],
            sign: "stopped, since 26 of the first 50 batches failed; the last error: no"
        ),
        Edge(testDescription: "49 dead", before: ["dead": 48]),
        Edge(testDescription: "50 ended, half dead", before: ["dead": 24, "done": 25]),
        Edge(
            testDescription: "50 ended, one more than half dead",
            before: ["dead": 25, "done": 24],
            sign: "stopped, since 26 of 50 batches were given up on; the last error: no"
        ),
        Edge(testDescription: "49 splits, none succeeded", before: ["row_splits": 48], split: true),
        Edge(
            testDescription: "50 splits, none succeeded",
            before: ["row_splits": 49],
            split: true,
            sign: "stopped, since errors of rows have split batches 50 times and 0 succeeded; the last error: no"
        ),
        Edge(testDescription: "56 splits, 7 succeeded", before: ["row_splits": 55, "done": 7], split: true),
        Edge(
            testDescription: "57 splits, 7 succeeded",
            before: ["row_splits": 56, "done": 7],
            split: true,
            sign: "stopped, since errors of rows have split batches 57 times and 7 succeeded; the last error: no"
        ),
    ]) func `a run that mostly fails is stopped`(_ edge: Edge) async throws {
        try await QueueBench.with { bench in
            let (record, step) = try await bench.run()
            try await bench.append(1, step)
            let key = bench.queue.keys.run(record.run)
            for (field, value) in edge.before { _ = try await bench.queue.redis.send("HSET", key, field, "\(value)") }
            let lease = try #require(try await bench.claim("a").first)
            let error = BatchError("no")
            if edge.split {
                let halves = Queue.Halves(.block(from: 1, to: 2), .block(from: 2, to: 3))
                try await bench.queue.giveBack(lease, .split(halves, because: .row(error)), consumer: "a")
            } else {
                try await bench.queue.giveBack(lease, .dead(error, range: nil, most: 100), consumer: "a")
            }
            let fields = try await bench.queue.fields(of: record.run)
            #expect(fields["ending"] == (edge.sign == nil ? nil : "failed"))
            #expect(fields["error"] ?? "" == edge.sign ?? "")
        }
    }

    @Test func `dead letters are bounded in number and age`() async throws {
        try await QueueBench.with { bench in
            let (record, step) = try await bench.run()
            try await bench.append(4, step)
            for lease in try await bench.claim("a", 4) {
                try await bench.queue.giveBack(lease, .dead(BatchError(""), range: nil, most: 3), consumer: "a")
                // The oldest goes, so no two may have died in the same millisecond.
                try await bench.age(lease)
            }
            #expect(try await bench.queue.deadLetters().map(\.batch) == ["1.2", "1.3", "1.4"])
            let now = "9999999999999"
            _ = try await bench.queue.redis.send("ZADD", bench.queue.keys.dead, now, "\(record.run) 1.3")
            try await bench.queue.reap(silentFor: .seconds(60), deadLetters: .seconds(60))
            #expect(try await bench.queue.deadLetters().map(\.batch) == ["1.3"])
            #expect(try await bench.queue.redis.send("HLEN", bench.queue.keys.deadLetters).int == 1)
            #expect(try await bench.counts(record.run)["dead"] == 4, "they stay counted")
        }
    }

    @Test func `what is discarded stays counted as dead, and cannot be revived`() async throws {
        try await QueueBench.with { bench in
            let (record, step) = try await bench.run()
            try await bench.append(2, step)
            for lease in try await bench.claim("a", 2) {
                try await bench.queue.giveBack(lease, .dead(BatchError(""), range: nil, most: 9), consumer: "a")
            }
            let letters = try await bench.queue.deadLetters(of: record.run)
            #expect(try await bench.queue.discard([letters[0], letters[0]]) == 1)
            let batches = letters.map(\.batch)
            #expect(try await bench.queue.revive(batches, of: record.run, planning: nil, generation: 1) == 1)
            let counts = try await bench.counts(record.run)
            #expect((counts["dead"], counts["queued"], counts["total"]) == (1, 1, 2))
            let lease = try #require(try await bench.claim("a").first)
            #expect((lease.message.batch, lease.message.attempts) == (batches[1], 0))
        }
    }

    @Test func `a run that was over runs again for its dead letters`() async throws {
        try await QueueBench.with { bench in
            let (record, step) = try await bench.run()
            try await bench.append(2, step)
            let leases = try await bench.claim("a", 2)
            _ = try await bench.queue.acknowledge([bench.settlement(leases[0])], consumer: "a")
            let error = BatchError(sqlState: "23503", "no")
            try await bench.queue.giveBack(leases[1], .dead(error, range: nil, most: 9), consumer: "a")
            try await bench.finish(step, .failed, done: 1)
            let key = bench.queue.keys.run(record.run)
            #expect(try await bench.queue.revive(["1.2", "1.9"], of: record.run, planning: nil, generation: 1) == 1)
            #expect(try await bench.queue.redis.send("TTL", key).int == -1)
            #expect(try await bench.queue.activeRuns() == [record.run])
            let fields = try await bench.queue.fields(of: record.run)
            #expect((fields["state"], fields["step"], fields["done"], fields["dead"]) == ("running", "drain", "1", "0"))
            #expect(try await bench.queue.advance(step, ["error": "late"]) == false, "its steps are of a former life")
            let lease = try #require(try await bench.claim("a").first)
            #expect(try await bench.queue.acknowledge([bench.settlement(lease)], consumer: "a") == [true])
            let last = try await bench.queue.takeStep(owner: "b", lease: .seconds(60))
            #expect(last?.step == .verify)
            _ = try await bench.queue.end(record.run, as: .failed, error: nil)
            #expect(try await bench.queue.revive(["1.2"], of: record.run, planning: nil, generation: 1) == nil)
            #expect(try await bench.queue.revive(["1.2"], of: "unknown", planning: nil, generation: 1) == nil)
        }
    }
}

extension QueueBench {
    /// Makes a dead letter older than any that comes, and younger than those that were made so before.
    fileprivate func age(_ lease: Lease) async throws {
        let score = lease.message.batch.dropFirst(2)
        let member = "\(lease.message.run) \(lease.message.batch)"
        _ = try await self.queue.redis.send("ZADD", self.queue.keys.dead, "XX", String(score), member)
    }
}
