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

    /// The storage answers the call, and not the listings after it.
    @Test func `a look after the call that fails is made up for`() async throws {
        try await BlobSite.with { site in
            let keys = (0..<20).map(BlobSite.key)
            try await site.bucket.seed(keys.map { .init($0, size: 1, age: BlobSite.old) })
            let record = try await site.bed.start("Blobs")
            try await site.bucket.holding("delete", while: { try await site.bed.work(slots: 1) }) {
                try await site.refer(to: Array(keys[..<3]))
                // More than the tries of one attempt.
                try await site.bucket.inflict(.unavailable, on: "list", times: 7)
            }
            let outcome = try await site.bed.outcome(of: record.run)
            #expect(
                outcome.state == "failed" && outcome.ledgerRows == 20 && outcome.count("bytes") == 20,
                "\(outcome.fields)"
            )
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

    /// Its client found it missing and pushes it again; the reference comes last.
    @Test func `an object that is written anew between two tries stays`() async throws {
        try await BlobSite.with { site in
            let keys = (0..<20).map(BlobSite.key)
            try await site.bucket.seed(keys.map { .init($0, size: 1, age: BlobSite.old) })
            try await site.bucket.inflict(.renewed, on: "delete", keys: Array(keys[..<2]))
            let outcome = try await site.bed.drain("Blobs")[0]
            expectFinished(outcome, rows: 18)
            #expect(try await site.bytes(of: outcome.run) == 18)
            let state = try await site.bucket.state()
            #expect(Set(state.keys) == Set(keys[..<2]))
            #expect(state.calls["delete"] == 1, "nothing is left for a second call")
        }
    }

    /// Only some keys of the first call fail; one of them is written anew before the second.
    @Test func `of the keys that failed, one that is written anew stays`() async throws {
        try await BlobSite.with { site in
            let keys = (0..<20).map(BlobSite.key)
            try await site.bucket.seed(keys.map { .init($0, size: 1, age: BlobSite.old) })
            try await site.bucket.inflict(.keys, on: "delete", keys: Array(keys[..<3]), code: "InternalError")
            let record = try await site.bed.start("Blobs")
            // Behind the page of the batch comes the look between the tries.
            try await site.bucket.holding("list", skip: 1, while: { try await site.bed.work(slots: 1) }) {
                try await site.bucket.seed([.init(keys[0], size: 1)])
                try await site.bucket.remove(keys[1])
            }
            let outcome = try await site.bed.outcome(of: record.run)
            expectFinished(outcome, rows: 19)
            #expect(try await site.bytes(of: record.run) == 19)
            #expect(try await site.bucket.state().keys == [keys[0]])
        }
    }

    /// The reference belongs to an object that was written anew by then.
    @Test func `an object that is there again is nobody's loss`() async throws {
        try await BlobSite.with { site in
            let keys = (0..<20).map(BlobSite.key)
            try await site.bucket.seed(keys.map { .init($0, age: BlobSite.old) })
            let record = try await site.bed.start("Blobs")
            // After the page of the plan, that of the batch, and that of the late look.
            let work: @Sendable () async throws -> Void = {
                try await site.bucket.holding("delete", while: { try await site.bed.work(slots: 1) }) {
                    try await site.refer(to: Array(keys[..<3]))
                }
            }
            try await site.bucket.holding("list", skip: 1, while: work) {
                try await site.bucket.seed(keys[..<2].map { .init($0) })
            }
            let outcome = try await site.bed.outcome(of: record.run)
            #expect(outcome.state == "failed" && outcome.ledgerRows == 20, "\(outcome.fields)")
            #expect(outcome.fields["error"]?.hasPrefix("1 objects were deleted while references") == true)
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
            #expect(second.nextList == 2)
            for (attempt, isOwner) in [(first, false), (second, true)] {
                #expect(try await ledger.holds(attempt, site.bed.connection) == isOwner)
            }
            let confirmation = Ledger.Confirmation(list: 1, deleted: 1, bytes: 9)
            for (attempt, isOwner) in [(first, false), (second, true)] {
                #expect(
                    try await ledger.confirm(confirmation, of: attempt, limits: limits, site.bed.connection)
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
}
