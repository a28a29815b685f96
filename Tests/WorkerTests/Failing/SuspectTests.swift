import RedisClient
import Shared
import TestSupport
import Testing

/// A batch whose holders vanish may be what takes them down.
@Suite(.timeLimit(.minutes(5))) struct SuspectTests {
    /// A run whose first batch was started so many times by workers that vanished, beside others that were never touched.
    private func withVanished(_ starts: Int, _ body: (TestBed, RunRecord, Lease) async throws -> Void) async throws {
        let settings = Unhurried.settings(Poison.backoffs) + "\nvacuum: off"
        try await withTestBed(targets: Poison.target(.block), settings: settings) { bed in
            try await bed.createEvents(4_000)
            let record = try await bed.start(batchRows: 100)
            try await bed.step(record.run)
            func poll(_ consumer: String, _ reclaims: Bool) async throws -> Lease? {
                let cursors = Dictionary(uniqueKeysWithValues: bed.queue.streams.map { ($0, "0-0") })
                let lease: Duration = reclaims ? .zero : .seconds(60)
                return try await bed.queue.poll(
                    .init(consumer: consumer, lease: lease, slots: 1, reclaim: reclaims ? cursors : nil, ahead: (0, 0))
                ).leases.first
            }
            var lease = try #require(try await poll("vanished", false))
            for start in 1..<starts {
                lease = try #require(try await poll("vanished\(start)", true))
                #expect(try await bed.queue.start(lease, consumer: "vanished\(start)") == start)
            }
            // As if the last of them had been silent for a day; JUSTID makes it no further delivery.
            _ = try await bed.queue.redis.send(
                "XCLAIM",
                lease.stream,
                "workers",
                "vanished\(starts - 1)",
                "0",
                lease.entry,
                "IDLE",
                "86400000",
                "JUSTID"
            )
            try await body(bed, record, lease)
        }
    }

    @Test func `runs alone once two of them have vanished`() async throws {
        try await self.withVanished(2) { bed, record, lease in
            guard case .block(let from, let to)? = lease.message.range else { return }
            // While rows of the suspect go, how many other deletes are under way?
            try await bed.run("CREATE TABLE seen (others bigint)")
            try await bed.onDelete(
                """
                PERFORM pg_sleep(0.002);
                IF (old.ctid::text::point)[0] >= \(from) AND (old.ctid::text::point)[0] < \(to) THEN
                  INSERT INTO seen SELECT count(*) FROM pg_stat_activity
                  WHERE state = 'active' AND query LIKE '%DELETE FROM "\(bed.schema)"%' AND pid <> pg_backend_pid();
                END IF
                """
            )
            try await bed.work(slots: 4)
            expectFinished(try await bed.outcome(of: record.run), rows: 3_990)
            #expect(try await bed.int("SELECT count(*) FROM seen WHERE others > 0") == 0)
            #expect(try await bed.int("SELECT count(*) FROM seen") > 0)
        }
    }

    @Test func `starts at most as often as there are attempts, and its neighbours are not punished`() async throws {
        try await self.withVanished(3) { bed, record, _ in
            try await bed.work()
            let outcome = try await bed.outcome(of: record.run)
            #expect(outcome.state == "failed")
            let letters = try await bed.queue.deadLetters(of: record.run)
            #expect(letters.map(\.batch) == ["1.1"])
            #expect(letters.first?.error.contains("started 3 times") == true, "\(letters)")
            #expect(outcome.count("done") == outcome.count("total") - 1)
            #expect(outcome.unrest == [])
        }
    }
}
