import Foundation
import PostgresClient
import Shared
import TestSupport
import Testing

@testable import Worker

/// What a run says that it has deleted is what has disappeared, whoever waited for the answers.
@Suite struct BlobCountTests {
    private static func site(
        count: Int = 1_200,
        _ body: (BlobSite, RunRecord) async throws -> Void
    ) async throws {
        // A worker that Redis has lost sight of must not find out before its call is over.
        try await BlobSite.with(settings: "worker: {grace: 0s}\nleases: {duration: 10m}") { site in
            try await site.bucket.seed((0..<count).map { .init(BlobSite.key($0), size: 2, age: BlobSite.old) })
            try await body(site, try await site.bed.start("Blobs"))
        }
    }

    /// Lets a worker stop in the middle of a call; the call happens all the same.
    private static func stopWorker(_ site: BlobSite, before body: () async throws -> Void = {}) async throws {
        let first = Task { try await site.bed.work(slots: 1) }
        try await site.bucket.holding("delete") {
            first.cancel()
            _ = await first.result
            try await body()
        }
    }

    @Test func `a call that nobody waits for any more is counted once`() async throws {
        try await Self.site { site, record in
            try await Self.stopWorker(site)
            try await site.bed.work()
            expectFinished(try await site.bed.outcome(of: record.run), rows: 1_200)
            #expect(try await site.bytes(of: record.run) == 2_400)
            #expect(try await site.bucket.state().keys == [])
        }
    }

    @Test(arguments: [true, false]) func `a run that is cancelled in the middle of a call counts it`(
        _ isLost: Bool
    ) async throws {
        try await Self.site { site, record in
            let control = site.bed.services.runControl(site.bed.queue)
            try await Self.stopWorker(site) {
                if isLost { try await site.bed.loseRedis() }
                try await control.cancel(record.run, site.bed.connection)
            }
            try await site.bed.work()
            let outcome = try await site.bed.outcome(of: record.run)
            let left = try await site.bucket.state().keys.count
            #expect(
                left < 1_200 && outcome.state == "cancelled" && outcome.count("rows") == 1_200 - left,
                "\(outcome.fields)"
            )
            #expect(outcome.ledgerRows == 1_200 - left && outcome.batchRows == 1_200 - left)
            #expect(try await site.bytes(of: record.run) == 2 * (1_200 - left))
        }
    }

    /// Another worker is done with the rest before the call of the first happens; what that worker says of it comes too late.
    @Test func `a call that Redis has lost sight of is counted once`() async throws {
        try await Self.site { site, record in
            let first = Task { try await site.bed.work(slots: 1) }
            try await site.bucket.holding("delete") {
                try await site.bed.loseRedis()
                let control = site.bed.services.runControl(site.bed.queue)
                #expect(try await control.recover(record.run, site.bed.connection))
                try await site.bed.work()
                expectFinished(try await site.bed.outcome(of: record.run), rows: 1_200)
            }
            _ = await first.result
            expectFinished(try await site.bed.outcome(of: record.run), rows: 1_200)
            #expect(try await site.bytes(of: record.run) == 2_400)
        }
    }

    /// The plan of the new generation takes the batch away from a worker that has not heard of it.
    @Test func `a call that happens before the run is planned anew is counted once`() async throws {
        try await Self.site { site, record in
            let first = Task { try await site.bed.work(slots: 1) }
            try await site.bucket.holding("delete") {
                try await site.bed.loseRedis()
                let control = site.bed.services.runControl(site.bed.queue)
                #expect(try await control.recover(record.run, site.bed.connection))
                #expect(try await site.bed.step(record.run) == .plan)
            }
            _ = await first.result
            try await site.bed.work()
            expectFinished(try await site.bed.outcome(of: record.run), rows: 1_200)
            #expect(try await site.bytes(of: record.run) == 2_400)
        }
    }

    /// Nobody may wait for ever for a call that never happens.
    @Test func `of a call that never happened nothing is counted`() async throws {
        try await Self.site(count: 3) { site, record in
            let ledger = site.bed.ledger
            let limits = site.bed.services.configuration.batches.timeLimits
            let claim = try #require(
                try await ledger.claimObjects(run: record.run, batch: "1.1", limits: limits, site.bed.connection)
            )
            let objects = (0..<3).map { ObjectStore.Object(key: BlobSite.key($0), size: 2, lastModified: .now) }
            #expect(try await ledger.write(objects, of: claim, limits: limits, site.bed.connection))
            // Of the half minute that a call may take, two seconds are left.
            try await site.bed.run(
                "UPDATE \(ledger.table("object_list")) SET written_at = written_at - interval '28 seconds'"
            )
            try await site.bucket.remove(BlobSite.key(1))
            let control = site.bed.services.runControl(site.bed.queue)
            try await control.cancel(record.run, site.bed.connection)
            try await site.bed.work()
            let outcome = try await site.bed.outcome(of: record.run)
            #expect(
                outcome.state == "cancelled" && outcome.ledgerRows == 1 && outcome.batchRows == 1,
                "\(outcome.fields)"
            )
            #expect(try await site.bytes(of: record.run) == 2)
            let confirmation = Ledger.Confirmation(list: 1, deleted: 3, bytes: 6)
            #expect(!(try await ledger.confirm(confirmation, of: claim, limits: limits, site.bed.connection)))
        }
    }

    /// The storage is gone for good, and the operator wants to be rid of the run.
    @Test func `a run is cancelled though its storage refuses`() async throws {
        try await Self.site { site, record in
            try await Self.stopWorker(site) {
                try await site.bed.services.runControl(site.bed.queue).cancel(record.run, site.bed.connection)
                try await site.bucket.drop()
            }
            try await site.bed.work()
            let outcome = try await site.bed.outcome(of: record.run)
            #expect(outcome.state == "cancelled" && outcome.ledgerRows == 0, "\(outcome.fields)")
        }
    }
}
