import Logging
import RedisClient
import Shared
import TestSupport
import Testing

@testable import Worker

/// What a worker's slots come to reaches the queue, whatever the slots are doing by then.
@Suite(.timeLimit(.minutes(5))) struct FetcherTests {
    private static let target =
        "  Target: {table: events, key: id, max_age: {column: created_at, age: 1d}, strategy: key}"
    private let logger = Logger(label: "ebb.test")

    /// A planned run of one batch a row, and a worker that has leased `leased` of them.
    private func withLeases(
        _ rows: Int,
        leased: Int,
        _ body: (TestBed, inout Fetcher, _ run: String, [Lease]) async throws -> Void
    ) async throws {
        try await withTestBed(targets: Self.target, settings: Unhurried.leases) { bed in
            try await bed.run(
                "CREATE TABLE events (id bigint PRIMARY KEY, created_at timestamp)",
                "INSERT INTO events SELECT n, now() - interval '2 days' FROM generate_series(1, \(rows)) AS n"
            )
            let run = try await bed.start().run
            try await bed.step(run)
            var fetcher = Fetcher(queue: bed.queue, consumer: "worker", configuration: bed.services.configuration)
            var leases: [Lease] = []
            while leases.count < leased {
                let work = try await fetcher.fetch(slots: leased - leases.count, self.logger)
                try #require(!work.leases.isEmpty)
                leases += work.leases
            }
            try await body(bed, &fetcher, run, leases)
        }
    }

    private func done(_ lease: Lease) -> Verdict {
        .done(Settlement(lease: lease, rows: 1, cascaded: 0, isMeasured: true, microseconds: 5))
    }

    private func count(_ bed: TestBed, _ run: String, _ field: String = "done") async throws -> Int? {
        try await bed.queue.fields(of: run)[field].flatMap { Int($0) }
    }

    @Test(arguments: [0, -1])
    func `what is done is told at once when no slot is free, also when a step runs beside full slots`(
        slots: Int
    ) async throws {
        try await self.withLeases(3, leased: 2) { bed, fetcher, run, leases in
            fetcher.settle(self.done(leases[0]))
            let work = try await fetcher.fetch(slots: slots, self.logger)
            #expect(work.leases.isEmpty)
            #expect(try await self.count(bed, run) == 1)
        }
    }

    @Test func `what is done is told with the next fetch, which brings the next batch`() async throws {
        try await self.withLeases(3, leased: 2) { bed, fetcher, run, leases in
            for lease in leases { fetcher.settle(self.done(lease)) }
            let work = try await fetcher.fetch(slots: 2, self.logger)
            #expect(work.leases.count == 1)
            #expect(try await self.count(bed, run) == 2)
            #expect(try await self.count(bed, run, "rows") == 2)
            #expect(fetcher.holdsWork)
        }
    }

    @Test func `what the queue refused is told again`() async throws {
        try await self.withLeases(2, leased: 1) { bed, fetcher, run, leases in
            let stream = try #require(leases.first).stream
            _ = try await bed.queue.redis.send("RENAME", stream, stream + ":away")
            _ = try await bed.queue.redis.send("SET", stream, "no stream")
            fetcher.settle(self.done(leases[0]))
            for slots in [1, 0] {
                var failure: RedisError?
                do { failure = try await fetcher.fetch(slots: slots, self.logger).failure } catch let error
                    as RedisError
                {
                    failure = error
                }
                #expect(failure != nil)
            }
            _ = try await bed.queue.redis.send("RENAME", stream + ":away", stream)
            #expect(try await self.count(bed, run) == 0)
            let work = try await fetcher.fetch(slots: 1, self.logger)
            #expect(work.leases.count == 1)
            #expect(try await self.count(bed, run) == 1)
        }
    }

    @Test func `more than one script takes is told in several`() async throws {
        try await self.withLeases(230, leased: 230) { bed, fetcher, run, leases in
            for lease in leases { fetcher.settle(self.done(lease)) }
            let work = try await fetcher.fetch(slots: 1, self.logger)
            #expect(work.step?.step == .verify, "all are told before a step is taken")
            #expect(try await self.count(bed, run) == 230)
        }
    }

    @Test func `what failed is told after what is done, and a worker that leaves tells all`() async throws {
        try await self.withLeases(3, leased: 3) { bed, fetcher, run, leases in
            fetcher.settle(self.done(leases[0]))
            fetcher.settle(.back(leases[1], .release(after: .zero)))
            let work = try await fetcher.fetch(slots: 1, self.logger)
            #expect(work.leases.map(\.message.batch) == [leases[1].message.batch])
            #expect(try await self.count(bed, run) == 1)
            fetcher.settle(self.done(leases[2]))
            try await fetcher.leave()
            #expect(try await self.count(bed, run) == 2)
            #expect(try await self.count(bed, run, "leased") == 1)
        }
    }
}
