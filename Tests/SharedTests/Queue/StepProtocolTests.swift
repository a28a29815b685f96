import RedisClient
import TestSupport
import Testing

@testable import Shared

/// Steps are leased like batches, one holder at a time.
@Suite(.timeLimit(.minutes(5))) struct StepProtocolTests {
    @Test func `a step has one holder, until its lease lapses`() async throws {
        try await QueueBench.with { bench in
            let (record, first) = try await bench.run()
            #expect(try await bench.queue.takeStep(owner: "b", lease: .seconds(60), run: record.run) == nil)
            #expect(try await bench.queue.beat(first, lease: .milliseconds(1)))
            try await eventually("the lease lapsed") {
                try await bench.queue.takeStep(owner: "b", lease: .seconds(60))
                    == StepLease(
                        run: record.run,
                        step: .plan,
                        token: first.token + 1
                    )
            }
            #expect(try await bench.queue.beat(first, lease: .seconds(60)) == false)
            #expect(try await bench.queue.advance(first, ["cursor": "x"]) == false)
            #expect(try await bench.queue.release(first) == false)
            #expect(try await bench.append(1, first) == nil)
        }
    }

    @Test func `the first step of a new run is left to its creator for a while`() async throws {
        try await QueueBench.with { bench in
            func poll(headStart: Duration) async throws -> StepLease? {
                try await bench.queue.poll(
                    Queue.Poll(consumer: "b", lease: .seconds(60), slots: 1, reclaim: nil, headStart: headStart)
                ).step
            }
            let abandoned = try await bench.bed.start("T1")
            #expect(try await poll(headStart: .seconds(3600)) == nil)
            #expect(try await poll(headStart: .zero)?.run == abandoned.run, "its creator is gone")
            let (record, step) = try await bench.run("T2")
            try await bench.queue.release(step)
            #expect(try await poll(headStart: .seconds(3600))?.run == record.run, "its creator had its turn")
        }
    }

    @Test func `verifying begins when nothing is open, not before`() async throws {
        try await QueueBench.with { bench in
            let (record, step) = try await bench.run()
            try await bench.append(2, step)
            #expect(try await bench.queue.advance(step, ["step": "drain", "state": "running"]))
            try await bench.queue.release(step)
            func take() async throws -> StepLease? {
                try await bench.queue.takeStep(owner: "b", lease: .seconds(60), run: record.run)
            }
            #expect(try await take() == nil, "two are queued")
            let leases = try await bench.claim("a", 2)
            #expect(try await take() == nil, "two are leased")
            _ = try await bench.queue.acknowledge([bench.settlement(leases[0])], consumer: "a")
            try await bench.queue.giveBack(leases[1], .retry(after: .seconds(60), error: BatchError("")), consumer: "a")
            #expect(try await take() == nil, "one is delayed")
            _ = try await bench.queue.redis.send("ZADD", bench.queue.keys.delayed, "1", "\(record.run) 1.2")
            let last = try #require(try await bench.claim("a").first)
            _ = try await bench.queue.acknowledge([bench.settlement(last)], consumer: "a")
            #expect(try await take()?.step == .verify)
            #expect(try await bench.queue.fields(of: record.run)["state"] == "verifying")
        }
    }

    @Test func `a poll settles first, so that what comes after a run's last batch is in the same answer`() async throws
    {
        try await QueueBench.with { bench in
            let (record, step) = try await bench.run()
            try await bench.append(2, step)
            #expect(try await bench.queue.advance(step, ["step": "drain", "state": "running"]))
            try await bench.queue.release(step)
            let first = try #require(try await bench.claim("a").first)
            let next = try await bench.poll("a", settling: [bench.settlement(first)])
            #expect(next.isSettled)
            #expect(next.step == nil)
            let last = try #require(next.leases.first)
            let end = try await bench.poll("a", settling: [bench.settlement(first), bench.settlement(last)])
            #expect(end.isSettled, "that one was settled before is no failure")
            #expect(end.failure == nil)
            #expect(end.step?.step == .verify)
            #expect(try await bench.counts(record.run)["done"] == 2)
            #expect(try await bench.counts(record.run)["rows"] == 20)
        }
    }

    @Test func `a poll settles before it looks for leases that ran out`() async throws {
        try await QueueBench.with { bench in
            let (record, step) = try await bench.run()
            try await bench.append(2, step)
            let leases = try await bench.claim("a", 2)
            let work = try await bench.queue.poll(
                Queue.Poll(
                    consumer: "a",
                    lease: .zero,
                    slots: 2,
                    settlements: [bench.settlement(leases[0])],
                    reclaim: Dictionary(uniqueKeysWithValues: bench.queue.streams.map { ($0, "0-0") }),
                    ahead: (0, 0)
                )
            )
            #expect(work.isSettled)
            #expect(work.leases.map(\.message.batch) == [leases[1].message.batch])
            #expect(try await bench.counts(record.run)["done"] == 1)
        }
    }

    @Test func `settlements that the queue refuses are not taken for settled`() async throws {
        try await QueueBench.with { bench in
            let (record, step) = try await bench.run()
            try await bench.append(2, step)
            let lease = try #require(try await bench.claim("a").first)
            let key = lease.stream
            _ = try await bench.queue.redis.send("RENAME", key, key + ":away")
            _ = try await bench.queue.redis.send("SET", key, "no stream")
            let refused = try await bench.poll("a", settling: [bench.settlement(lease)])
            #expect(!refused.isSettled)
            #expect(refused.failure != nil)
            _ = try await bench.queue.redis.send("RENAME", key + ":away", key)
            let accepted = try await bench.poll("a", settling: [bench.settlement(lease)])
            #expect(accepted.isSettled)
            #expect(try await bench.counts(record.run)["done"] == 1)
        }
    }

    @Test func `planning waits when enough is ahead, sooner while nothing was measured and workers live`() async throws
    {
        try await QueueBench.with { bench in
            let (record, step) = try await bench.run()
            try await bench.append(10, step)
            func take(_ most: Int, _ unmeasured: Int) async throws -> StepLease? {
                let lease = try await bench.queue.takeStep(
                    owner: "b",
                    lease: .seconds(60),
                    run: record.run,
                    ahead: (most, unmeasured)
                )
                if let lease { try await bench.queue.release(lease) }
                return lease
            }
            try await bench.queue.release(step)
            #expect(try await take(10, 100) == nil)
            #expect(try await take(11, 100) != nil)
            #expect(try await take(11, 5) != nil, "no worker lives that could measure")
            _ = try await bench.queue.beat([], consumer: "a")
            #expect(try await take(11, 5) == nil)
            let lease = try #require(try await bench.claim("a").first)
            _ = try await bench.queue.acknowledge([bench.settlement(lease)], consumer: "a")
            #expect(try await take(11, 5) != nil, "now something was measured")
        }
    }

    @Test func `a run that is over shrinks to its summary`() async throws {
        try await QueueBench.with { bench in
            let (record, step) = try await bench.run()
            let sum = Ledger.Sum(rows: 5, cascaded: 2, batches: 0, finishedAt: "2026-11-21 00:00:00.000000")
            let thief = StepLease(run: step.run, step: step.step, token: step.token + 1)
            #expect(
                try await bench.queue.finish(thief, state: .finished, sum: sum, error: nil, retention: .seconds(60))
                    == false
            )
            #expect(try await bench.queue.finish(step, state: .finished, sum: sum, error: nil, retention: .seconds(60)))
            #expect(try await bench.queue.advance(step, ["error": "late"]) == false)
            let fields = try await bench.queue.fields(of: record.run)
            #expect((fields["state"], fields["rows"], fields["cascaded"]) == ("finished", "5", "2"))
            #expect(fields.keys.allSatisfy { !["cursor", "step_owner", "units", "microseconds", "pass"].contains($0) })
            #expect(try await bench.queue.activeRuns() == [])
            #expect(try await bench.queue.recentRuns(5) == [record.run])
            let expiry = try await bench.queue.redis.send("TTL", bench.queue.keys.run(record.run)).int ?? 0
            #expect((1...60).contains(expiry))
            #expect(try await bench.queue.takeStep(owner: "b", lease: .seconds(60), run: record.run) == nil)
        }
    }

    @Test func `a consumer that holds a lease is neither reaped nor gone when it leaves`() async throws {
        try await QueueBench.with { bench in
            let (_, step) = try await bench.run()
            try await bench.append(1, step)
            _ = try await bench.claim("holder")
            _ = try await bench.claim("idle")
            try await eventually("the idle consumer was reaped") {
                try await bench.queue.reap(silentFor: .milliseconds(1), deadLetters: .seconds(60))
                return try await consumers(bench) == ["holder"]
            }
            try await bench.queue.leave("holder")
            #expect(try await consumers(bench) == ["holder"])
            let lease = try #require(try await bench.reclaim("heir").first)
            _ = try await bench.queue.acknowledge([bench.settlement(lease)], consumer: "heir")
            try await bench.queue.leave("holder")
            try await bench.queue.leave("heir")
            #expect(try await consumers(bench) == [])
        }
    }

    private func consumers(_ bench: QueueBench) async throws -> [String] {
        let reply = try await bench.queue.redis.send("XINFO", "CONSUMERS", bench.queue.keys.stream(.default), "workers")
        return (reply.array ?? []).compactMap { $0.array?[1].string }.sorted()
    }
}
