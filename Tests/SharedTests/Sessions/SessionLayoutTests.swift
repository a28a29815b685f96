import Foundation
import RedisClient
import TestSupport
import Testing

@testable import Shared

@Suite struct SessionLayoutTests {
    @Test func `a time in a field of JSON, in milliseconds, by a path`() async throws {
        try await withTestBed { bed in
            let site = try SessionSite.written(
                bed,
                """
                keys: "NS:s:{token}:data"
                last_used: {json: state.seen}
                unit: ms
                lifetime: 1h
                service: {field: state.robot, lifetime: 2h}
                """
            )
            let now = Date.now.timeIntervalSince1970 * 1_000
            func value(_ minutes: Double, _ isRobot: Bool) -> String {
                "{\"state\":{\"seen\":\(now - minutes * 60_000),\"robot\":\(isRobot)}}"
            }
            try await site.set("young", value(59, false))
            try await site.set("old", value(61, false))
            try await site.set("robot", value(119, true))
            try await site.set("old-robot", value(121, true))
            try await site.set("elsewhere", "{\"seen\":5}")
            let report = try await site.sweep()
            #expect([report.examined, report.deleted, report.skipped.markers] == [5, 2, 1] as [Int])
            #expect(try await site.left("young", "old", "robot", "old-robot") == ["young", "robot"])
        }
    }

    @Test func `an end in a field of JSON`() async throws {
        try await withTestBed { bed in
            let site = try SessionSite.written(bed, "keys: \"NS:{token}\"\nexpires_at: {json: exp}")
            let now = Date.now.timeIntervalSince1970
            try await site.set("ends", "{\"exp\":\(now + 60)}")
            try await site.set("ended", "{\"exp\":\(now - 1)}")
            #expect(try await site.sweep().deleted == 1)
            #expect(try await site.left("ends", "ended") == ["ends"])
        }
    }

    @Test func `a time in a field of a hash`() async throws {
        try await withTestBed { bed in
            let site = try SessionSite.written(
                bed,
                """
                keys: "NS:h:{token}"
                last_used: {hash: seen}
                lifetime: 1h
                service: {field: robot, lifetime: 1m}
                token: id
                """
            )
            let now = Int(Date.now.timeIntervalSince1970)
            for (token, seconds, robot) in [
                ("young", 3_000, "0"), ("old", 3_610, "false"), ("robot", 61, "1"), ("young-robot", 5, "true"),
            ] {
                let key = site.key(token)
                _ = try await site.redis.send("HSET", key, "seen", "\(now - seconds)", "robot", robot, "id", token)
            }
            _ = try await site.redis.send("HSET", site.key("other"), "seen", "5", "id", "another")
            _ = try await site.redis.send("HSET", site.key("marker"), "id", "marker")
            _ = try await site.redis.send("HSET", site.key("text"), "seen", "yesterday", "id", "text")
            try await site.set("string", "5")
            let report = try await site.sweep()
            #expect([report.examined, report.expired, report.deleted] == [8, 2, 2] as [Int])
            #expect(report.skipped == SweepReport.Skipped(markers: 1, malformed: 1, foreign: 2))
            #expect(try await site.left("young", "old", "robot", "young-robot") == ["young", "young-robot"])
        }
    }

    @Test func `a time in a sorted set costs what is expired`() async throws {
        try await withTestBed { bed in
            let site = try SessionSite.written(
                bed,
                "keys: \"NS:z:{token}\"\nlast_used: {sorted_set: \"NS:all\"}\nlifetime: 1h"
            )
            let now = Date.now.timeIntervalSince1970
            for number in 0..<600 {
                let seen = number < 300 ? now - 3_610 - Double(number) : now - 60
                _ = try await site.redis.send("ZADD", "{\(bed.namespace)}:all", "\(seen)", "t\(number)")
                // Some have lost their key already.
                if !number.isMultiple(of: 3) { try await site.set("t\(number)", "anything") }
            }
            let report = try await site.sweep()
            #expect([report.examined, report.expired, report.deleted] == [300, 300, 300] as [Int])
            #expect(try #require(report.oldestSeconds) >= 3_909)
            #expect(try await site.redis.send("ZCARD", "{\(bed.namespace)}:all").int == 300)
            #expect(try await site.left("t1", "t299", "t301") == ["t301"])
            #expect(try await site.sweep().examined == 0)
        }
    }

    @Test func `a key that nobody has used, unless Redis will remove it itself`() async throws {
        try await withTestBed { bed in
            let site = try SessionSite.written(bed, "keys: \"NS:i:{token}\"\nlast_used: idle\nlifetime: 1h")
            try await site.set("used", "anything")
            let copy = "return redis.call('RESTORE', KEYS[2], ARGV[1], redis.call('DUMP', KEYS[1]), 'IDLETIME', '3700')"
            for (token, end) in [("idle", "0"), ("ends", "600000")] {
                _ = try await site.redis.send("EVAL", copy, "2", site.key("used"), site.key(token), end)
            }
            let report = try await site.sweep()
            #expect([report.examined, report.deleted, report.skipped.hasTTL] == [3, 1, 1] as [Int])
            #expect(try await site.left("idle", "ends", "used") == ["ends", "used"])
        }
    }

    @Test(arguments: [
        ("keys: \"{token}\"", "does not name keys of sessions"), ("keys: session", "does not name keys of sessions"),
        ("keys: \"{token}{token}\"", "does not name keys of sessions"),
        ("keys: ${NOBODY}-{token}", "the variable NOBODY is not set"), ("lifetime: 1h", "\"keys\" is missing"),
        ("keys: s{token}\nlifetime: 1h", "one of last_used and expires_at"),
        ("keys: s{token}\nlast_used: idle\nexpires_at: {json: a}", "one of last_used and expires_at"),
        ("keys: s{token}\nlast_used: {json: a}", "\"lifetime\" is missing"),
        ("keys: s{token}\nlast_used: {json: a}\nlifetime: 0s", "is not greater than zero"),
        ("keys: s{token}\nlast_used: {json: a.}\nlifetime: 1h", "is not a field"),
        ("keys: s{token}\nlast_used: {json: a, hash: b}\nlifetime: 1h", "does not say where the time stands"),
        ("keys: s{token}\nlast_used: never\nlifetime: 1h", "is not a mapping"),
        ("keys: s{token}\nexpires_at: idle", "idle time has no end"),
        ("keys: s{token}\nexpires_at: {json: a}\nlifetime: 1h", "has no meaning beside expires_at"),
        ("keys: s{token}\nexpires_at: {json: a}\nunit: hours", "is not a unit of time"),
        ("keys: s{token}\nlast_used: idle\nlifetime: 1h\ntoken: id", "needs a value to stand in"),
        ("keys: s{token}\nlast_used: {hash: a}\nlifetime: 1h\ntoken: id.x", "a hash has no fields inside of fields"),
        ("keys: s{token}\nexpires_at: {json: a}\nevent: {user: name}", "\"insert\" is missing"),
    ])
    func `a layout that cannot be is refused`(_ yaml: String, _ reason: String) throws {
        let file = try ConfigurationFile(name: "ebb.yaml", yaml: "sessions:\n  " + yaml.replacing("\n", with: "\n  "))
        do {
            _ = try SessionLayoutParser(environment: Environment([:])).layout(of: file)
            Issue.record("accepted")
        } catch {
            #expect(error.description.contains(reason), "\(error)")
        }
    }

    @Test(
        arguments: [
            ("sessions: ayon", [:], "ayon"), ("sessions: {preset: ayon, interval: 1m}", [:], "ayon"),
            ("sessions: off", ["EBB_SESSIONS": "ayon"], "ayon"), ("sessions: own", [:], "own"), ("", [:], nil),
            ("sessions: {keys: \"s{token}\", expires_at: {json: a}, interval: 1m}", [:], "file"),
        ] as [(String, [String: String], String?)]
    )
    func `the configuration names the layout`(
        _ yaml: String,
        _ variables: [String: String],
        _ name: String?
    ) async throws {
        try await withTestBed(settings: yaml, variables: variables) { bed in
            let layout = try bed.services.sessionSweep(bed.queue)?.layout.name
            #expect(name == "file" ? layout?.hasSuffix(".yaml") == true : layout == name)
        }
    }

    @Test(arguments: ["expires_at: {json: a}", "last_used: {sorted_set: all}, lifetime: 1h"])
    func `an index is refused where it cannot serve`(_ time: String) async throws {
        let yaml = "sessions: {keys: \"s{token}\", \(time), index: on}"
        try await withTestBed(settings: yaml) { bed in
            let error = #expect(throws: ConfigurationError.self) { try bed.services.sessionSweep(bed.queue) }
            #expect(error?.description.contains("EBB_SESSIONS_INDEX (sessions.index) is on") == true)
        }
    }

    @Test func `an unknown key under sessions is refused`() async throws {
        await #expect(throws: ConfigurationError.self) {
            try await withTestBed(settings: "sessions: {key: \"s{token}\"}") { _ in }
        }
    }
}
