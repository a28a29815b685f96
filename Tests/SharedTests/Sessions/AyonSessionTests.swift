import Foundation
import RedisClient
import TestSupport
import Testing

@testable import Shared

@Suite struct AyonSessionTests {
    private static let token = String(repeating: "ab", count: 32)

    @Test func `sessions go after 72 hours, those of keys after ten minutes`() async throws {
        try await withTestBed { bed in
            let site = try SessionSite.ayon(bed)
            try await site.add("young", age: 259_000)
            try await site.add("old", age: 259_210)
            try await site.add("young-service", age: 400, isService: true)
            try await site.add("old-service", age: 610, isService: true)
            let report = try await site.sweep()
            #expect(try await site.left("young", "old", "young-service", "old-service") == ["young", "young-service"])
            #expect(report.outcome == .finished)
            #expect([report.examined, report.expired, report.deleted] == [4, 2, 2] as [Int])
            #expect(report.skipped == SweepReport.Skipped())
            #expect(try #require(report.oldestSeconds) >= 259_210)
            #expect(report.ages.map(\.sessions) == [1, 1, 0, 1, 1, 0, 0])
            #expect(try await site.sweep().expired == 0)
        }
    }

    @Test func `a lifetime and a prefix come from the product's own variables`() async throws {
        try await withTestBed { bed in
            let site = try SessionSite.ayon(bed, ["AYON_SESSION_TTL": "60"])
            try await site.add("young", age: 5)
            try await site.add("old", age: 70)
            #expect(try await site.sweep().deleted == 1)
            #expect(try await site.left("young", "old") == ["young"])
        }
        let bare = SessionLayoutParser(environment: Environment(["AYON_REDIS_KEY_PREFIX": ""]))
        #expect(try bare.preset(.ayon).pattern == "session-*")
        #expect(throws: ConfigurationError.self) {
            try SessionLayoutParser(environment: Environment(["AYON_SESSION_TTL": "soon"])).preset(.ayon)
        }
    }

    @Test func `a session is over when it has been idle for longer than its lifetime, and not for as long`()
        async throws
    {
        try await withTestBed { bed in
            let site = try SessionSite.ayon(bed)
            let now = 1_000_000.0
            let tokens = ["equal", "longer", "equal-service", "longer-service", "future"]
            try await site.set("equal", SessionSite.session("equal", lastUsed: now - 259_200))
            try await site.set("longer", SessionSite.session("longer", lastUsed: now - 259_200.25))
            try await site.set("equal-service", SessionSite.session("equal-service", lastUsed: now - 600, true))
            try await site.set("longer-service", SessionSite.session("longer-service", lastUsed: now - 600.25, true))
            try await site.set("future", SessionSite.session("future", lastUsed: now + 10))
            let page = try await site.page(tokens, at: 1_000_000)
            #expect([page.looked, page.expired, page.deleted] == [5, 2, 2] as [Int])
            #expect(
                try await site.left("equal", "longer", "equal-service", "longer-service", "future")
                    == ["equal", "equal-service", "future"]
            )
        }
    }

    @Test func `a session that was refreshed after it was found lives`() async throws {
        try await withTestBed { bed in
            let site = try SessionSite.ayon(bed)
            try await site.add("refreshed", age: 300_000)
            // SCAN has found it; the product is faster than the script.
            try await site.add("refreshed", age: 0)
            let page = try await site.page(["refreshed", "vanished"])
            #expect([page.looked, page.expired, page.deleted, page.skipped.gone] == [2, 0, 0, 1] as [Int])
            #expect(try await site.exists("refreshed"))
        }
    }

    @Test func `what is no session is skipped and counted`() async throws {
        try await withTestBed { bed in
            let site = try SessionSite.ayon(bed)
            _ = try await site.redis.send("SET", site.key("invalid"), #"{"isInvalid":true}"#, "EX", "60")
            try await site.set("text-time", #"{"last_used":"5","token":"text-time"}"#)
            try await site.set("null-time", #"{"last_used":null,"token":"null-time"}"#)
            try await site.set("nested", #"{"token":"nested","user":{"last_used":5}}"#)
            try await site.set("list", "[1,2]")
            try await site.set("empty", "")
            try await site.set("no-json", "hello")
            try await site.set("cut-off", #"{"last_used":5,"token":"cut-off""#)
            try await site.set("number", "5")
            try await site.set("deep", String(repeating: "[", count: 60_000))
            try await site.set(
                "large",
                #"{"last_used":5,"token":"large","x":""# + String(repeating: "x", count: 70_000) + "\"}"
            )
            try await site.set("other", #"{"last_used":5,"token":"another"}"#)
            try await site.set("tokenless", #"{"last_used":5}"#)
            try await site.set("", #"{"last_used":5,"token":""}"#)
            _ = try await site.redis.send("HSET", site.key("hash"), "last_used", "5")
            _ = try await site.redis.send("RPUSH", site.key("list-type"), "5")
            try await site.add(Self.token, age: 300_000)
            let report = try await site.sweep()
            #expect([report.examined, report.expired, report.deleted] == [17, 1, 1] as [Int])
            #expect(report.skipped == SweepReport.Skipped(markers: 5, malformed: 6, foreign: 5))
            #expect(try await site.exists(Self.token) == false)
            #expect(try await site.redis.send("DBSIZE").int ?? 0 >= 16)
        }
    }

    @Test func `the text may be written in any way`() async throws {
        try await withTestBed { bed in
            let site = try SessionSite.ayon(bed)
            let now = Date.now.timeIntervalSince1970
            // The same names elsewhere in the document, spaces, exponents, other order.
            try await site.set("spaces", "{ \"last_used\" : \(now - 300_000) , \"token\" : \"spaces\" }")
            try await site.set("live-spaces", "{ \"last_used\" :\n \(now - 3) , \"token\" : \"live-spaces\" }")
            try await site.set("exponent", #"{"last_used":1.5e9,"token":"exponent"}"#)
            try await site.set("decoy", "{\"a\":{\"last_used\":\(now)},\"last_used\":5,\"token\":\"decoy\"}")
            try await site.set("live-decoy", "{\"a\":{\"last_used\":5},\"last_used\":\(now),\"token\":\"live-decoy\"}")
            try await site.set("value", "{\"a\":\"last_used\",\"last_used\":5,\"token\":\"value\"}")
            try await site.set("escaped", #"{"a":"\"last_used\":9e99","last_used":5,"token":"escaped"}"#)
            try await site.set("huge", #"{"last_used":1e999,"token":"huge"}"#)
            try await site.add("live-flag", age: 700, more: #","a":{"is_service":true}"#)
            try await site.set("flag", "{\"is_service\" : true,\"last_used\":\(now - 700),\"token\":\"flag\"}")
            try await site.set("no-flag", "{\"is_service\":\"true \",\"last_used\":\(now - 700),\"token\":\"no-flag\"}")
            let report = try await site.sweep()
            #expect(report.examined == 11)
            #expect(
                try await site.left(
                    "spaces",
                    "live-spaces",
                    "exponent",
                    "decoy",
                    "live-decoy",
                    "value",
                    "escaped",
                    "huge",
                    "live-flag",
                    "flag",
                    "no-flag"
                ) == ["live-spaces", "live-decoy", "huge", "live-flag", "no-flag"]
            )
        }
    }

    @Test func `characters of a pattern mean themselves in a prefix`() async throws {
        try await withTestBed { bed in
            let site = try SessionSite.ayon(bed, prefix: #"a*b?[c]\^"#)
            let other = try SessionSite.ayon(bed, prefix: #"aXbYc\^"#)
            try await site.add("old", age: 300_000)
            try await other.add("old", age: 300_000)
            let report = try await site.sweep()
            #expect([report.examined, report.deleted] == [1, 1] as [Int])
            #expect(try await other.exists("old"))
        }
    }

    @Test func `many pages, large values, and none at all`() async throws {
        try await withTestBed { bed in
            let site = try SessionSite.ayon(bed)
            #expect(try await site.sweep().examined == 0)
            let padding = #","x":""# + String(repeating: "x", count: 20_000) + "\""
            for number in 0..<700 {
                try await site.add("token-\(number)", age: number.isMultiple(of: 2) ? 300_000 : 5, more: padding)
            }
            let report = try await site.sweep()
            #expect([report.examined, report.expired, report.deleted] == [700, 350, 350] as [Int])
            #expect(report.ages.map(\.sessions).reduce(0, +) == 700)
        }
    }
}

extension SessionSite {
    /// Runs the script for a page as the sweeper would; `time` is what it takes for the server's clock.
    func page(_ tokens: [String], at time: Int? = nil) async throws -> SweepPage {
        var script = SessionScripts.page
        if let time {
            let source = script.source.replacing("redis.call('TIME')", with: "{'\(time)', '0'}")
            script = RedisScript(name: "page at \(time)", source: source)
        }
        let keys = self.bed.queue.keys
        _ = try await self.redis.send("SET", keys.sweeper, "me", "PX", "60000")
        return try SweepPage(
            await self.redis.evaluate(
                script,
                keys: [keys.sweeper, keys.sessionEvents] + tokens.map(self.key),
                arguments: ["me", "60000", try self.sweeper().document()]
            )
        )
    }
}
