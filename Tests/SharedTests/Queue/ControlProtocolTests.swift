import RedisClient
import TestSupport
import Testing

@testable import Shared

/// Runs that are paused, stopped, ended and revived while batches of theirs are under way.
@Suite(.timeLimit(.minutes(5))) struct ControlProtocolTests {
    @Test func `what turns up of a paused run is parked, and put back once it is resumed`() async throws {
        try await QueueBench.with { bench in
            let (record, step) = try await bench.run()
            try await bench.append(3, step)
            let lease = try #require(try await bench.claim("a").first)
            #expect(try await bench.queue.pause(record.run) == .state(.paused))
            #expect(try await bench.append(1, first: 4, from: "4", step) == nil)
            #expect(try await bench.queue.beat(step, lease: .seconds(60)) == false)
            #expect(try await bench.claim("a", 10).isEmpty)
            #expect(try await bench.reclaim("b").isEmpty, "what was leased is parked, too")
            #expect(try await bench.queue.acknowledge([bench.settlement(lease)], consumer: "a") == [false])
            var counts = try await bench.counts(record.run)
            #expect((counts["parked"], counts["queued"], counts["leased"], counts["total"]) == (3, 0, 0, 3))
            #expect(try await bench.queue.pause(record.run) == .state(.paused), "again")
            #expect(try await bench.queue.resume(record.run) == .state(.planning))
            _ = try await bench.queue.takeStep(owner: "b", lease: .seconds(60))
            counts = try await bench.counts(record.run)
            #expect((counts["parked"], counts["queued"]) == (0, 3))
            #expect(try await bench.claim("a", 10).map(\.message.batch).sorted() == ["1.1", "1.2", "1.3"])
        }
    }

    @Test func `a run that ends early cancels what turns up, and counts the rest as it ends`() async throws {
        try await QueueBench.with { bench in
            let (record, step) = try await bench.run()
            try await bench.append(6, step)
            let leases = try await bench.claim("a", 3)
            try await bench.queue.giveBack(leases[0], .release(after: .seconds(60)), consumer: "a")
            #expect(try await bench.queue.end(record.run, as: .cancelled, error: "enough"))
            #expect(try await bench.queue.end(record.run, as: .failed, error: "late") == false)
            #expect(try await bench.queue.pause(record.run) == .ending)
            func take() async throws -> StepLease? {
                try await bench.queue.takeStep(owner: "b", lease: .seconds(60), run: record.run)
            }
            try await bench.queue.release(step)
            #expect(try await take() == nil, "two are still leased")
            #expect(try await bench.queue.acknowledge([bench.settlement(leases[1])], consumer: "a") == [true])
            try await bench.queue.giveBack(leases[2], .cancelled, consumer: "a")
            let last = try #require(try await take())
            #expect(last.step == .reconcile)
            try await bench.queue.dropDelayed(step)
            #expect(try await bench.counts(record.run)["delayed"] == 1, "that step is another's now")
            try await bench.queue.dropDelayed(last)
            #expect(try await bench.poll("a", 10).leases.isEmpty)
            #expect(try await bench.counts(record.run)["cancelled"] == 5)
            try await bench.finish(last, .cancelled, done: 1)
            let counts = try await bench.counts(record.run)
            #expect((counts["total"], counts["done"], counts["cancelled"], counts["queued"]) == (6, 1, 5, 0))
        }
    }

    @Test(arguments: ["time", "row", "other"]) func `a split keeps the total right`(_ kind: String) async throws {
        try await QueueBench.with { bench in
            let (record, step) = try await bench.run()
            try await bench.append(1, step)
            let lease = try #require(try await bench.claim("a").first)
            let halves = Queue.Halves(.block(from: 1, to: 2), .block(from: 2, to: 3))
            let reasons: [String: Queue.SplitReason] = [
                "time": .time(.milliseconds(3)), "row": .row(BatchError("no")), "other": .other,
            ]
            let reason = try #require(reasons[kind])
            for _ in 0..<2 { try await bench.queue.giveBack(lease, .split(halves, because: reason), consumer: "a") }
            let counts = try await bench.counts(record.run)
            #expect((counts["total"], counts["queued"], counts["leased"], counts["split"]) == (2, 2, 0, 1))
            #expect(counts["microseconds"] == (kind == "time" ? 3_000 : 0))
            #expect((counts["row_splits"], counts["failed_first"]) == (kind == "row" ? (1, 1) : (0, 0)))
            let parts = try await bench.claim("a", 10)
            #expect(parts.map(\.message.batch) == ["1.1.0", "1.1.1"])
            #expect(parts.map(\.message.range) == [halves.first, halves.second])
            #expect(
                try await bench.queue.acknowledge(parts.map { bench.settlement($0) }, consumer: "a") == [true, true]
            )
            #expect(try await bench.counts(record.run)["done_children"] == 2)
        }
    }

    @Test(arguments: ["plan", "parked", "a lease", "delayed"])
    func `what a run's former life has left is dropped in the next, and counted once`(_ left: String) async throws {
        try await QueueBench.with { bench in
            let (record, step) = try await bench.run()
            try await bench.append(2, step)
            let lease = try #require(try await bench.claim("a").first)
            if left == "delayed" { try await bench.queue.giveBack(lease, .release(after: .seconds(60)), consumer: "a") }
            if left == "parked" {
                _ = try await bench.queue.pause(record.run)
                _ = try await bench.claim("a", 10)
            }
            try await bench.finish(step, .failed, done: 0)
            #expect(try await bench.queue.revive([], of: record.run, planning: 2, generation: 1) == 0)
            _ = try await bench.queue.redis.send("ZADD", bench.queue.keys.delayed, "XX", "1", "\(record.run) 1.1")
            #expect(try await bench.claim("a", 10).isEmpty)
            if left == "a lease" {
                #expect(try await bench.queue.acknowledge([bench.settlement(lease)], consumer: "a") == [false])
            }
            #expect(try await bench.reclaim("b").isEmpty)
            let counts = try await bench.counts(record.run)
            #expect(QueueBench.counters.map { counts[$0] } == [0, 0, 0, 0, 0, 0, 2])
            let next = try #require(try await bench.queue.takeStep(owner: "b", lease: .seconds(60)))
            #expect((next.run, next.step) == (record.run, .plan))
            #expect(try await bench.append(1, first: 3, next) == 1)
            #expect(try await bench.claim("a", 10).map(\.message.batch) == ["1.3"])
        }
    }

    @Test func `starts of what was parked are forgotten with the run`() async throws {
        try await QueueBench.with { bench in
            let (record, step) = try await bench.run()
            try await bench.append(1, step)
            _ = try await bench.claim("a")
            let lease = try #require(try await bench.reclaim("b").first)
            #expect(try await bench.queue.start(lease, consumer: "b") == 1)
            _ = try await bench.queue.pause(record.run)
            #expect(try await bench.reclaim("b").isEmpty)
            let keys = bench.queue.keys.prefix + "*"
            func starts() async throws -> [String] {
                (try await bench.queue.redis.send("KEYS", keys).array ?? []).compactMap(\.string).filter {
                    $0.contains(":starts")
                }
            }
            #expect(try await starts().count == 1)
            try await bench.finish(step, .failed, done: 0)
            #expect(try await starts() == [])
        }
    }

    @Test func `a run is paused when all live workers are blind, and what they hold waits for another`() async throws {
        try await QueueBench.with { bench in
            let (record, step) = try await bench.run()
            try await bench.append(2, step)
            for worker in ["a", "b", "gone"] { _ = try await bench.queue.beat([], consumer: worker) }
            _ = try await bench.queue.redis.send("ZADD", bench.queue.keys.workers, "1", "gone")
            func decline(_ worker: String) async throws -> Bool {
                try await bench.queue.decline(record.run, consumer: worker, within: .seconds(60), error: "other")
            }
            #expect(try await decline("a") == false)
            #expect(try await bench.claim("a", 10).isEmpty)
            #expect(try await bench.counts(record.run)["delayed"] == 2)
            try await bench.queue.release(step)
            #expect(try await bench.queue.takeStep(owner: "a", lease: .seconds(60)) == nil)
            #expect(try await decline("b"))
            let fields = try await bench.queue.fields(of: record.run)
            #expect((fields["state"], fields["resume"], fields["error"]) == ("paused", "planning", "other"))
            #expect(try await bench.queue.resume(record.run) == .state(.planning))
            #expect(try await bench.queue.end(record.run, as: .failed, error: "why"))
            #expect(try await decline("a") == false)
            #expect(try await decline("b") == false, "it ends anyway, and for another reason")
            #expect(try await bench.queue.fields(of: record.run)["error"] == "why")
        }
    }

    @Test(arguments: [true, false])
    func `a run is paused, too, when the last worker that could work on it is gone`(polls: Bool) async throws {
        try await QueueBench.with { bench in
            let (record, step) = try await bench.run()
            try await bench.append(2, step)
            for worker in ["blind", "able"] { _ = try await bench.queue.beat([], consumer: worker) }
            let run = record.run
            _ = try await bench.queue.decline(run, consumer: "blind", within: .seconds(60), error: "other")
            #expect(try await bench.queue.fields(of: run)["state"] == "planning")
            try await bench.queue.leave("able")
            if polls {
                _ = try await bench.claim("blind")
            } else {
                try await bench.queue.release(step)
                #expect(try await bench.queue.takeStep(owner: "blind", lease: .seconds(60)) == nil)
            }
            let fields = try await bench.queue.fields(of: run)
            #expect((fields["state"], fields["error"]) == ("paused", "other"))
        }
    }

    @Test func `a run whose time is over ends early`() async throws {
        try await QueueBench.with { bench in
            let (record, step) = try await bench.run()
            try await bench.append(1, step)
            let key = bench.queue.keys.run(record.run)
            try await bench.queue.release(step)
            _ = try await bench.queue.redis.send("HSET", key, "deadline_ms", "1")
            let lease = try #require(try await bench.queue.takeStep(owner: "b", lease: .seconds(60)))
            #expect(lease.step == .reconcile)
            let fields = try await bench.queue.fields(of: record.run)
            #expect((fields["ending"], fields["error"]) == ("failed", "timed out"))
        }
    }

    @Test func `a lost group makes every batch turn up again, and what is no batch counts for nothing`() async throws {
        try await QueueBench.with { bench in
            let (record, step) = try await bench.run()
            try await bench.append(3, step)
            let lease = try #require(try await bench.claim("a").first)
            let stream = bench.queue.keys.stream(.default)
            _ = try await bench.queue.redis.send("XADD", stream, "*", "r", record.run)
            _ = try await bench.queue.redis.send("XGROUP", "DESTROY", stream, "workers")
            try await bench.queue.setup()
            var counts = try await bench.counts(record.run)
            #expect((counts["total"], counts["queued"], counts["leased"]) == (3, 3, 0))
            #expect(try await bench.queue.acknowledge([bench.settlement(lease)], consumer: "a") == [false])
            let leases = try await bench.claim("a", 10)
            #expect(leases.map(\.message.batch) == ["1.1", "1.2", "1.3"])
            _ = try await bench.queue.acknowledge(leases.map { bench.settlement($0) }, consumer: "a")
            counts = try await bench.counts(record.run)
            #expect((counts["total"], counts["queued"], counts["done"]) == (3, 0, 3))
        }
    }
}

extension QueueBench {
    /// Ends a run with the ledger's figures.
    func finish(_ step: StepLease, _ state: RunState, done: Int) async throws {
        let sum = Ledger.Sum(rows: done * 10, cascaded: done, batches: done, finishedAt: "2026-11-21 00:00:00.000000")
        #expect(try await self.queue.finish(step, state: state, sum: sum, error: nil, retention: .seconds(60)))
    }
}
