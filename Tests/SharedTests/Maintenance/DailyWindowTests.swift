import Foundation
import Testing

@testable import Shared

@Suite struct DailyWindowTests {
    private let berlin = TimeZone(identifier: "Europe/Berlin") ?? .gmt

    private func date(_ text: String) throws -> Date { try Date(text, strategy: .iso8601) }

    private func closes(_ window: String, _ now: String, _ zone: TimeZone = .gmt) throws -> String? {
        try DailyWindow(window).closes(after: self.date(now), in: zone)?.formatted(.iso8601)
    }

    @Test(arguments: [
        // Within a day.
        ("08:00-12:30", "2026-11-21T07:59:59Z", nil),
        ("08:00-12:30", "2026-11-21T08:00:00Z", "2026-11-21T12:30:00Z"),
        ("08:00-12:30", "2026-11-21T12:29:59Z", "2026-11-21T12:30:00Z"),
        ("08:00-12:30", "2026-11-21T12:30:00Z", nil),
        // Over midnight.
        ("22:00-06:00", "2026-11-21T21:59:59Z", nil),
        ("22:00-06:00", "2026-11-21T22:00:00Z", "2026-11-22T06:00:00Z"),
        ("22:00-06:00", "2026-11-21T00:00:00Z", "2026-11-21T06:00:00Z"),
        ("22:00-06:00", "2026-11-21T05:59:59Z", "2026-11-21T06:00:00Z"),
        ("22:00-06:00", "2026-11-21T06:00:00Z", nil),
        // Up to midnight, and from it.
        ("22:00-24:00", "2026-11-21T23:59:59Z", "2026-11-22T00:00:00Z"),
        ("22:00-24:00", "2026-11-21T00:00:00Z", nil),
        ("0:00-6:00", "2026-11-21T00:00:00Z", "2026-11-21T06:00:00Z"),
    ])
    func `is open from its start to just before its end`(_ window: String, _ now: String, _ end: String?) throws {
        #expect(try self.closes(window, now) == end)
    }

    @Test func `the whole day never closes`() throws {
        let window = try DailyWindow("00:00-24:00")
        #expect(try window.closes(after: self.date("2026-11-21T12:00:00Z"), in: .gmt) == .distantFuture)
    }

    @Test func `is read in its zone, where days have 23 or 25 hours at times`() throws {
        // 02:30 in summer time is 00:30 in UTC.
        #expect(try self.closes("02:00-03:00", "2026-07-01T00:30:00Z", self.berlin) == "2026-07-01T01:00:00Z")
        // Clocks go from 02:00 to 03:00 at 01:00 UTC: the window ends an hour sooner.
        #expect(try self.closes("00:00-06:00", "2026-03-28T23:30:00Z", self.berlin) == "2026-03-29T04:00:00Z")
        // Clocks go from 03:00 back to 02:00 at 01:00 UTC: it ends an hour later.
        #expect(try self.closes("00:00-06:00", "2026-10-24T22:30:00Z", self.berlin) == "2026-10-25T05:00:00Z")
    }

    @Test(arguments: [
        "", "22:00", "22-6", "25:00-06:00", "22:60-06:00", "24:00-06:00", "22:00-24:01", "a-b", "-1:00-2:00",
    ])
    func `what is no time of day is refused`(_ text: String) {
        let expected = RejectedValue(text, "is no time of day", accepted: DailyWindow.accepted)
        #expect(throws: expected) { try DailyWindow(text) }
    }

    @Test(arguments: ["06:00-06:00", "00:00-00:00"])
    func `one without length is refused`(_ text: String) {
        #expect(throws: RejectedValue.self) { try DailyWindow(text) }
    }

    @Test func `is written as it is read`() throws {
        #expect("\(try DailyWindow("22:00-6:30"))" == "22:00-06:30")
    }
}
