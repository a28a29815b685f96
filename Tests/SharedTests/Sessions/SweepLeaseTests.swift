import Foundation
import RedisClient
import TestSupport
import Testing

@testable import Shared

@Suite struct SweepLeaseTests {
    @Test func `one sweeper works at a time, and another's lease is waited for`() async throws {
        try await withTestBed { bed in
            let site = try SessionSite.ayon(bed)
            try await site.add("old", age: 300_000)
            _ = try await site.redis.send("SET", bed.queue.keys.sweeper, "another", "PX", "600000")
            #expect(try await site.sweep().outcome == .elsewhere)
            #expect(try await site.exists("old"))
            // It was killed and renews nothing.
            _ = try await site.redis.send("PEXPIRE", bed.queue.keys.sweeper, "1")
            try await eventually("the lease lapses") { try await site.sweep().outcome == .finished }
            #expect(try await !site.exists("old"))
            #expect(try await site.redis.send("EXISTS", bed.queue.keys.sweeper).int == 0)
        }
    }

    @Test func `a sweeper whose lease is another's deletes nothing`() async throws {
        try await withTestBed { bed in
            let site = try SessionSite.ayon(bed)
            try await site.add("old", age: 300_000)
            _ = try await site.redis.send("SET", bed.queue.keys.sweeper, "another")
            let keys = bed.queue.keys
            let reply = try await site.redis.evaluate(
                SessionScripts.page,
                keys: [keys.sweeper, keys.sessionEvents, site.key("old")],
                arguments: ["me", "1000", try site.sweeper().document()]
            )
            #expect(throws: LeaseLost.self) { try SweepPage(reply) }
            #expect(try await site.exists("old"))
        }
    }

    @Test func `a sweep that deletes something is told, and one that finds nothing is not`() async throws {
        try await withTestBed { bed in
            let site = try SessionSite.ayon(bed)
            for number in 0..<3 { try await site.add("old-\(number)", age: 300_000) }
            try await site.add("young", age: 1)
            _ = try await site.sweep()
            _ = try await site.sweep()
            let events = try await bed.queue.events.latest(10)
            #expect(events.map(\.topic) == ["sweep"])
            let event = try #require(events.first)
            #expect(event.subject == "ayon" && event.status == "finished" && event.progress == 100)
            #expect(event.counts == ["examined": 4, "expired": 3, "deleted": 3])
            #expect(event.description == "finished, 3 deleted of 4 sessions")
        }
    }

    @Test func `what is not known of a sweep is null in JSON`() throws {
        var report = SweepReport(outcome: .finished, layout: "own")
        report.ages = [.init(upToSeconds: 600, sessions: 1), .init(upToSeconds: nil, sessions: 2)]
        let json = try JSONValue(report)
        #expect(json["oldest_seconds"] == .null && json["events"]?["error"] == .null)
        #expect(
            json["ages"]
                == .array([
                    .object(["up_to_seconds": .int(600), "sessions": .int(1)]),
                    .object(["up_to_seconds": .null, "sessions": .int(2)]),
                ])
        )
        let data = try JSONEncoder().encode(report)
        #expect(try JSONDecoder().decode(SweepReport.self, from: data) == report)
    }

    @Test func `many at once sweep once per interval`() async throws {
        try await withTestBed { bed in
            let site = try SessionSite.ayon(bed)
            for number in 0..<50 { try await site.add("old-\(number)", age: 300_000) }
            let reports = try await withThrowingTaskGroup(of: SweepReport.self) { group in
                for _ in 0..<8 { group.addTask { try await site.sweeper().run(interval: .seconds(3_600)) } }
                return try await group.reduce(into: []) { $0.append($1) }
            }
            #expect(reports.filter { $0.outcome == .finished }.map(\.deleted) == [50])
            #expect(reports.filter { $0.outcome == .elsewhere }.count == 7)
            // Somebody who asks for one gets one.
            #expect(try await site.sweep().outcome == .finished)
        }
    }
}
