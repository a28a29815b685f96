import PostgresClient
import Shared
import TestSupport
import Testing

/// What a process knows of its runs is read once, and again after it was forgotten.
@Suite(.timeLimit(.minutes(5))) struct RunContextsTests {
    /// With a run whose table somebody has locked.
    private func withLockedTable(
        _ body: (TestBed, _ run: String, RunContexts, _ locker: PostgresConnection) async throws -> Void
    ) async throws {
        let target = "  Target: {table: events, key: id, max_age: {column: created_at, age: 1d}}"
        try await withTestBed(targets: target) { bed in
            try await bed.run("CREATE TABLE events (id bigint PRIMARY KEY, created_at timestamp)")
            let run = try await bed.start().run
            let locker = try await bed.connect()
            _ = try await locker.query("BEGIN")
            _ = try await locker.query("LOCK TABLE \(bed.table("events")) IN ACCESS EXCLUSIVE MODE")
            try await body(bed, run, bed.services.runContexts(), locker)
            await locker.close()
        }
    }

    /// Waits until somebody waits for the table.
    ///
    /// - Returns: who.
    private static func reader(_ bed: TestBed, otherThan known: Int = 0) async throws -> Int {
        let sql =
            "SELECT coalesce(max(pid), 0) FROM pg_locks WHERE NOT granted AND relation = $1::regclass AND pid <> $2::int"
        try await eventually("somebody reads") { try await bed.int(sql, [bed.table("events"), String(known)]) != 0 }
        return try await bed.int(sql, [bed.table("events"), String(known)])
    }

    @Test func `what somebody is reading is not read twice`() async throws {
        try await self.withLockedTable { bed, run, contexts, locker in
            async let first = Self.context(contexts, run, bed)
            _ = try await Self.reader(bed)
            // It could not read by itself.
            let closed = try await bed.connect()
            await closed.close()
            async let second = contexts.context(run, closed)
            async let third = contexts.context(run, closed)
            for _ in 0..<100 { await Task.yield() }
            _ = try await locker.query("ROLLBACK")
            for context in try await [first, second, third] { #expect(context.record.run == run) }
        }
    }

    @Test func `whoever waited for one that fails reads by himself`() async throws {
        try await self.withLockedTable { bed, run, contexts, locker in
            async let first = Self.context(contexts, run, bed)
            let reader = try await Self.reader(bed)
            async let second = Self.context(contexts, run, bed)
            try await bed.run("SELECT pg_terminate_backend(\(reader))")
            do {
                _ = try await first
                Issue.record("its connection is gone")
            } catch is PostgresError {}
            _ = try await Self.reader(bed, otherThan: reader)
            _ = try await locker.query("ROLLBACK")
            #expect(try await second.record.run == run)
        }
    }

    @Test func `what was being read while it was forgotten is not kept`() async throws {
        try await self.withLockedTable { bed, run, contexts, locker in
            async let reading = Self.context(contexts, run, bed)
            _ = try await Self.reader(bed)
            await contexts.forget(run)
            _ = try await locker.query("ROLLBACK")
            #expect(try await reading.resolved.facts.indexes.count == 1)
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
