import Foundation
import PostgresClient
import Shared
import TestSupport
import Testing

@testable import Producer

/// Schedules that change while replicas of both kinds are there, and targets with children.
@Suite(.timeLimit(.minutes(5))) struct ChangedScheduleTests {
    private func withSchedule(_ body: (TestBed) async throws -> Void) async throws {
        let targets = "  Target: {table: events, key: id, max_age: {column: created_at, age: 1d}}"
        let settings = "presets: []\nschedules: {nightly: {cron: \"${CRON}\", catch_up: 24h, targets: Target}}\n"
        try await withTestBed(targets: targets, settings: settings, ownClock: true) { bed in
            try await bed.run("CREATE TABLE events (id bigint PRIMARY KEY, created_at timestamptz)")
            try await bed.ledger.setup(bed.connection)
            try await bed.setClock("2031-05-21 12:05:00Z")
            try await body(bed)
        }
    }

    @Test func `the replica that was started last is right, and no slot before it is run`() async throws {
        try await self.withSchedule { bed in
            var old = try bed.replica(["CRON": "0 * * * *"])
            try await old.look()
            try await bed.setClock("2031-05-21 13:50:00Z")
            var new = try bed.replica(["CRON": "*/15 * * * *"])
            try await new.look()
            try await old.look()
            try await new.look()
            #expect(try await bed.slots() == [])
            #expect(old.log.count("another replica was started with another definition") == 1)
            for time in ["14:00:00", "14:00:30", "14:15:00"] {
                try await bed.setClock("2031-05-21 \(time)Z")
                for _ in 0..<2 {
                    // The clock jumps here; otherwise it never goes unseen for so long.
                    try await new.look()
                    try await old.look()
                }
                try await bed.endRuns()
            }
            #expect(try await bed.slots() == ["14:00", "14:15"])
            #expect(old.log.count("another replica was started with another definition") == 1)
            // The same slot by another definition is the same slot.
            #expect(old.log.count("slot settled") == 0)
        }
    }

    @Test func `when those with the new definition are gone, the others go on`() async throws {
        try await self.withSchedule { bed in
            var old = try bed.replica(["CRON": "0 * * * *"])
            try await old.look()
            var new = try bed.replica(["CRON": "30 * * * *"])
            try await new.look()
            try await bed.setClock("2031-05-21 12:05:59Z", isStill: true)
            try await old.look()
            #expect(old.log.count("schedule has changed") == 0)
            try await bed.setClock("2031-05-21 13:10:00Z")
            try await old.look()
            #expect(old.log.count("schedule has changed") == 1)
            #expect(try await bed.slots() == [])
            try await bed.setClock("2031-05-21 14:00:00Z")
            try await old.look()
            #expect(try await bed.slots() == ["14:00"])
        }
    }

    /// Its last look was in the future.
    @Test func `a definition that was seen by a clock ahead is given up a minute later`() async throws {
        try await self.withSchedule { bed in
            var old = try bed.replica(["CRON": "0 * * * *"])
            try await old.look()
            try await bed.setClock("2032-01-01 00:30:00Z")
            var new = try bed.replica(["CRON": "30 * * * *"])
            try await new.look()
            try await bed.setClock("2031-05-21 12:05:00Z", isStill: true)
            try await old.look()
            try await bed.setClock("2031-05-21 12:05:50Z", isStill: true)
            try await old.look()
            #expect(old.log.count("schedule has changed") == 0)
            try await bed.setClock("2031-05-21 12:06:30Z")
            try await old.look()
            #expect(old.log.count("schedule has changed") == 1)
            try await bed.setClock("2031-05-21 13:00:00Z")
            try await old.look()
            #expect(try await bed.slots() == ["13:00"])
        }
    }

    @Test func `replicas that agree keep their definition seen`() async throws {
        try await self.withSchedule { bed in
            var replica = try bed.replica(["CRON": "0 * * * *"])
            try await replica.look()
            try await bed.setClock("2031-05-21 12:30:00Z")
            try await replica.look()
            let seen = "SELECT to_char(seen_at AT TIME ZONE 'UTC', 'HH24:MI') FROM \(bed.ledger.table("schedule"))"
            #expect(try await bed.strings(seen) == ["12:30"])
        }
    }

    @Test func `a target with children fires with the runs that drain them, all or none`() async throws {
        let targets = """
              Parent:
                table: parents
                key: id
                max_age: {column: deleted_at, age: 1d}
                strategy: key
                drain_first:
                  children: {key: id, joins: {parents: parents.id = children.parent}}
            """
        let settings = "presets: []\nschedules: {nightly: {cron: '*/10 * * * *', targets: Parent}}\n"
        try await withTestBed(targets: targets, settings: settings, ownClock: true) { bed in
            try await bed.run(
                "CREATE TABLE parents (id bigint PRIMARY KEY, deleted_at timestamptz)",
                "CREATE TABLE children (id bigint PRIMARY KEY, parent bigint REFERENCES parents ON DELETE CASCADE)",
                "CREATE INDEX ON children (parent)",
                "INSERT INTO parents SELECT n, now() - interval '2 days' FROM generate_series(1, 10) AS n",
                "INSERT INTO children SELECT n, n % 10 + 1 FROM generate_series(1, 100) AS n"
            )
            try await bed.ledger.setup(bed.connection)
            try await bed.setClock("2031-05-21 12:05:00Z")
            var replica = try bed.replica()
            try await replica.look()
            try await bed.setClock("2031-05-21 12:10:00Z")
            try await replica.look()
            let runs = try await bed.ledger.unfinishedRuns(bed.connection)
            let parent = try #require(runs.first { $0.target == "Parent" })
            #expect(runs.count == 2)
            #expect(parent.after == runs.filter { $0.target != "Parent" }.map(\.run))
            #expect(try await bed.queue.fields(of: parent.run)["after"] == parent.after.first)
            #expect(try await bed.slots() == ["12:10"])
        }
    }
}
