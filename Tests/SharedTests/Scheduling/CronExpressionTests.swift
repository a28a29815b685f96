import Foundation
import Shared
import Testing

@Suite struct CronExpressionTests {
    /// The slots after a moment, in the zone's own time and in UTC.
    private func slots(_ text: String, after moment: String, _ count: Int, zone: String = "UTC") throws -> [String] {
        let expression = try CronExpression(text)
        let zone = try #require(TimeZone(identifier: zone))
        var moment = try Date(moment, strategy: .iso8601)
        var slots: [String] = []
        for _ in 0..<count {
            guard let next = expression.next(after: moment, in: zone) else { break }
            // Whatever is next must be what was before the one after it.
            #expect(expression.previous(atOrBefore: next, in: zone) == next)
            #expect(expression.previous(atOrBefore: next.addingTimeInterval(0.5), in: zone) == next)
            let before = expression.previous(atOrBefore: next.addingTimeInterval(-1), in: zone)
            #expect(before.flatMap { expression.next(after: $0, in: zone) } == next)
            slots.append(next.formatted(.iso8601))
            moment = next
        }
        return slots
    }

    @Test(arguments: [
        ("* * * * *", ["2026-11-21T12:01:00Z", "2026-11-21T12:02:00Z"]),
        ("*/15 * * * *", ["2026-11-21T12:15:00Z", "2026-11-21T12:30:00Z"]),
        ("5/20 * * * *", ["2026-11-21T12:05:00Z", "2026-11-21T12:25:00Z", "2026-11-21T12:45:00Z"]),
        ("0 3 * * *", ["2026-11-22T03:00:00Z", "2026-11-23T03:00:00Z"]),
        ("1,3 9-17/4 * * *", ["2026-11-21T13:01:00Z", "2026-11-21T13:03:00Z", "2026-11-21T17:01:00Z"]),
        ("0 0 1 jan,JUL *", ["2027-01-01T00:00:00Z", "2027-07-01T00:00:00Z"]),
        // A Saturday.
        ("0 0 * * mon", ["2026-11-23T00:00:00Z", "2026-11-30T00:00:00Z"]),
        ("0 0 ? * 7", ["2026-11-22T00:00:00Z", "2026-11-29T00:00:00Z"]),
        ("0 0 * * fri-sun", ["2026-11-22T00:00:00Z", "2026-11-27T00:00:00Z", "2026-11-28T00:00:00Z"]),
        ("0 0 * * 0-0", ["2026-11-22T00:00:00Z", "2026-11-29T00:00:00Z"]),
        ("0 0 * * sun-sun", ["2026-11-22T00:00:00Z", "2026-11-29T00:00:00Z"]),
        ("0 0 * * 5-7", ["2026-11-22T00:00:00Z", "2026-11-27T00:00:00Z"]),
        // Either day is enough when both are restricted; a step restricts.
        (
            "0 0 13 * fri",
            ["2026-11-27T00:00:00Z", "2026-12-04T00:00:00Z", "2026-12-11T00:00:00Z", "2026-12-13T00:00:00Z"]
        ),
        ("0 0 */10 * sun", ["2026-11-22T00:00:00Z", "2026-11-29T00:00:00Z", "2026-12-01T00:00:00Z"]),
        ("0 0 31 * *", ["2026-12-31T00:00:00Z", "2027-01-31T00:00:00Z", "2027-03-31T00:00:00Z"]),
        ("0 12 29 2 *", ["2028-02-29T12:00:00Z", "2032-02-29T12:00:00Z"]),
        ("@hourly", ["2026-11-21T13:00:00Z"]),
        ("@daily", ["2026-11-22T00:00:00Z"]),
        ("@midnight", ["2026-11-22T00:00:00Z"]),
        ("@weekly", ["2026-11-22T00:00:00Z"]),
        ("@monthly", ["2026-12-01T00:00:00Z"]),
        ("@yearly", ["2027-01-01T00:00:00Z"]),
        ("@Annually", ["2027-01-01T00:00:00Z"]),
        ("TZ=Asia/Kolkata 0 3 * * *", ["2026-11-21T21:30:00Z"]),
        ("CRON_TZ=America/New_York @daily", ["2026-11-22T05:00:00Z"]),
        ("  0\t3 * * *  ", ["2026-11-22T03:00:00Z"]),
    ])
    func `names its slots`(_ text: String, _ expected: [String]) throws {
        #expect(try self.slots(text, after: "2026-11-21T12:00:00Z", expected.count) == expected)
    }

    /// Clocks that are put forward or back.
    struct Change: Sendable {
        var zone: String
        var text: String
        var after: String
        var expected: [String]
    }

    @Test(arguments: [
        // Berlin, 29 March 2026: 2:00 is followed by 3:00 (1:00 UTC).
        Change(
            zone: "Europe/Berlin",
            text: "30 2 * * *",
            after: "2026-03-28T00:00:00Z",
            expected: [
                "2026-03-28T01:30:00Z", "2026-03-29T01:00:00Z", "2026-03-30T00:30:00Z",
            ]
        ),
        // Two skipped times and the end of the gap are one slot.
        Change(
            zone: "Europe/Berlin",
            text: "0,30 2,3 * * *",
            after: "2026-03-28T23:00:00Z",
            expected: [
                "2026-03-29T01:00:00Z", "2026-03-29T01:30:00Z", "2026-03-30T00:00:00Z",
            ]
        ),
        Change(
            zone: "Europe/Berlin",
            text: "0 * * * *",
            after: "2026-03-28T23:30:00Z",
            expected: [
                "2026-03-29T00:00:00Z", "2026-03-29T01:00:00Z", "2026-03-29T02:00:00Z",
            ]
        ),
        Change(
            zone: "Europe/Berlin",
            text: "*/30 2 * * *",
            after: "2026-03-28T23:00:00Z",
            expected: [
                "2026-03-30T00:00:00Z", "2026-03-30T00:30:00Z",
            ]
        ),
        // 25 October 2026: 2:00 to 3:00 comes twice (0:00 and 1:00 UTC).
        Change(
            zone: "Europe/Berlin",
            text: "30 2 * * *",
            after: "2026-10-24T12:00:00Z",
            expected: [
                "2026-10-25T00:30:00Z", "2026-10-26T01:30:00Z",
            ]
        ),
        Change(
            zone: "Europe/Berlin",
            text: "30 * * * *",
            after: "2026-10-25T00:00:00Z",
            expected: [
                "2026-10-25T00:30:00Z", "2026-10-25T01:30:00Z", "2026-10-25T02:30:00Z",
            ]
        ),
        Change(
            zone: "Europe/Berlin",
            text: "*/30 2 * * *",
            after: "2026-10-24T12:00:00Z",
            expected: [
                "2026-10-25T00:00:00Z", "2026-10-25T00:30:00Z", "2026-10-25T01:00:00Z", "2026-10-25T01:30:00Z",
                "2026-10-26T01:00:00Z",
            ]
        ),
        // Lord Howe moves by half an hour: 4 October 2026, 2:00 is followed by 2:30 (15:30 UTC).
        Change(
            zone: "Australia/Lord_Howe",
            text: "15 2 * * *",
            after: "2026-10-02T20:00:00Z",
            expected: [
                "2026-10-03T15:30:00Z", "2026-10-04T15:15:00Z",
            ]
        ),
        // 5 April 2026: 1:30 to 2:00 comes twice (14:30 and 15:00 UTC).
        Change(
            zone: "Australia/Lord_Howe",
            text: "45 1 * * *",
            after: "2026-04-03T20:00:00Z",
            expected: [
                "2026-04-04T14:45:00Z", "2026-04-05T15:15:00Z",
            ]
        ),
        Change(
            zone: "Australia/Lord_Howe",
            text: "*/15 * * * *",
            after: "2026-04-04T14:20:00Z",
            expected: [
                "2026-04-04T14:30:00Z", "2026-04-04T14:45:00Z", "2026-04-04T15:00:00Z", "2026-04-04T15:15:00Z",
                "2026-04-04T15:30:00Z",
            ]
        ),
        // Havana puts its clocks forward at midnight, and back from 1:00 to 0:00.
        Change(
            zone: "America/Havana",
            text: "@daily",
            after: "2026-03-07T12:00:00Z",
            expected: [
                "2026-03-08T05:00:00Z", "2026-03-09T04:00:00Z",
            ]
        ),
        Change(
            zone: "America/Havana",
            text: "@daily",
            after: "2026-10-31T12:00:00Z",
            expected: [
                "2026-11-01T04:00:00Z", "2026-11-02T05:00:00Z",
            ]
        ),
        // Samoa had no 30 December 2011; what was due on it was due when the next day began.
        Change(
            zone: "Pacific/Apia",
            text: "0 12 30 12 *",
            after: "2011-12-01T00:00:00Z",
            expected: [
                "2011-12-30T10:00:00Z", "2012-12-29T22:00:00Z",
            ]
        ),
    ])
    func `a fixed time is neither lost nor doubled, and a star goes along with the clock`(_ change: Change) throws {
        let slots = try self.slots(change.text, after: change.after, change.expected.count, zone: change.zone)
        #expect(slots == change.expected, "\(change.zone) \(change.text)")
    }

    @Test(arguments: [
        ("", "is empty"), ("* * * *", "has 4 fields"), ("0 0 3 * * *", "has 6 fields"), ("daily", "has 1 field"),
        ("@reboot", "is not a schedule"), ("@daily 3", "is not a schedule"),
        ("@every 1h", "has no times that several replicas could agree on"),
        ("60 * * * *", "is not a cron field for the minute"), ("* 24 * * *", "is not a cron field for the hour"),
        ("* * 0 * *", "is not a cron field for the day of month"), ("* * * 13 *", "is not a cron field for the month"),
        ("* * * * 8", "is not a cron field for the day of week"),
        ("* * * * tues", "is not a cron field for the day of week"),
        ("5-1 * * * *", "is not a cron field for the minute"), ("*/0 * * * *", "is not a cron field for the minute"),
        ("1,,2 * * * *", "is not a cron field for the minute"), ("+5 * * * *", "is not a cron field for the minute"),
        ("*/-1 * * * *", "is not a cron field for the minute"), ("1-2-3 * * * *", "is not a cron field for the minute"),
        ("0 0 30 2 *", "names a day that never comes"), ("0 0 31 4,6,9,11 *", "names a day that never comes"),
        ("TZ=Mars/Olympus 0 3 * * *", "is not a time zone"), ("TZ= 0 3 * * *", "is not a time zone"),
        ("TZ=UTC", "is empty"),
    ])
    func `refuses what means nothing`(_ text: String, _ problem: String) {
        #expect {
            _ = try CronExpression(text)
        } throws: { error in
            (error as? RejectedValue)?.reason.contains(" \(problem)") == true
        }
    }

    @Test func `agrees with looking at every minute`() throws {
        // Two years with four changes of clocks, in fields that have stars, so that every reading of the clock counts.
        let berlin = try #require(TimeZone(identifier: "Europe/Berlin"))
        var calendar = Calendar(identifier: .gregorian)
        calendar.timeZone = berlin
        let expression = try CronExpression("*/7 */5 3-20/2 * tue,sat")
        let start = try Date("2026-01-01T00:00:00Z", strategy: .iso8601)
        var expected: [Date] = []
        for minute in 0..<(2 * 365 * 1_440) {
            let moment = start.addingTimeInterval(Double(minute) * 60)
            let hour = calendar.component(.hour, from: moment)
            guard hour.isMultiple(of: 5), calendar.component(.minute, from: moment).isMultiple(of: 7) else { continue }
            let day = calendar.component(.day, from: moment)
            let byDate = (3...20).contains(day) && !day.isMultiple(of: 2)
            if byDate || [3, 7].contains(calendar.component(.weekday, from: moment)) { expected.append(moment) }
        }
        var slots: [Date] = []
        var moment = start.addingTimeInterval(-1)
        while let next = expression.next(after: moment, in: berlin), next < start.addingTimeInterval(2 * 365 * 86_400) {
            slots.append(next)
            moment = next
        }
        #expect(slots.count > 10_000)
        #expect(slots == expected)
    }
}
