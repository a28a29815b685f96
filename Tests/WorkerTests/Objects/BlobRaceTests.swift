import Foundation
import PostgresClient
import Shared
import TestSupport
import Testing

@testable import Worker

@Suite struct BlobRaceTests {
    @Test func `a reference that appears between the listing and the call keeps its object`() async throws {
        try await BlobSite.with { site in
            let keys = (0..<1_500).map(BlobSite.key).sorted()
            try await site.bucket.seed(keys.map { .init($0, age: BlobSite.old) })
            try await site.refer(to: Array(keys[..<400]))
            let record = try await site.bed.start("Blobs")
            // Between the look at the page, after which the list is written, and the look before the call.
            try await site.bed.run(
                "CREATE TABLE late (key text)",
                """
                CREATE FUNCTION refer() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
                  INSERT INTO version (manifest) SELECT key FROM late WHERE key = ANY (NEW.keys);
                  RETURN NEW;
                END $$
                """,
                """
                CREATE TRIGGER refer AFTER INSERT ON \(site.bed.ledger.table("object_list"))
                FOR EACH ROW EXECUTE FUNCTION refer()
                """
            )
            let late = Array(keys[400..<500])
            _ = try await site.bed.connection.query("INSERT INTO late SELECT unnest($1::text[])", [SQLText.array(late)])
            try await site.bed.work(slots: 1)
            let outcome = try await site.bed.outcome(of: record.run)
            expectFinished(outcome, rows: 1_000)
            #expect(try await site.bucket.state().keys == Array(keys[..<500]))
        }
    }

    @Test func `a reference that appears during the call is reported`() async throws {
        try await BlobSite.with { site in
            let keys = (0..<20).map(BlobSite.key)
            try await site.bucket.seed(keys.map { .init($0, age: BlobSite.old) })
            let record = try await site.bed.start("Blobs")
            try await site.bucket.holding("delete", while: { try await site.bed.work(slots: 1) }) {
                try await site.refer(to: Array(keys[..<3]))
            }
            let outcome = try await site.bed.outcome(of: record.run)
            #expect(outcome.state == "failed" && outcome.ledgerRows == 20, "\(outcome.fields)")
            #expect(outcome.fields["error"]?.hasPrefix("3 objects were deleted while references") == true)
        }
    }

    /// The first call happens and its answer is lost; before the second, one of its keys is referenced.
    @Test func `an object that a lost call has deleted is counted, and reported when it is referenced`() async throws {
        try await BlobSite.with { site in
            let keys = (0..<20).map(BlobSite.key)
            try await site.bucket.seed(keys.map { .init($0, size: 1, age: BlobSite.old) })
            let record = try await site.bed.start("Blobs")
            try await site.bucket.inflict(.lost, on: "delete")
            try await site.bucket.holding("delete", while: { try await site.bed.work(slots: 1) }) {
                try await site.refer(to: [keys[0]])
            }
            let outcome = try await site.bed.outcome(of: record.run)
            #expect(
                outcome.state == "failed" && outcome.ledgerRows == 20 && outcome.count("bytes") == 20,
                "\(outcome.fields)"
            )
            #expect(outcome.fields["error"]?.hasPrefix("1 objects were deleted while references") == true)
        }
    }

    /// A worker that stops in the middle of a call; the call happens all the same.
    @Test func `a call that nobody waits for any more is counted once`() async throws {
        try await BlobSite.with(settings: "worker: {grace: 0s}") { site in
            let keys = (0..<1_200).map(BlobSite.key)
            try await site.bucket.seed(keys.map { .init($0, size: 2, age: BlobSite.old) })
            let record = try await site.bed.start("Blobs")
            let first = Task { try await site.bed.work(slots: 1) }
            _ = try await site.bucket.holding("delete", while: { 0 }) {
                first.cancel()
                _ = await first.result
            }
            try await site.bed.work()
            let outcome = try await site.bed.outcome(of: record.run)
            expectFinished(outcome, rows: 1_200)
            #expect(try await site.bytes(of: record.run) == 2_400)
            #expect(try await site.bucket.state().keys == [])
        }
    }

    @Test func `an attempt that was taken over writes nothing any more`() async throws {
        try await BlobSite.with { site in
            try await site.bucket.seed([.init(BlobSite.key(0), age: BlobSite.old)])
            let record = try await site.bed.start("Blobs")
            let ledger = site.bed.ledger
            let limits = site.bed.services.configuration.batches.timeLimits
            let object = ObjectStore.Object(key: BlobSite.key(0), size: 9, lastModified: .now)
            func claim() async throws -> Ledger.ObjectClaim? {
                try await ledger.claimObjects(run: record.run, batch: "1.1", limits: limits, site.bed.connection)
            }
            let first = try #require(try await claim())
            #expect(try await ledger.write([object], of: first, limits: limits, site.bed.connection))
            let second = try #require(try await claim())
            #expect(second.unconfirmed == [.init(number: 1, sizes: [object.key: 9])] && second.nextList == 2)
            let confirmation = Ledger.Confirmation(list: 1, deleted: 1, bytes: 9)
            for (attempt, isOwner) in [(first, false), (second, true)] {
                #expect(
                    try await ledger.confirm([confirmation], of: attempt, limits: limits, site.bed.connection)
                        == isOwner
                )
            }
            #expect(try await ledger.complete(first, microseconds: 1, limits: limits, site.bed.connection) == nil)
            // Given up on: what it has deleted stays counted, and comes back when it is tried again.
            let dead = try await ledger.end(record.run, "1.1", as: .dead, limits: limits, site.bed.connection)
            #expect(dead == Ledger.BatchRecord(outcome: .dead, rows: 1, cascaded: 0, bytes: 9))
            #expect(try await claim() == nil)
            #expect(!(try await ledger.write([object], of: second, limits: limits, site.bed.connection)))
            try await ledger.revive(["1.1"], of: record, site.bed.connection)
            let third = try #require(try await claim())
            let done = try await ledger.complete(third, microseconds: 1, limits: limits, site.bed.connection)
            #expect(done == Ledger.BatchRecord(outcome: .done, rows: 1, cascaded: 0, bytes: 9))
        }
    }

    @Test func `quarantine marks in one run and deletes in a later one`() async throws {
        try await BlobSite.with(quarantine: "7d") { site in
            let keys = (0..<6).map(BlobSite.key)
            try await site.bucket.seed(keys.map { .init($0, age: BlobSite.old) })
            try await site.bucket.seed([.init("chunks/old", age: 2 * BlobSite.old)])
            // Leftovers go by their age alone.
            expectFinished(try await site.bed.drain("Blobs")[0], rows: 1)
            #expect(try await site.marks() == 6)
            try await site.age(by: "6 days")
            expectFinished(try await site.bed.drain("Blobs")[0], rows: 0)
            // One is referenced now, and one was written anew: its mark starts again.
            try await site.refer(to: [keys[0]])
            try await site.bucket.seed([.init(keys[1], age: BlobSite.old - 60)])
            try await site.age(by: "1 day 1 minute")
            expectFinished(try await site.bed.drain("Blobs")[0], rows: 4)
            #expect(Set(try await site.bucket.state().keys) == Set(keys[..<2]))
            #expect(try await site.marks() == 1)
            // Nobody has it any more.
            try await site.bucket.remove(keys[1])
            expectFinished(try await site.bed.drain("Blobs")[0], rows: 0)
            #expect(try await site.marks() == 0)
            // A reference that comes and goes starts the time again.
            try await site.forget([keys[0]])
            expectFinished(try await site.bed.drain("Blobs")[0], rows: 0)
            try await site.age(by: "8 days")
            expectFinished(try await site.bed.drain("Blobs")[0], rows: 1)
            #expect(try await site.marks() == 0)
        }
    }

    /// Marks are dropped where a page shows that their objects are gone, and nowhere else.
    @Test func `a listing of several pages keeps the marks of all of them`() async throws {
        try await BlobSite.with(quarantine: "7d") { site in
            let keys = (0..<2_300).map(BlobSite.key).sorted()
            try await site.bucket.seed(keys.map { .init($0, age: BlobSite.old) })
            expectFinished(try await site.bed.drain("Blobs")[0], rows: 0)
            #expect(try await site.marks() == 2_300)
            for key in [keys[0], keys[1_100], keys[2_299]] { try await site.bucket.remove(key) }
            try await site.age(by: "8 days")
            expectFinished(try await site.bed.drain("Blobs")[0], rows: 2_297)
            #expect(try await site.marks() == 0)
        }
    }
}
