import PostgresClient
import Shared
import TestSupport
import Testing

@testable import Worker

extension TestBed {
    /// What a worker executes batches with.
    func executor() -> BatchExecutor {
        BatchExecutor(
            ledger: self.ledger,
            limits: self.services.configuration.batches,
            stores: self.services.stores,
            logger: self.services.logger
        )
    }

    /// The first batch of a run that was planned, and what is known of the run, as a worker has them.
    func firstLease(of record: RunRecord) async throws -> (lease: Lease, context: RunContext) {
        let work = try await self.queue.poll(
            Queue.Poll(consumer: "test", lease: .seconds(15), slots: 2, reclaim: nil)
        )
        let context = try await RunContext.load(
            record.run,
            catalog: self.services.catalog,
            ledger: self.ledger,
            self.connection
        )
        return (try #require(work.leases.first), context)
    }

    /// Works with the real worker until no run is left to work on.
    ///
    /// Throws `UnexpectedState` with what the queue knows when that does not come about.
    func work(slots: Int = 2, within limit: Duration = .seconds(180)) async throws {
        let worker = WorkerService(services: self.services, queue: self.queue, concurrency: slots, drains: true)
        try await withThrowingTaskGroup(of: Bool.self) { group in
            group.addTask {
                try await worker.run()
                return true
            }
            group.addTask {
                try await Task.sleep(for: limit)
                return false
            }
            let isDrained = try await group.next() ?? false
            var stuck: [[String: String]] = []
            if !isDrained {
                for run in try await self.queue.activeRuns() { stuck.append(try await self.queue.fields(of: run)) }
            }
            group.cancelAll()
            // The worker gives back what it holds before it ends.
            while await group.nextResult() != nil {}
            if !isDrained { throw UnexpectedState("not drained within \(limit): \(stuck)") }
        }
    }

    /// Works on a run, and discards its dead letters once a step after its last batch has come to reading a table of the ledger.
    func discarding(_ run: String, at table: String) async throws {
        let holder = try await self.connect()
        _ = try await holder.query("BEGIN")
        let table = self.ledger.table(table)
        _ = try await holder.query("LOCK TABLE \(table) IN ACCESS EXCLUSIVE MODE")
        async let work: Void = self.work()
        try await eventually("the step waits") {
            let steps: [StepLease.Step] = [.verify, .reconcile]
            let waiting = try await holder.query(
                "SELECT count(*) FROM pg_locks WHERE relation = $1::regclass AND NOT granted",
                [table]
            ).rows.first?.int(0)
            let step = try await self.queue.fields(of: run)["step"]
            return waiting == 1 && steps.contains { $0.rawValue == step }
        }
        try await self.queue.discard(try await self.queue.deadLetters(of: run))
        _ = try await holder.query("COMMIT")
        await holder.close()
        try await work
    }

    /// Runs targets one after the other, from creation to the end.
    @discardableResult
    func drain(
        _ targets: String...,
        batchRows: Int? = nil,
        within limit: Duration = .seconds(180)
    ) async throws -> [RunOutcome] {
        var outcomes: [RunOutcome] = []
        for target in targets {
            let record = try await self.start(target, batchRows: batchRows)
            try await self.work(within: limit)
            outcomes.append(try await self.outcome(of: record.run))
        }
        return outcomes
    }
}

/// Checks what holds for every run that ended well: state, figures, nothing left behind.
func expectFinished(_ outcome: RunOutcome, rows: Int, sourceLocation: SourceLocation = #_sourceLocation) {
    #expect(outcome.state == "finished", "\(outcome.fields)", sourceLocation: sourceLocation)
    #expect(outcome.ledgerState == "finished", sourceLocation: sourceLocation)
    #expect(outcome.count("rows") == rows, "rows in Redis", sourceLocation: sourceLocation)
    #expect(outcome.ledgerRows == rows, "rows in ebb.run", sourceLocation: sourceLocation)
    #expect(outcome.batchRows == rows, "sum over ebb.batch", sourceLocation: sourceLocation)
    #expect(outcome.count("cascaded") == outcome.batchCascaded, sourceLocation: sourceLocation)
    #expect(outcome.ledgerCascaded == outcome.batchCascaded, sourceLocation: sourceLocation)
    #expect(outcome.unrest == [], sourceLocation: sourceLocation)
}
