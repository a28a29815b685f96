import PostgresClient
import Shared
import TestSupport
import Testing

/// What a worker knows of its runs is read once, whatever number of slots ask for it at once.
@Suite(.timeLimit(.minutes(5))) struct RunContextsTests {
    private static let target = "  Target: {table: events, key: id, max_age: {column: created_at, age: 1d}}"

    /// A run whose table somebody locks, so that reading its facts has to wait until `body` has what it wants.
    private func withLockedTable(
        _ body: (TestBed, RunContexts, _ run: String, _ unlock: @Sendable () async throws -> Void) async throws -> Void
    ) async throws {
        try await withTestBed(targets: Self.target) { bed in
            try await bed.run("CREATE TABLE events (id bigint PRIMARY KEY, created_at timestamp)")
            let record = try await bed.start()
            let locker = try await bed.connect()
            _ = try await locker.query("BEGIN")
            _ = try await locker.query("LOCK TABLE \(bed.table("events")) IN ACCESS EXCLUSIVE MODE")
            try await body(bed, bed.services.runContexts(), record.run) { _ = try await locker.query("ROLLBACK") }
            await locker.close()
        }
    }

    /// How many sessions wait for the table.
    private func waiting(_ bed: TestBed) async throws -> Int {
        try await bed.int(
            "SELECT count(*) FROM pg_locks WHERE NOT granted AND relation = $1::regclass",
            [bed.table("events")]
        )
    }

    /// Asks for the context of a run on a connection of its own; nil when cancelled.
    private static func ask(_ contexts: RunContexts, _ run: String, _ bed: TestBed) async throws -> RunContext? {
        let connection = try await bed.connect()
        let context: RunContext?
        do { context = try await contexts.context(run, connection) } catch is CancellationError { context = nil }
        await connection.close()
        return context
    }

    @Test func `of many that ask for a new run's context one reads it`() async throws {
        try await self.withLockedTable { bed, contexts, run, unlock in
            try await withThrowingTaskGroup(of: RunContext?.self) { group in
                for _ in 1...3 { group.addTask { try await Self.ask(contexts, run, bed) } }
                try await eventually("one reads") { try await self.waiting(bed) >= 1 }
                // Whoever were to read, too, would have to wait for the lock as well.
                group.addTask { try await Self.ask(contexts, run, bed) }
                #expect(try await self.waiting(bed) == 1)
                try await unlock()
                var found = 0
                for try await context in group { found += context?.record.run == run ? 1 : 0 }
                #expect(found == 4)
            }
        }
    }

    @Test func `when whoever reads is stopped, the next one does`() async throws {
        try await self.withLockedTable { bed, contexts, run, unlock in
            try await withThrowingTaskGroup(of: RunContext?.self) { group in
                try await withThrowingTaskGroup(of: RunContext?.self) { first in
                    first.addTask { try await Self.ask(contexts, run, bed) }
                    try await eventually("the first reads") { try await self.waiting(bed) == 1 }
                    group.addTask { try await Self.ask(contexts, run, bed) }
                    first.cancelAll()
                    for try await context in first { #expect(context == nil) }
                }
                try await eventually("the second reads") { try await self.waiting(bed) == 1 }
                try await unlock()
                for try await context in group { #expect(context?.record.run == run) }
            }
        }
    }
}
