import Foundation
import PostgresClient
import Shared
import Synchronization
import TestSupport
import Testing

@testable import Worker

/// The claim of the issue, at its full size; with fewer objects by EBB_OBJECTS=10000.
@Suite struct BlobScaleTests {
    private static let count = ProcessInfo.processInfo.environment["EBB_OBJECTS"].flatMap { Int($0) } ?? 100_000

    /// Batches that wait as long as references change.
    private static let patient = Unhurried.settings("backoff: 5ms, max_backoff: 20ms, lock_timeout: 1h")

    /// Lets no batch begin until the transaction is over.
    private func holdBatches(_ bed: TestBed) async throws {
        try await bed.run("BEGIN", "LOCK TABLE \(bed.ledger.table("batch")) IN SHARE MODE")
    }

    /// Half of the objects are referenced, and some are young.
    ///
    /// While the run goes on, references come and go, always of
    /// objects whose batch has not begun: what was changed before a batch begins has to count for it.
    @Test func `references change while the run goes on`() async throws {
        try await BlobSite.with(batches: Self.patient) { site in
            let count = Self.count
            let keys = (0..<count).map(BlobSite.key)
            for start in stride(from: 0, to: count, by: 10_000) {
                let chunk = keys[start..<min(start + 10_000, count)]
                try await site.bucket.seed(
                    chunk.enumerated().map { .init($1, age: $0 % 10 == 0 ? BlobSite.young : BlobSite.old) }
                )
            }
            let young = Set(keys.enumerated().filter { $0.offset % 10 == 0 }.map(\.element))
            var referenced = Set(keys.enumerated().filter { $0.offset % 2 == 0 }.map(\.element))
            try await site.refer(to: Array(referenced))
            let started = ContinuousClock.now
            let record = try await site.bed.start("Blobs")
            let digits = try #require(record.prefixDigits)
            #expect(digits == (count > 80_000 ? 2 : 1))
            let batches = 1 << (4 * digits)
            try await site.bed.step(record.run)
            try await self.holdBatches(site.bed)
            let isOver = Mutex(false)
            let working = Task {
                defer { isOver.withLock { $0 = true } }
                try await site.bed.work(slots: 2, within: .seconds(600))
            }
            try await eventually("a batch is about to begin") { try await site.bed.connection.isWaitedFor() }
            let byPrefix = Dictionary(grouping: keys) { Int($0.dropFirst(7).prefix(digits), radix: 16) ?? 0 }
            var changes = 0
            while true {
                // Batches begin in their order; the ledger says how far they are, and there they stay for now.
                let begun = try await site.bed.int(
                    "SELECT count(*) FROM \(site.bed.ledger.table("batch")) WHERE run = $1",
                    [record.run]
                )
                let ahead = begun + 6
                let own = ahead < batches ? byPrefix[Int.random(in: ahead..<batches)] ?? [] : []
                for key in own.shuffled().prefix(10) {
                    if referenced.remove(key) != nil {
                        try await site.forget([key])
                    } else {
                        try await site.refer(to: [key], by: Bool.random() ? "part" : "version")
                        referenced.insert(key)
                    }
                    changes += 1
                }
                try await site.bed.run("COMMIT")
                if isOver.withLock({ $0 }) { break }
                if own.isEmpty { try await Task.sleep(for: .milliseconds(20)) }
                try await self.holdBatches(site.bed)
            }
            try await working.value
            let took = started.duration(to: .now)
            let outcome = try await site.bed.outcome(of: record.run)
            let expected = referenced.union(young)
            expectFinished(outcome, rows: count - expected.count)
            let state = try await site.bucket.state()
            let left = Set(state.keys)
            #expect(referenced.subtracting(left).isEmpty, "referenced objects were deleted")
            #expect(left.subtracting(expected).isEmpty, "unreferenced old objects are left")
            let lists = state.calls["list"] ?? 0
            let deletions = state.calls["delete"] ?? 0
            let bound = count / 1_000 + outcome.count("total")
            #expect(lists <= bound && deletions <= bound)
            #expect(changes > 0)
            print(
                "\(count) objects, \(outcome.count("rows")) deleted in \(took), \(changes) changes of references, "
                    + "\(outcome.count("total")) batches, \(lists) list and \(deletions) delete calls of at most \(bound) each"
            )
        }
    }
}
