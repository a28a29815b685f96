import Foundation
import PostgresClient
import Shared
import Synchronization
import TestSupport
import Testing

@testable import Worker

/// The claim of the issue, with 10,000 objects here and 100,000 with EBB_OBJECTS=100000.
@Suite struct BlobScaleTests {
    private static let count = ProcessInfo.processInfo.environment["EBB_OBJECTS"].flatMap { Int($0) } ?? 10_000

    /// Half of the objects are referenced, and some are young.
    ///
    /// While the run goes on, references come and go, always of
    /// objects whose batch has not begun: what was changed before a batch begins has to count for it.
    @Test func `references change while the run goes on`() async throws {
        try await BlobSite.with { site in
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
            let working = Task { try await site.bed.work(slots: 2, within: .seconds(600)) }
            let isOver = Mutex(false)
            let watching = Task {
                try await working.value
                isOver.withLock { $0 = true }
            }
            let byPrefix = Dictionary(grouping: keys) { Int($0.dropFirst(7).prefix(digits), radix: 16) ?? 0 }
            var changes = 0
            while !isOver.withLock({ $0 }) {
                // Batches begin in their order; the ledger says how far they are.
                let begun = try await site.bed.int(
                    "SELECT count(*) FROM \(site.bed.ledger.table("batch")) WHERE run = $1",
                    [record.run]
                )
                let ahead = begun + 6
                guard ahead < batches, let own = byPrefix[Int.random(in: ahead..<batches)] else {
                    try await Task.sleep(for: .milliseconds(20))
                    continue
                }
                for key in own.shuffled().prefix(10) {
                    if referenced.remove(key) != nil {
                        try await site.forget([key])
                    } else {
                        try await site.refer(to: [key], by: Bool.random() ? "part" : "version")
                        referenced.insert(key)
                    }
                    changes += 1
                }
            }
            try await watching.value
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
