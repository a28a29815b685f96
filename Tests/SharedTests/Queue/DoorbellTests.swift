import RedisClient
import TestSupport
import Testing

@testable import Shared

/// What a worker with nothing to do is woken by.
@Suite(.timeLimit(.minutes(5))) struct DoorbellTests {
    /// What is heard of what `body` does, once somebody waits for it.
    private func heard(_ bench: QueueBench, while body: () async throws -> Void) async throws -> Queue.Bell? {
        let waiting = try bench.bed.services.queue()
        let id = try #require(try await waiting.redis.send("CLIENT", "ID").int)
        async let heard = waiting.waitForWork(atMost: .seconds(120))
        // Other tests wait on this server, too: it must be this connection, and blocked.
        try await eventually("it waits") {
            let client = try await bench.queue.redis.send("CLIENT", "LIST", "ID", "\(id)").string ?? ""
            return client.contains(" flags=b") && client.contains(" cmd=xread ")
        }
        try await body()
        let bell = try await heard
        await waiting.close()
        return bell
    }

    @Test func `who waits hears of a batch, but not of one that was there before`() async throws {
        try await QueueBench.with { bench in
            let (_, step) = try await bench.run()
            try await bench.append(1, step)
            #expect(try await bench.queue.waitForWork(atMost: .zero) == nil)
            let bell = try await self.heard(bench) { try await bench.append(1, first: 2, from: "2", step) }
            #expect(bell == .batch)
        }
    }

    /// The event that is heard.
    private func event(_ bench: QueueBench, while body: () async throws -> Void) async throws -> EbbEvent {
        guard case .event(let event) = try await self.heard(bench, while: body) else {
            throw UnexpectedState("no event was heard")
        }
        return event
    }

    @Test func `who waits hears of a new run, and how many rows it is expected to delete`() async throws {
        try await QueueBench.with { bench in
            try await bench.bed.run(
                "INSERT INTO t SELECT n, now() - interval '1 day' FROM generate_series(1, 5000) AS n",
                "ANALYZE t"
            )
            var run: RunRecord?
            let event = try await self.event(bench) { run = try await bench.bed.start("T2") }
            let record = try #require(run)
            #expect(record.estimated > 4_000)
            #expect((event.topic, event.subject, event.target) == ("run.created", record.run, "T2"))
            #expect(event.counts["estimated"] == record.estimated)
        }
    }

    @Test func `who waits hears of another event`() async throws {
        try await QueueBench.with { bench in
            let (record, _) = try await bench.run()
            let event = try await self.event(bench) { try await bench.queue.pause(record.run, error: nil) }
            #expect((event.topic, event.subject) == ("run.paused", record.run))
        }
    }
}
