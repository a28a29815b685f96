import PostgresClient
import Shared
import TestSupport
import Testing

/// What a process knows of its runs is read again after it was forgotten.
@Suite(.timeLimit(.minutes(5))) struct RunContextsTests {
    @Test func `what was being read while it was forgotten is not kept`() async throws {
        let target = "  Target: {table: events, key: id, max_age: {column: created_at, age: 1d}}"
        try await withTestBed(targets: target) { bed in
            try await bed.run("CREATE TABLE events (id bigint PRIMARY KEY, created_at timestamp)")
            let run = try await bed.start().run
            let contexts = bed.services.runContexts()
            let locker = try await bed.connect()
            _ = try await locker.query("BEGIN")
            _ = try await locker.query("LOCK TABLE \(bed.table("events")) IN ACCESS EXCLUSIVE MODE")
            async let reading = Self.context(contexts, run, bed)
            try await eventually("somebody reads") {
                try await bed.int(
                    "SELECT count(*) FROM pg_locks WHERE NOT granted AND relation = $1::regclass",
                    [bed.table("events")]
                ) == 1
            }
            await contexts.forget(run)
            _ = try await locker.query("ROLLBACK")
            #expect(try await reading.resolved.facts.indexes.count == 1)
            await locker.close()
            try await bed.run("CREATE INDEX ON events (created_at)")
            #expect(try await contexts.context(run, bed.connection).resolved.facts.indexes.count == 2)
            try await bed.run("CREATE INDEX ON events (created_at, id)")
            #expect(try await contexts.context(run, bed.connection).resolved.facts.indexes.count == 2, "known now")
        }
    }

    /// Reads on a connection of its own.
    private static func context(_ contexts: RunContexts, _ run: String, _ bed: TestBed) async throws -> RunContext {
        let connection = try await bed.connect()
        let context = try await contexts.context(run, connection)
        await connection.close()
        return context
    }
}
