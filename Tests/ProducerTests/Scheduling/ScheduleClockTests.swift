import Foundation
import PostgresClient
import RedisClient
import Shared
import TestSupport
import Testing

@testable import Producer

/// Schedulers whose database's clock goes wrong.
@Suite(.timeLimit(.minutes(5))) struct ScheduleClockTests {
    @Test func `a clock that goes back fires nothing again`() async throws {
        try await withScheduledTarget(#"cron: "*/10 * * * *""#) { bed in
            var replica = try bed.replica()
            try await replica.look()
            for time in ["12:10:30", "12:09:00", "12:10:00", "12:11:00"] {
                try await bed.setClock("2031-05-21 \(time)Z")
                try await replica.look()
                try await bed.endRuns()
            }
            #expect(try await bed.slots() == ["12:10"])
        }
    }

    @Test func `a clock that was ahead stops nothing, and no slot runs twice`() async throws {
        try await withScheduledTarget(#"cron: "*/10 * * * *", catch_up: 24h"#) { bed in
            var replica = try bed.replica()
            try await replica.look()
            for time in ["2031-05-21 12:10:00", "2033-01-01 00:20:00", "2031-05-21 12:15:00", "2031-05-21 12:16:00"] {
                try await bed.setClock("\(time)Z")
                var other = try bed.replica()
                try await other.look()
                try await replica.look()
                try await bed.endRuns()
            }
            #expect(try await bed.slots() == ["12:10", "00:20"])
            #expect(replica.log.count("the schedule begins anew") <= 1)
            for time in ["12:20:00", "12:21:00", "12:30:00"] {
                try await bed.setClock("2031-05-21 \(time)Z")
                for _ in 0..<2 { try await replica.look() }
                try await bed.endRuns()
            }
            #expect(try await bed.slots() == ["12:10", "12:20", "12:30", "00:20"])
        }
    }

    @Test func `a clock that falls behind for hours fires nothing again`() async throws {
        try await withScheduledTarget(#"cron: "*/10 * * * *""#) { bed in
            var replica = try bed.replica()
            try await replica.look()
            let ahead = ["12:10:00", "12:20:00", "12:30:00", "12:40:00"]
            for time in ahead + ["12:05:00", "12:10:00", "12:20:30", "12:45:00", "12:50:00"] {
                try await bed.setClock("2031-05-21 \(time)Z")
                for _ in 0..<2 { try await replica.look() }
                try await bed.endRuns()
            }
            #expect(try await bed.slots() == ["12:10", "12:20", "12:30", "12:40", "12:50"])
            #expect(replica.log.count("the schedule begins anew") == 1)
        }
    }

    @Test func `a slot of the future cannot be settled`() async throws {
        try await withScheduledTarget(#"cron: "*/10 * * * *""#) { bed in
            var replica = try bed.replica()
            try await replica.look()
            let definition = try #require(replica.scheduler.entries.first?.timing?.definition)
            let moment = try Date("2031-05-21T12:10:00Z", strategy: .iso8601)
            let slot = Ledger.Slot(schedule: "nightly", target: "Target", definition: definition, moment: moment)
            #expect(!(try await bed.ledger.settle(slot, outcome: "off", bed.connection)))
            let plan = try await bed.services.runStarter(bed.queue).plan(
                try bed.target(),
                knobs: KnobValues(maxAge: .seconds(86_400)),
                bed.connection
            )
            guard case .taken = try await bed.ledger.fire(slot, .one(plan), bed.connection) else {
                Issue.record("it fired")
                return
            }
            try await bed.setClock("2031-05-21 12:10:00Z")
            #expect(try await bed.ledger.settle(slot, outcome: "off", bed.connection))
        }
    }
}
