import Foundation
import PostgresClient
import RedisClient
import Shared
import TestSupport
import Testing

@testable import Producer

/// Schedulers on real servers, with the database's clock put by the tests; the clock of this machine tells another time all along.
@Suite(.timeLimit(.minutes(5))) struct SchedulerTests {
    @Test func `a slot fires once, however many race for it`() async throws {
        try await withScheduledTarget(#"cron: "*/10 * * * *""#) { bed in
            let replicas = try (0..<8).map { _ in try bed.replica() }
            try await replicas.race()
            #expect(try await bed.slots() == [])
            for slot in 1...5 {
                try await bed.setClock("2031-05-21 12:\(slot)0:00Z")
                try await replicas.race()
                #expect(try await bed.slots().count == slot)
                try await bed.endRuns()
            }
            #expect(try await bed.slots() == ["12:10", "12:20", "12:30", "12:40", "12:50"])
            #expect(replicas.map { $0.log.count("slot settled") }.reduce(0, +) == 5)
            // Created by the database's clock, and known to the queue.
            for run in try await bed.strings("SELECT run FROM \(bed.ledger.table("run"))") {
                #expect(try await bed.queue.fields(of: run)["state"] == "planning")
            }
        }
    }

    @Test func `what is due is known to the second, and slept until`() async throws {
        try await withScheduledTarget(#"cron: "*/10 * * * *""#) { bed in
            var replica = try bed.replica()
            try await replica.look()
            try await bed.setClock("2031-05-21 12:09:55Z", isStill: true)
            let start = ContinuousClock.now
            let pause = try await replica.pause()
            // Less the time that the look itself has taken.
            let elapsed = start.duration(to: .now)
            #expect(pause <= .milliseconds(5_001) && pause + elapsed >= .milliseconds(5_001))
            #expect(try await bed.slots() == [])
            try await bed.setClock("2031-05-21 12:10:00Z")
            #expect(try await replica.pause() > .seconds(5))
            #expect(try await bed.slots() == ["12:10"])
        }
    }

    @Test func `a run whose scheduler died before the queue knew it is taken over`() async throws {
        try await withScheduledTarget(#"cron: "*/10 * * * *""#) { bed in
            var replica = try bed.replica()
            try await replica.look()
            try await bed.setClock("2031-05-21 12:10:01Z")
            // What a scheduler does up to its COMMIT.
            let plan = try await bed.services.runStarter(bed.queue).plan(
                try bed.target(),
                knobs: KnobValues(maxAge: .seconds(86_400)),
                bed.connection
            )
            let slot = Ledger.Slot(
                schedule: "nightly",
                target: "Target",
                definition: try #require(replica.scheduler.entries.first?.timing?.definition),
                moment: try Date("2031-05-21T12:10:00Z", strategy: .iso8601)
            )
            guard case .started(let record) = try await bed.ledger.fire(slot, .one(plan), bed.connection) else {
                Issue.record("the slot was not open")
                return
            }
            #expect(try await bed.queue.fields(of: record.run).isEmpty)

            var others = try (0..<3).map { _ in try bed.replica() }
            for index in others.indices { try await others[index].look() }
            #expect(try await bed.queue.fields(of: record.run)["state"] == "planning")
            #expect(try await bed.slots() == ["12:10"])
            // Once more, and it is over.
            while try await bed.step(record.run) != nil {}
            for index in others.indices { try await others[index].look() }
            #expect(try await bed.int("SELECT count(*) FROM \(bed.ledger.table("run"))") == 1)
            guard case .taken = try await bed.ledger.fire(slot, .one(plan), bed.connection) else {
                Issue.record("the slot fired again")
                return
            }
        }
    }

    @Test func `no slot before the first sight of a schedule is run`() async throws {
        try await withScheduledTarget(#"cron: "0 * * * *", catch_up: 24h"#) { bed in
            var replica = try bed.replica()
            try await replica.look()
            try await replica.look()
            #expect(try await bed.slots() == [])
            #expect(try await bed.outcome() == nil)
        }
    }

    @Test func `of what was missed the newest runs, once, unless it is too old`() async throws {
        try await withScheduledTarget(#"cron: "*/10 * * * *", catch_up: 8m"#) { bed in
            var replica = try bed.replica()
            try await replica.look()
            try await bed.setClock("2031-05-21 12:37:00Z")
            var second = try bed.replica()
            try await second.look()
            try await replica.look()
            #expect(try await bed.slots() == ["12:30"])
            try await bed.endRuns()
            try await bed.setClock("2031-05-21 12:59:00Z")
            try await replica.look()
            #expect(try await bed.slots() == ["12:30"])
            #expect(try await bed.outcome() == "missed: it was due longer ago than catch_up (8m) allows")
            #expect(replica.log.count("slot settled") == 1)
            try await bed.setClock("2031-05-21 13:00:00Z")
            try await replica.look()
            #expect(try await bed.slots() == ["12:30", "13:00"])
        }
    }

    @Test func `a target never overlaps itself, and goes on with the next slot`() async throws {
        try await withScheduledTarget(#"cron: "*/10 * * * *""#) { bed in
            var replica = try bed.replica()
            try await replica.look()
            try await bed.setClock("2031-05-21 12:10:00Z")
            try await replica.look()
            let run = try #require(try await bed.strings("SELECT run FROM \(bed.ledger.table("run"))").first)
            try await bed.setClock("2031-05-21 12:20:00Z")
            try await replica.look()
            #expect(try await bed.outcome() == "skipped: run \(run) is not over")
            try await bed.endRuns()
            try await replica.look()
            #expect(try await bed.slots() == ["12:10"])
            try await bed.setClock("2031-05-21 12:30:00Z")
            try await replica.look()
            #expect(try await bed.slots() == ["12:10", "12:30"])
            #expect(try await bed.outcome() == "started")
        }
    }

    @Test func `a run that is out of time ends first, and costs no slot its run`() async throws {
        try await withScheduledTarget(#"cron: "*/10 * * * *""#) { bed in
            var replica = try bed.replica()
            try await replica.look()
            try await bed.setClock("2031-05-21 12:10:00Z")
            try await replica.look()
            try await bed.run("UPDATE \(bed.ledger.table("run")) SET deadline = '2031-05-21 12:15:00Z'")
            try await bed.setClock("2031-05-21 12:20:00Z")
            try await replica.look()
            #expect(try await bed.slots() == ["12:10"])
            #expect(try await bed.outcome() == "started", "the slot is open")
            try await bed.endRuns()
            try await replica.look()
            #expect(try await bed.slots() == ["12:10", "12:20"])
        }
    }

    @Test func `a run that somebody has asked for is in the way, too, and is made known again when Redis has lost it`()
        async throws
    {
        try await withScheduledTarget(#"cron: "*/10 * * * *""#) { bed in
            var replica = try bed.replica()
            try await replica.look()
            let run = try await bed.start().run
            try await bed.loseRedis()
            try await bed.setClock("2031-05-21 12:10:00Z")
            try await replica.look()
            #expect(try await bed.outcome() == "skipped: run \(run) is not over")
            #expect(try await bed.queue.fields(of: run)["state"] == "planning")
            #expect(replica.log.count("run is in the queue") == 1)
        }
    }

    @Test func `jitter moves a run, not its slot`() async throws {
        try await withScheduledTarget(#"cron: "0 * * * *", jitter: 30m"#) { bed in
            var replica = try bed.replica()
            try await replica.look()
            let slot = try Date("2031-05-21T13:00:00Z", strategy: .iso8601)
            let timing = try #require(replica.scheduler.entries.first?.timing)
            let moment = timing.moment(of: slot)
            #expect(moment > slot.addingTimeInterval(2))
            try await bed.setClock(moment.addingTimeInterval(-1.5).formatted(.iso8601), isStill: true)
            try await replica.look()
            #expect(try await bed.slots() == [])
            try await bed.setClock(moment.addingTimeInterval(1).formatted(.iso8601))
            try await replica.look()
            #expect(try await bed.slots() == ["13:00"])
        }
    }

    @Test func `a target that is off has its slots settled, and is logged once`() async throws {
        let target = #"  Target: {table: events, key: id, max_age: {column: created_at, age: "${AGE}"}}"#
        try await withScheduledTarget(#"cron: "*/10 * * * *""#, targets: target) { bed in
            var replica = try bed.replica()
            try await replica.look()
            for slot in ["12:10", "12:20", "12:30"] {
                try await bed.setClock("2031-05-21 \(slot):00Z")
                try await replica.look()
                #expect(try await bed.outcome() == "off: AGE is not set")
            }
            #expect(try await bed.slots() == [])
            #expect(replica.log.count("slot settled") == 1)
            var changed = try bed.replica(["AGE": "1d"])
            try await bed.setClock("2031-05-21 12:40:00Z")
            try await changed.look()
            #expect(try await bed.slots() == ["12:40"])
        }
    }

    @Test func `a variable of Distr's is enough for its target's slots to fire`() async throws {
        let variables = [
            "METRICS_ENTRIES_MAX_AGE": "72h", "CLEANUP_DEPLOYMENT_TARGET_METRICS_CRON": "*/10 * * * *",
            "CLEANUP_DEPLOYMENT_TARGET_METRICS_TIMEOUT": "10m",
        ]
        try await withTestBed(settings: "presets: [distr]", ownClock: true) { bed in
            try await bed.run(
                """
                CREATE TABLE deploymenttargetmetrics
                (id uuid PRIMARY KEY, created_at timestamp NOT NULL, deployment_target_id uuid NOT NULL)
                """
            )
            try await bed.ledger.setup(bed.connection)
            try await bed.setClock("2031-05-21 12:05:00Z")
            var replica = try bed.replica(variables)
            try await replica.look()
            try await bed.setClock("2031-05-21 12:10:00Z")
            try await replica.look()
            #expect(try await bed.slots() == ["12:10"])
            #expect(try await bed.outcome() == "started")
            let runs = try await bed.strings(
                """
                SELECT target || ' ' || extract(epoch FROM deadline - created_at)::integer
                FROM \(bed.ledger.table("run"))
                """
            )
            #expect(runs == ["DeploymentTargetMetrics 600"])
        }
    }

    @Test func `what cannot be planned is the slot's outcome`() async throws {
        try await withScheduledTarget(#"cron: "*/10 * * * *""#) { bed in
            var replica = try bed.replica()
            try await replica.look()
            try await bed.run("ALTER TABLE events RENAME TO others")
            try await bed.setClock("2031-05-21 12:10:00Z")
            try await replica.look()
            let outcome = try #require(try await bed.outcome())
            #expect(outcome.hasPrefix("failed: ") && outcome.contains("events"), "\(outcome)")
            try await bed.run("ALTER TABLE others RENAME TO events")
            try await replica.look()
            #expect(try await bed.slots() == [])
            try await bed.setClock("2031-05-21 12:20:00Z")
            try await replica.look()
            #expect(try await bed.slots() == ["12:20"])
        }
    }

    @Test func `a locked table holds its own slot up, and nothing else`() async throws {
        let targets = scheduledTarget + "\n  Other: {table: others, key: id, max_age: {column: created_at, age: 1d}}"
        let schedules = "nightly: {cron: '*/10 * * * *', targets: [Target, Other]}"
        try await withTestBed(targets: targets, settings: "schedules: {\(schedules)}", ownClock: true) { bed in
            try await bed.run(
                "CREATE TABLE events (id bigint PRIMARY KEY, created_at timestamptz)",
                "CREATE TABLE others (id bigint PRIMARY KEY, created_at timestamptz)"
            )
            try await bed.ledger.setup(bed.connection)
            try await bed.setClock("2031-05-21 12:05:00Z")
            var replica = try bed.replica(planningLimit: .seconds(2))
            try await replica.look()
            let locker = try await bed.connect()
            _ = try await locker.query("BEGIN")
            _ = try await locker.query("LOCK TABLE events IN ACCESS EXCLUSIVE MODE")
            try await bed.setClock("2031-05-21 12:10:00Z")
            let fired = "SELECT target FROM \(bed.ledger.table("run")) ORDER BY target"
            // On a busy machine, planning of the other may take more than a look.
            while try await bed.strings(fired).isEmpty { #expect(try await replica.pause() <= .seconds(1)) }
            #expect(try await bed.strings(fired) == ["Other"])
            try await replica.look()
            let complaints = replica.log.all.filter { $0.contains("slot has to wait") && $0.contains(": Target") }
            #expect(complaints.count == 1, "\(replica.log.all)")
            _ = try await locker.query("ROLLBACK")
            await locker.close()
            while try await bed.strings(fired).count < 2 { try await replica.look() }
            #expect(try await bed.strings(fired) == ["Other", "Target"])
        }
    }

    @Test func `Redis being away stops no schedule`() async throws {
        try await withScheduledTarget(#"cron: "*/10 * * * *""#) { bed in
            let nowhere = RedisClient(
                configuration: try RedisConfiguration(
                    url: "unix:///nonexistent/redis.sock",
                    commandTimeout: .milliseconds(200)
                )
            )
            let queue = Queue(redis: nowhere, namespace: bed.namespace)
            var replica = try bed.replica(queue: queue)
            try await replica.look()
            try await bed.setClock("2031-05-21 12:10:00Z")
            try await replica.look()
            try await replica.look()
            #expect(try await bed.slots() == ["12:10"])
            #expect(replica.log.count("Redis is away") == 1)
            await queue.close()
            var other = try bed.replica()
            try await other.look()
            let run = try #require(try await bed.strings("SELECT run FROM \(bed.ledger.table("run"))").first)
            #expect(try await bed.queue.fields(of: run)["state"] == "planning")
        }
    }
}
