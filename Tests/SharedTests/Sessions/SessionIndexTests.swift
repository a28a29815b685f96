import Foundation
import RedisClient
import TestSupport
import Testing

@testable import Shared

/// Sweeps that look only at sessions whose time has come.
@Suite struct SessionIndexTests {
    private func sweep(_ site: SessionSite) async throws -> SweepReport {
        try await site.sweeper(isIndexed: true).run()
    }

    private func index(_ site: SessionSite) throws -> SessionIndex {
        SessionIndex(site.layout, document: try site.sweeper().document(), site.bed.queue)
    }

    /// Lets the index say that a session's time came a second ago, as it would if time had passed.
    private func makeDue(_ token: String, _ site: SessionSite) async throws {
        let past = (Date.now.timeIntervalSince1970 - 1) * 1_000
        _ = try await site.redis.send("ZADD", self.index(site).key, "XX", "\(Int(past))", site.key(token))
    }

    private func due(_ token: String, _ site: SessionSite) async throws -> Double? {
        let score = try await site.redis.send("ZSCORE", self.index(site).key, site.key(token)).string
        return score.flatMap(Double.init).map { $0 / 1_000 - Date.now.timeIntervalSince1970 }
    }

    @Test func `after a sweep of all, only those whose time has come are looked at, and compared`() async throws {
        try await withTestBed { bed in
            let site = try SessionSite.ayon(bed)
            for number in 0..<600 { try await site.add("young\(number)", age: 60) }
            try await site.add("old", age: 259_300)
            try await site.add("service", age: 500, isService: true)
            try await site.set("marker", "{\"isInvalid\":true}")
            let first = try await self.sweep(site)
            #expect([first.examined, first.deleted, first.skipped.markers] == [603, 1, 1] as [Int])
            #expect(!first.isPartial)
            let count = try await site.redis.send("ZCARD", self.index(site).key)
            #expect(count.int == 601)
            let young = try #require(try await self.due("young7", site))
            #expect((259_040...259_141).contains(young), "\(young)")
            let service = try #require(try await self.due("service", site))
            #expect((0...101).contains(service), "\(service)")

            // Nothing is due, and nothing is looked at.
            let idle = try await self.sweep(site)
            #expect(idle.isPartial)
            #expect([idle.examined, idle.deleted] == [0, 0] as [Int])

            // The time of four has come: one is over, one was used meanwhile, one is gone, one is something else by now.
            for token in ["young1", "young2", "young3", "young4"] { try await self.makeDue(token, site) }
            try await site.add("young1", age: 259_300)
            try await site.add("young2", age: 1)
            _ = try await site.redis.send("DEL", site.key("young3"))
            try await site.set("young4", "{\"isInvalid\":true}")
            let partial = try await self.sweep(site)
            #expect(partial.isPartial)
            #expect([partial.examined, partial.expired, partial.deleted] == [4, 1, 1] as [Int])
            #expect(partial.skipped == SweepReport.Skipped(markers: 1, gone: 1))
            #expect(try await site.left("young0", "young1", "young2", "young5") == ["young0", "young2", "young5"])
            let used = try #require(try await self.due("young2", site))
            #expect((259_100...259_200).contains(used), "\(used)")
            for token in ["young1", "young3", "young4"] { #expect(try await self.due(token, site) == nil) }
        }
    }

    @Test func `many that are due at once are dealt with page by page`() async throws {
        try await withTestBed { bed in
            let site = try SessionSite.ayon(bed)
            for number in 0..<900 { try await site.add("t\(number)", age: 60) }
            _ = try await self.sweep(site)
            for number in 0..<900 {
                try await self.makeDue("t\(number)", site)
                // Large values make a page end early.
                let more = number.isMultiple(of: 3) ? ",\"x\":\"\(String(repeating: "y", count: 9_000))\"" : ""
                try await site.add("t\(number)", age: number.isMultiple(of: 2) ? 259_300 : 30, more: more)
            }
            let report = try await self.sweep(site)
            #expect([report.examined, report.deleted] == [900, 450] as [Int])
            #expect(try await self.sweep(site).examined == 0)
            #expect(try await site.redis.send("ZCARD", self.index(site).key).int == 450)
        }
    }

    @Test func `all are looked at again when new ones may be over, and when the layout is another`() async throws {
        try await withTestBed { bed in
            let site = try SessionSite.ayon(bed)
            try await site.add("first", age: 60)
            _ = try await self.sweep(site)
            // Until ten minutes after the sweep's begin, the shortest lifetime, no session that came later can be over.
            let key = bed.queue.keys.sessionIndexComplete(String(try self.index(site).key.suffix(16)))
            let left = try #require(try await site.redis.send("PTTL", key).int)
            #expect((500_000...600_000).contains(left), "\(left)")
            try await site.add("late", age: 259_300)
            #expect(try await self.sweep(site).examined == 0)
            _ = try await site.redis.send("DEL", key)
            let report = try await self.sweep(site)
            #expect([report.examined, report.deleted] == [2, 1] as [Int])

            let shorter = try SessionSite.ayon(bed, ["AYON_SESSION_TTL": "30"])
            try await site.add("young", age: 60)
            #expect(try await self.sweep(site).examined == 0)
            let other = try await self.sweep(shorter)
            #expect([other.examined, other.deleted] == [2, 2] as [Int])
        }
    }

    @Test func `all are looked at again when Redis has evicted the index`() async throws {
        try await withTestBed { bed in
            let site = try SessionSite.ayon(bed)
            try await site.add("young", age: 60)
            #expect(try await self.sweep(site).isPartial == false)
            #expect(try await self.sweep(site).isPartial)
            _ = try await site.redis.send("DEL", self.index(site).key)
            let report = try await self.sweep(site)
            #expect(!report.isPartial)
            #expect(report.examined == 1)
        }
    }

    @Test func `what others delete does not stay in the index, though every sweep looks at all`() async throws {
        try await withTestBed { bed in
            let site = try SessionSite.ayon(bed)
            for number in 0..<300 { try await site.add("t\(number)", age: 60) }
            try await site.add("young", age: 60)
            _ = try await self.sweep(site)
            for number in 0..<300 {
                _ = try await site.redis.send("DEL", site.key("t\(number)"))
                try await self.makeDue("t\(number)", site)
            }
            let index = try self.index(site)
            _ = try await site.redis.send("DEL", bed.queue.keys.sessionIndexComplete(String(index.key.suffix(16))))
            let report = try await self.sweep(site)
            #expect(!report.isPartial)
            #expect([report.examined, report.skipped.gone] == [301, 300] as [Int])
            #expect(try await site.redis.send("ZCARD", index.key).int == 1)
        }
    }

    @Test(arguments: [true, false])
    func `times that are no times, and times without end, disturb nothing`(_ isIndexed: Bool) async throws {
        try await withTestBed { bed in
            let site = try SessionSite.ayon(bed)
            for (token, time) in [("nan", "NaN"), ("inf", "Infinity"), ("huge", "1e300"), ("old", "5")] {
                try await site.set(token, "{\"last_used\":\(time),\"token\":\"\(token)\"}")
            }
            let report = try await site.sweeper(isIndexed: isIndexed).run()
            #expect([report.examined, report.deleted, report.skipped.malformed] == [4, 1, 1] as [Int])
            #expect(try await site.left("nan", "inf", "huge", "old") == ["nan", "inf", "huge"])
            guard isIndexed else { return }
            #expect(try await self.due("nan", site) == nil)
            for token in ["inf", "huge"] {
                let due = try #require(try await self.due(token, site))
                #expect((0...(2 * 259_201)).contains(due), "\(due)")
            }
        }
    }

    @Test func `a sweep that was stopped does not count as one of all`() async throws {
        try await withTestBed { bed in
            let site = try SessionSite.ayon(bed)
            for number in 0..<600 { try await site.add("t\(number)", age: 60) }
            let stopped = Task {
                while !Task.isCancelled { await Task.yield() }
                return try await self.sweep(site)
            }
            stopped.cancel()
            // It may also have been refused by Redis's client before it began.
            let outcome = try? await stopped.value.outcome
            #expect(outcome != .finished)
            let report = try await self.sweep(site)
            #expect(!report.isPartial)
            #expect(report.examined == 600)
        }
    }

    @Test(arguments: [
        ("keys: \"NS:z:{token}\"\nlast_used: {sorted_set: \"NS:all\"}\nlifetime: 1h", false),
        ("keys: \"NS:{token}\"\nexpires_at: {json: exp}", false),
        ("keys: \"NS:{token}\"\nlast_used: idle\nlifetime: 1h", true),
        ("keys: \"NS:{token}\"\nlast_used: {hash: seen}\nlifetime: 1h", true),
    ])
    func `only sessions with a lifetime have an index of Ebb's`(_ yaml: String, _ serves: Bool) async throws {
        try await withTestBed { bed in
            let layout = try SessionSite.written(bed, yaml).layout
            #expect(SessionIndex.serves(layout) == serves)
        }
    }

    @Test func `hashes and idle keys have one, too`() async throws {
        try await withTestBed { bed in
            let hashes = try SessionSite.written(bed, "keys: \"NS:h:{token}\"\nlast_used: {hash: seen}\nlifetime: 1h")
            let now = Int(Date.now.timeIntervalSince1970)
            _ = try await hashes.redis.send("HSET", hashes.key("young"), "seen", "\(now - 60)")
            _ = try await hashes.redis.send("HSET", hashes.key("old"), "seen", "\(now - 3_700)")
            #expect(try await self.sweep(hashes).deleted == 1)
            let due = try #require(try await self.due("young", hashes))
            #expect((3_440...3_541).contains(due), "\(due)")

            let idle = try SessionSite.written(bed, "keys: \"NS:i:{token}\"\nlast_used: idle\nlifetime: 1h")
            try await idle.set("young", "x")
            #expect(try await self.sweep(idle).examined == 1)
            let left = try #require(try await self.due("young", idle))
            #expect((3_500...3_601).contains(left), "\(left)")
        }
    }
}
