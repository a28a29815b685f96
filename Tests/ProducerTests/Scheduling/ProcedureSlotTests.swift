import Foundation
import PostgresClient
import Shared
import TestSupport
import Testing

@testable import Producer

/// Slots of the procedure that come up while one is under way; the database's clock is put by the tests.
@Suite(.timeLimit(.minutes(5))) struct ProcedureSlotTests {
    private static let settings = """
        presets: []
        hooks:
          Good: {command: {argv: [/bin/true]}}
          Good2: {command: {argv: [/bin/true]}}
        procedure:
          time_zone: UTC
          schedule: {cron: "0 3 * * *", catch_up: 2h}
          stages: [{hook: Good}, {hook: Good2}]
        """

    /// A schedule that a replica has looked at, shortly before its slot.
    private func withReplica(_ body: (TestBed, inout Replica) async throws -> Void) async throws {
        try await withTestBed(settings: Self.settings, ownClock: true) { bed in
            let bed = try bed.withLongLeases()
            try await bed.ledger.setup(bed.connection)
            try await bed.setClock("2031-05-21 02:59:00Z")
            var replica = try bed.replica()
            try await replica.look()
            try await body(bed, &replica)
        }
    }

    /// Begins a procedure that is under way when the clock is put to a time.
    private func begin(
        _ bed: TestBed,
        _ selection: StageSelection = StageSelection(),
        until time: String
    ) async throws -> (executor: ProcedureExecutor, record: ProcedureRecord) {
        let executor = try bed.executor()
        guard case .owned(let record, true) = try await bed.begin(executor, selection: selection) else {
            throw UnexpectedState("it did not begin")
        }
        try await bed.setClock("2031-05-21 \(time)Z")
        let (id, owner, lease) = (record.id, executor.owner, executor.lease)
        let isOurs = try await bed.ledger.beatProcedure(id, owner: owner, lease: lease, bed.connection)
        #expect(isOurs)
        return (executor, record)
    }

    /// The slots that have runs of the procedure.
    private func slots(_ bed: TestBed) async throws -> [String] {
        try await bed.strings(
            """
            SELECT to_char(slot AT TIME ZONE 'UTC', 'HH24:MI') FROM \(bed.ledger.table("procedure_run"))
            WHERE slot IS NOT NULL ORDER BY slot
            """
        )
    }

    @Test func `a slot fires when nothing is in its way`() async throws {
        try await self.withReplica { bed, replica in
            try await bed.setClock("2031-05-21 03:00:00Z")
            try await replica.look()
            #expect(try await self.slots(bed) == ["03:00"])
            #expect(try await bed.outcome() == "started")
        }
    }

    @Test(arguments: [StageSelection(only: ["Good"]), StageSelection(skip: ["Good"])])
    func `one of some stages does not stand for the night: the slot waits for its end`(
        _ selection: StageSelection
    ) async throws {
        try await self.withReplica { bed, replica in
            let (executor, record) = try await self.begin(bed, selection, until: "03:00:00")
            try await replica.look()
            try await replica.look()
            #expect(try await bed.outcome() == nil)
            #expect(replica.log.count("slot has to wait") == 1)
            #expect(replica.log.count("procedure run \(record.id) is under way with \(selection.words)") == 1)
            #expect(try await executor.execute(record, isNew: true).state == .finished)
            try await bed.setClock("2031-05-21 04:30:00Z")
            try await replica.look()
            #expect(try await self.slots(bed) == ["03:00"])
        }
    }

    @Test func `a slot that waits for longer than catch-up is missed`() async throws {
        try await self.withReplica { bed, replica in
            let (executor, record) = try await self.begin(bed, StageSelection(only: ["Good"]), until: "05:01:00")
            try await replica.look()
            #expect(try await bed.outcome() == "missed: it was due longer ago than catch_up (2h) allows")
            #expect(try await executor.execute(record, isNew: true).state == .finished)
            try await replica.look()
            #expect(try await self.slots(bed) == [])
        }
    }

    @Test func `one of all stages stands for the slot`() async throws {
        try await self.withReplica { bed, replica in
            let (executor, record) = try await self.begin(bed, until: "03:00:00")
            try await replica.look()
            #expect(try await bed.outcome() == "skipped: run \(record.id) is not over")
            #expect(try await executor.execute(record, isNew: true).state == .finished)
            try await replica.look()
            #expect(try await self.slots(bed) == [])
        }
    }

    @Test func `one whose process has vanished is taken over first`() async throws {
        try await self.withReplica { bed, replica in
            _ = try await self.begin(bed, until: "03:00:00")
            try await bed.lapse()
            try await replica.look()
            #expect(try await bed.outcome() == nil)
            #expect(replica.log.count("its process has vanished") == 1)
            let second = try bed.executor()
            guard case .owned(let taken, false) = try await bed.begin(second) else {
                throw UnexpectedState("it was not taken over")
            }
            #expect(try await second.execute(taken, isNew: false).state == .finished)
            try await replica.look()
            #expect(try await self.slots(bed) == ["03:00"])
        }
    }
}
