import Foundation
import Testing

/// Uploads that nobody uses: rows, what activities say of them, and files on disk.
@Suite(.serialized, .timeLimit(.minutes(10))) struct `AYON's files` {
    @Test func `go with their rows, ten thousand of them`() async throws {
        try await withAyon(AyonSeed(entities: 300, activities: 20_000, files: 25_000)) { ayon in
            try await ayon.predict([.unusedFiles])
            let runs = try await ayon.cleanEach("UnusedFiles")
            #expect(runs.map(\.state) == ["finished", "finished"])
            #expect(runs.map(\.schema).sorted() == AyonProject.all.map(\.schema))
            #expect(runs.map(\.rows.deleted) == [5_000, 5_000])
            let ledger = "SELECT sum(bytes) FROM \(ayon.namespace).run"
            // The seed writes each file's name into it.
            #expect(try await ayon.number(ledger) == 10_000 * 32)
            #expect(try await ayon.number("SELECT sum(deleted) FROM \(ayon.namespace).file_list") == 10_000)
            try await ayon.expectAyon()
            try await ayon.expectQueueAtRest()
        }
    }

    /// Where the worker is when it is killed: a list of files is being written to.
    enum Moment: String, Sendable, CaseIterable {
        /// Its rows are gone, and none of its files is.
        case sizes
        /// All of its files are gone, and nobody knows yet.
        case deleted
    }

    private static let shortLeases: [String: String?] = [
        "EBB_LEASES_DURATION": "7s",
        "EBB_BATCHES_STATEMENT_TIMEOUT": "3s",
        "EBB_BATCHES_IDLE_TIMEOUT": "1s",
    ]

    /// For the worker that is killed: nothing else ends its batch, however late that comes.
    private static let longLeases: [String: String?] = [
        "EBB_LEASES_DURATION": "300s",
        "EBB_BATCHES_STATEMENT_TIMEOUT": "100s",
        "EBB_BATCHES_IDLE_TIMEOUT": "100s",
    ]

    @Test(arguments: Moment.allCases)
    func `go also when a worker is killed between its commit and the end of its files`(_ moment: Moment) async throws {
        try await withAyon(AyonSeed(entities: 100, activities: 2_000, files: 3_000)) { ayon in
            try await ayon.predict([.unusedFiles])
            let setup = try await ayon.producer("setup")
            #expect(setup.status == .exited(0), "\(setup.errors)")
            let list = "\(ayon.namespace).file_list"
            try await ayon.execute(
                "CREATE FUNCTION linger() RETURNS trigger LANGUAGE plpgsql AS $$BEGIN PERFORM pg_sleep(60); RETURN NULL; END$$",
                "CREATE TRIGGER linger AFTER UPDATE OF \(moment.rawValue) ON \(list) FOR EACH ROW EXECUTE FUNCTION linger()"
            )
            let before = try AyonProject.all.map { try ayon.stored(.uploads, of: $0).count }
            let enqueue = try await ayon.run(
                .producer,
                ["enqueue", "UnusedFiles", "--json"],
                environment: Self.shortLeases
            )
            #expect(enqueue.status == .exited(0), "\(enqueue.errors)")
            let slot = ["--concurrency", "1"]
            let (_, killed) = try await ayon.during(.worker, slot, environment: Self.longLeases) { worker in
                try await until("the worker is at its files") {
                    try await ayon.number(
                        "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event = 'PgSleep'"
                    ) == 1
                }
                worker.send(SIGKILL)
            }
            #expect(killed.status == .killed(by: SIGKILL))
            // The server may not have noticed yet.
            try await ayon.execute(
                "SELECT pg_terminate_backend(pid, 10000) FROM pg_stat_activity WHERE datname = current_database() AND wait_event = 'PgSleep'",
                "DROP TRIGGER linger ON \(list)",
                "DROP FUNCTION linger()"
            )
            #expect(try await ayon.number("SELECT count(*) FROM \(list) WHERE deleted IS NULL") == 1)
            let after = try AyonProject.all.map { try ayon.stored(.uploads, of: $0).count }
            #expect(before != after || moment == .sizes)
            #expect(before == after || moment == .deleted)

            let runs = try await ayon.cleanEach("UnusedFiles", environment: Self.shortLeases)
            #expect(runs.map(\.state) == ["finished", "finished"])
            // The worker may have ended the killed one's run before the command asked for it: then that has begun another.
            #expect(try await ayon.number("SELECT sum(rows) FROM \(ayon.namespace).run") == 1_200)
            #expect(try await ayon.number("SELECT sum(deleted) FROM \(list)") == 1_200)
            #expect(try await ayon.number("SELECT count(*) FROM \(list) WHERE deleted IS NULL") == 0)
            try await ayon.expectAyon()
            try await ayon.expectQueueAtRest()
        }
    }
}
