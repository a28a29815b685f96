import Foundation
import Shared
import Testing

@Suite struct ScheduleTimingTests {
    private func timing(
        _ cron: String,
        target: String = "T",
        jitter: Duration = .zero,
        catchUp: Duration = ScheduleTiming.defaultCatchUp
    ) throws -> ScheduleTiming {
        ScheduleTiming(
            schedule: "S",
            target: target,
            cron: try CronExpression(cron),
            zone: .gmt,
            jitter: jitter,
            catchUp: catchUp
        )
    }

    private func date(_ time: String) throws -> Date { try Date("2026-11-21T\(time)Z", strategy: .iso8601) }

    @Test func `the newest slot is due, once`() throws {
        let timing = try self.timing("*/10 * * * *")
        let floor = try self.date("12:05:00")
        #expect(timing.due(at: try self.date("12:09:59"), after: floor) == nil)
        #expect(timing.due(at: try self.date("12:10:00"), after: floor) == .slot(try self.date("12:10:00")))
        #expect(timing.due(at: try self.date("12:12:00"), after: floor) == .slot(try self.date("12:10:00")))
        #expect(timing.due(at: try self.date("12:12:00"), after: try self.date("12:10:00")) == nil)
        // Three were missed; the newest stands for all.
        #expect(timing.due(at: try self.date("12:34:00"), after: floor) == .slot(try self.date("12:30:00")))
    }

    @Test func `what was due longer ago than catch-up is missed`() throws {
        let timing = try self.timing("0 * * * *", catchUp: .seconds(600))
        let (floor, slot) = (try self.date("11:30:00"), try self.date("12:00:00"))
        #expect(timing.due(at: try self.date("12:10:00"), after: floor) == .slot(slot))
        #expect(timing.due(at: try self.date("12:10:01"), after: floor) == .missed(slot))
        let none = try self.timing("0 * * * *", catchUp: .zero)
        #expect(none.due(at: try self.date("12:00:05"), after: floor) == .slot(slot))
        #expect(none.due(at: try self.date("12:01:00"), after: floor) == .missed(slot))
    }

    @Test func `jitter is the same everywhere, within its limits, and different from slot to slot`() throws {
        let timing = try self.timing("0 * * * *", jitter: .seconds(300))
        let other = try self.timing("0 * * * *", target: "U", jitter: .seconds(300))
        let first = try self.date("00:00:00")
        let slots = (0..<500).map { first.addingTimeInterval(Double($0) * 3_600) }
        let delays = slots.map { timing.moment(of: $0).timeIntervalSince($0) }
        #expect(delays == slots.map { timing.moment(of: $0).timeIntervalSince($0) })
        #expect(delays.allSatisfy { (0...300).contains($0) })
        #expect(Set(delays).count > 450)
        #expect((120...180).contains(delays.reduce(0, +) / 500))
        #expect(delays != slots.map { other.moment(of: $0).timeIntervalSince($0) })
        // A fixed value, since replicas of two versions have to agree as well.
        #expect((timing.moment(of: first).timeIntervalSince(first) * 1_000).rounded() == 96_063)
    }

    @Test func `jitter ends before the next slot, so that none is passed over`() throws {
        let timing = try self.timing("* * * * *", jitter: .seconds(3_600))
        let first = try self.date("12:00:00")
        for minute in 0..<200 {
            let slot = first.addingTimeInterval(Double(minute) * 60)
            #expect((0...59).contains(timing.moment(of: slot).timeIntervalSince(slot)))
        }
        // Before its moment the slot before it is due, unless that is settled.
        let slot = try self.date("12:30:00")
        let early = timing.moment(of: slot).addingTimeInterval(-0.001)
        let before = try self.date("12:29:00")
        #expect(timing.due(at: early, after: first) == .slot(before))
        #expect(timing.due(at: early, after: before) == nil)
        #expect(timing.due(at: timing.moment(of: slot), after: before) == .slot(slot))
        #expect(timing.next(at: early, after: before)?.slot == slot)
        #expect(timing.next(at: early, after: slot)?.slot == slot.addingTimeInterval(60))
    }
}
