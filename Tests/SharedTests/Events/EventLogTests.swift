import Foundation
import RedisClient
import TestSupport
import Testing

@testable import Shared

@Suite struct EventLogTests {
    private static let targets = "  Target: {table: items, key: id, expires_at: expires}"

    private static func seed(_ bed: TestBed) async throws {
        try await bed.run(
            "CREATE TABLE items (id int PRIMARY KEY, expires timestamptz)",
            "INSERT INTO items SELECT i, now() - interval '1 day' FROM generate_series(1, 3) i"
        )
    }

    private static func topics(_ bed: TestBed) async throws -> [String] {
        try await bed.queue.events.latest(100).map(\.topic)
    }

    @Test func `what is appended is read, in order, with all its fields`() async throws {
        try await withTestBed { bed in
            let log = bed.queue.events
            #expect(try await log.latest(10) == [])
            #expect(try await log.events(after: "", patience: .milliseconds(1)) == [])
            var first = EbbEvent(
                .stage,
                subject: "p1",
                target: "Logs",
                schema: "odd \"schema\"",
                status: "failed",
                description: "a {\"b\"}\nc",
                progress: 12.5,
                counts: ["deleted": 3, "dead": 0],
                error: "it broke"
            )
            first.id = try await log.append(first)
            var second = EbbEvent(.maintenance, subject: "p1", status: "finished")
            second.id = try await log.append(second)
            #expect(try await log.latest(10) == [first, second])
            #expect(try await log.latest(1) == [second])
            #expect(try await log.events(after: first.id, patience: .milliseconds(1)) == [second])
            #expect(try await log.events(after: second.id, patience: .milliseconds(1)) == [])
            let time = try #require(first.time)
            #expect(abs(time.timeIntervalSinceNow) < 600)
        }
    }

    @Test func `a follower gets what comes later`() async throws {
        try await withTestBed { bed in
            let queue = try bed.services.queue()
            async let found = queue.events.events(after: "", patience: .seconds(120))
            try await bed.queue.events.append(EbbEvent(.sweep, subject: "s", status: "finished"))
            #expect(try await found.map(\.topic) == ["sweep"])
            await queue.close()
        }
    }

    @Test func `the log keeps about as many events as it should`() async throws {
        try await withTestBed(settings: "events: {most: 100}") { bed in
            try await bed.queue.setup()
            for number in 0..<400 {
                try await bed.queue.events.append(EbbEvent(.sweep, subject: "\(number)", status: "finished"))
            }
            let kept = try await bed.queue.events.latest(400)
            #expect((100...300).contains(kept.count))
            #expect(kept.last?.subject == "399")
        }
    }

    @Test func `a run tells of its beginning, its pauses and its end, each once`() async throws {
        try await withTestBed(targets: Self.targets, settings: "vacuum: off") { bed in
            try await Self.seed(bed)
            let run = try await bed.start()
            _ = try await bed.start()
            #expect(try await Self.topics(bed) == ["run.created"])
            let control = bed.services.runControl(bed.queue)
            try await control.pause(run.run)
            try await control.pause(run.run)
            _ = try await control.resume(run.run, bed.connection)
            _ = try await control.resume(run.run, bed.connection)
            try await control.cancel(run.run, bed.connection)
            try await control.cancel(run.run, bed.connection)
            while try await bed.step(run.run) != nil {}
            let events = try await bed.queue.events.latest(100)
            #expect(
                events.map(\.topic) == ["run.created", "run.paused", "run.resumed", "run.cancelled"]
            )
            #expect(events.allSatisfy { $0.subject == run.run && $0.target == "Target" && $0.schema == bed.schema })
            #expect(events.map(\.status) == ["planning", "paused", "planning", "cancelled"])
        }
    }

    @Test func `a run that finds nothing finishes at 100 percent`() async throws {
        try await withTestBed(targets: Self.targets, settings: "vacuum: off") { bed in
            try await bed.run("CREATE TABLE items (id int PRIMARY KEY, expires timestamptz)")
            let run = try await bed.start()
            while try await bed.step(run.run) != nil {}
            let last = try #require(try await bed.queue.events.latest(1).first)
            #expect(last.topic == "run.finished" && last.progress == 100 && last.error == nil)
            #expect(last.counts["deleted"] == 0 && last.counts["dead"] == 0)
        }
    }

    @Test func `a pause by an error carries the error, and a run that was lost is created again`() async throws {
        try await withTestBed(targets: Self.targets, settings: "vacuum: off") { bed in
            try await Self.seed(bed)
            let run = try await bed.start()
            try await bed.queue.pause(run.run, error: "no such column")
            let paused = try #require(try await bed.queue.events.latest(1).first)
            #expect(paused.topic == "run.paused" && paused.error == "no such column")
            _ = try await bed.queue.redis.send("UNLINK", bed.queue.keys.run(run.run))
            #expect(try await bed.services.runControl(bed.queue).recover(run.run, bed.connection))
            #expect(try await Self.topics(bed) == ["run.created", "run.paused", "run.created"])
            _ = try await bed.queue.redis.send("UNLINK", bed.queue.keys.run(run.run))
            try await bed.services.runControl(bed.queue).cancel(run.run, bed.connection)
            #expect(try await Self.topics(bed).last == "run.cancelled")
        }
    }

    @Test func `a log of another kind does not stop a run`() async throws {
        try await withTestBed(targets: Self.targets, settings: "vacuum: off") { bed in
            try await Self.seed(bed)
            _ = try await bed.queue.redis.send("SET", bed.queue.keys.events, "text")
            let run = try await bed.start()
            try await bed.queue.end(run.run, as: .cancelled, error: nil)
            while try await bed.step(run.run) != nil {}
            #expect(try await bed.outcome(of: run.run).state == "cancelled")
            await #expect(throws: RedisError.self) {
                try await bed.queue.events.append(EbbEvent(.sweep, subject: "s", status: "finished"))
            }
        }
    }
}
