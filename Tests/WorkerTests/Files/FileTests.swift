import Foundation
import PostgresClient
import TestSupport
import Testing

@testable import Shared
@testable import Worker

/// `after`: what rows leave behind goes with them.
@Suite(.timeLimit(.minutes(5))) struct FileTests {
    @Test(arguments: FileSite.Kind.allCases)
    func `files go with their rows, and nothing lists them any more`(_ kind: FileSite.Kind) async throws {
        try await FileSite.with(kind) { site in
            try await site.fill(1...60)
            // A row without a file, a young one with, and a file of nobody's.
            try await site.bed.run(
                "INSERT INTO files (id) VALUES (100)",
                "UPDATE files SET created_at = now() WHERE id IN (7, 20)",
                "INSERT INTO activities VALUES (1000, '{\"files\": []}'), (1001, '{\"other\": 1}')"
            )
            try await site.put("project/other")
            let before = try await site.bed.strings(
                "SELECT data::text FROM activities WHERE id IN (3, 10, 1000, 1001) ORDER BY id"
            )
            let outcome = try await site.bed.drain("Target", batchRows: 25)[0]
            expectFinished(outcome, rows: 59)
            #expect(try await site.rows() == [7, 20])
            #expect(try await site.files() == [FileSite.path(20), FileSite.path(7), "project/other"].sorted())
            #expect(try await site.listed() == [7, 20])
            // Each activity is still there, and those that kept their only file, or had none, are as they were.
            #expect(try await site.bed.int("SELECT count(*) FROM activities") == 33)
            #expect(try await site.bed.int("SELECT count(*) FROM activities WHERE data -> 'files' = '[]'") == 30)
            #expect(
                try await site.bed.strings("SELECT data::text FROM activities WHERE id IN (1000, 1001) ORDER BY id")
                    == before.suffix(2)
            )
            #expect(try await site.confirmed(outcome.run) == [58, 0, 0])
            #expect(try await site.bytes(of: outcome.run) == 58 * FileSite.size)
            #expect(outcome.count("bytes") == 58 * FileSite.size)
        }
    }

    @Test(arguments: FileSite.Kind.allCases)
    func `files that are gone already are no obstacle`(_ kind: FileSite.Kind) async throws {
        try await FileSite.with(kind) { site in
            try await site.fill(1...20)
            for number in 1...12 { try await site.remove(FileSite.path(number)) }
            let outcome = try await site.bed.drain("Target")[0]
            expectFinished(outcome, rows: 20)
            #expect(try await site.files() == [])
            // A bucket does not tell.
            #expect(try await site.confirmed(outcome.run) == (kind == .folder ? [8, 12, 0] : [20, 0, 0]))
        }
    }

    @Test func `an update alone needs no file and no store`() async throws {
        let target = """
              Target: {table: files, key: id, where: "true", after: {update: "UPDATE {schema}.total SET gone = gone + cardinality({keys})"}}
            """
        try await withTestBed(targets: target) { bed in
            try await bed.run(
                "CREATE TABLE total (gone bigint)",
                "INSERT INTO total VALUES (0)",
                "CREATE TABLE files (id uuid PRIMARY KEY)",
                "INSERT INTO files SELECT gen_random_uuid() FROM generate_series(1, 500)"
            )
            expectFinished(try await bed.drain("Target", batchRows: 100)[0], rows: 500)
            #expect(try await bed.int("SELECT gone FROM total") == 500)
            #expect(try await bed.int("SELECT count(*) FROM \(bed.ledger.table("file_list"))") == 0)
        }
    }

    @Test func `an update that fails keeps rows and files`() async throws {
        try await FileSite.with { site in
            try await site.fill(1...2)
            try await site.bed.run("ALTER TABLE activities ADD CHECK (id > 0 OR data -> 'files' <> '[]')")
            let outcome = try await site.bed.drain("Target")[0]
            #expect(outcome.state == "failed" && outcome.count("dead") == 1 && outcome.count("rows") == 1)
            #expect(try await site.rows() == [1])
            #expect(try await site.files() == [FileSite.path(1)])
            #expect(try await site.listed() == [1])
        }
    }

    // MARK: Interrupted

    @Test(arguments: FileSite.Kind.allCases, FileSite.Crash.allCases)
    func `whoever takes a batch over does what is left of it`(
        _ kind: FileSite.Kind,
        _ crash: FileSite.Crash
    ) async throws {
        try await FileSite.with(kind) { site in
            try await site.fill(1...30)
            let (run, lease, context) = try await site.lease()
            // A bucket's sizes come from the rows; there the call itself is lost.
            if kind == .bucket, crash == .sizes {
                try await site.bucket?.inflict(.unavailable, on: "delete", times: 1_000)
            } else {
                try await site.crash(crash)
            }
            await #expect(throws: (any Error).self) {
                try await site.bed.executor().run(lease.message, context, .waiting, site.bed.connection)
            }
            #expect(try await site.rows() == [])
            #expect(try await site.listed() == [])
            #expect(try await site.files().count == (crash == .sizes ? 30 : 0))
            #expect(try await site.confirmed(run.run) == [0, 0, 1])
            if kind == .bucket, crash == .sizes { try await site.bucket?.heal() } else { try await site.mend() }

            // Rows that came after are not the batch's.
            try await site.fill(41...42)
            let outcome = try await site.bed.executor().run(lease.message, context, .waiting, site.bed.connection)
            guard case .finished(let record, _) = outcome else {
                Issue.record("\(outcome)")
                return
            }
            #expect(record == .init(outcome: .done, rows: 30, cascaded: 0, bytes: 30 * FileSite.size))
            #expect(try await site.files() == [FileSite.path(41), FileSite.path(42)])
            #expect(try await site.confirmed(run.run) == [30, 0, 0])
            let again = try await site.bed.executor().run(lease.message, context, .waiting, site.bed.connection)
            #expect(again == .endedBefore(record))
        }
    }

    @Test(arguments: FileSite.Crash.allCases, [true, false])
    func `what nobody took over is done at the end of a run`(_ crash: FileSite.Crash, isCancelled: Bool) async throws {
        try await FileSite.with { site in
            try await site.fill(1...30)
            let (run, lease, context) = try await site.lease()
            try await site.crash(crash)
            await #expect(throws: PostgresError.self) {
                try await site.bed.executor().run(lease.message, context, .waiting, site.bed.connection)
            }
            try await site.mend()
            try await site.bed.loseRedis()
            let control = site.bed.services.runControl(site.bed.queue)
            if isCancelled {
                try await control.cancel(run.run, site.bed.connection)
            } else {
                #expect(try await control.recover(run.run, site.bed.connection))
            }
            try await site.bed.work()
            let outcome = try await site.bed.outcome(of: run.run)
            #expect(outcome.state == (isCancelled ? "cancelled" : "finished"), "\(outcome.fields)")
            #expect(outcome.ledgerRows == 30 && outcome.count("rows") == 30 && outcome.unrest == [])
            #expect(try await site.files() == [])
            #expect(try await site.confirmed(run.run) == [30, 0, 0])
            #expect(try await site.bytes(of: run.run) == 30 * FileSite.size)
        }
    }

    @Test func `a run that is cancelled without its store leaves its list to the next one`() async throws {
        try await FileSite.with { site in
            try await site.fill(1...10)
            let (run, lease, context) = try await site.lease()
            try await site.crash(.sizes)
            await #expect(throws: PostgresError.self) {
                try await site.bed.executor().run(lease.message, context, .waiting, site.bed.connection)
            }
            try await site.mend()
            try FileManager.default.moveItem(atPath: site.root, toPath: site.root + "-away")
            try await site.bed.loseRedis()
            try await site.bed.services.runControl(site.bed.queue).cancel(run.run, site.bed.connection)
            try await site.bed.work()
            let outcome = try await site.bed.outcome(of: run.run)
            #expect(outcome.state == "cancelled" && outcome.ledgerRows == 10)
            #expect(outcome.fields["error"]?.contains("files of 1 batches") == true, "\(outcome.fields)")
            // However old it is, what it has left is not forgotten.
            #expect(try await site.bed.ledger.prune(retention: .zero, site.bed.connection) == 0)

            try FileManager.default.moveItem(atPath: site.root + "-away", toPath: site.root)
            expectFinished(try await site.bed.drain("Target")[0], rows: 0)
            #expect(try await site.files() == [])
            #expect(try await site.confirmed(run.run) == [10, 0, 0])
        }
    }

    @Test func `a batch that is given up on after its commit can be tried again`() async throws {
        try await FileSite.with { site in
            try await site.fill(1...10)
            // A folder where there should be a file: all the others go.
            try await site.remove(FileSite.path(4))
            try await site.put(FileSite.path(4) + "/inner")
            let outcome = try await site.bed.drain("Target")[0]
            #expect(outcome.state == "failed" && outcome.count("dead") == 1 && outcome.ledgerRows == 10)
            let letter = try #require(try await site.bed.queue.deadLetters(of: outcome.run).first)
            #expect(letter.error.contains("\(FileSite.path(4)) in \(site.root) is a folder"), "\(letter.error)")
            #expect(try await site.files() == [FileSite.path(4) + "/inner"])

            try FileManager.default.removeItem(atPath: "\(site.root)/\(FileSite.path(4))")
            try await site.bed.services.runControl(site.bed.queue).retry(
                [letter.batch],
                of: outcome.run,
                site.bed.connection
            )
            try await site.bed.work()
            expectFinished(try await site.bed.outcome(of: outcome.run), rows: 10)
            #expect(try await site.confirmed(outcome.run) == [9, 1, 0])
        }
    }

    @Test func `a batch whose rows went in a commit that nobody heard of is not split`() async throws {
        try await FileSite.with { site in
            try await site.fill(1...4)
            let (record, lease, _) = try await site.lease()
            let ledger = site.bed.ledger
            let batch = lease.message.batch
            let claim = Ledger.FileClaim(
                run: record.run,
                batch: batch,
                store: "files",
                location: site.root,
                paths: [FileSite.path(1)],
                sizes: nil
            )
            let earlier = try await site.bed.connect()
            _ = try await earlier.query("BEGIN")
            _ = try await earlier.query(
                "INSERT INTO \(ledger.table("batch")) (run, batch, outcome, rows) VALUES ($1, $2, 'done', 1)",
                [record.run, batch]
            )
            let list = ledger.list(claim)
            _ = try await earlier.query(list.sql, list.parameters)
            let limits = TransactionSettings.TimeLimits(lock: .seconds(60), statement: .seconds(60), idle: .seconds(60))
            async let ended = ledger.end(record.run, batch, as: .split, limits: limits, site.bed.connection)
            try await eventually("the split waits for the commit") { try await earlier.isWaitedFor() }
            _ = try await earlier.query("COMMIT")
            await earlier.close()
            #expect(try await ended == nil)
            #expect(try await ledger.openFiles(of: record, site.bed.connection).map(\.batch) == [batch])
        }
    }

    // MARK: Out of bounds

    @Test(arguments: [
        "../canary", "/etc/canary", "", "a//b", "./a", "a/../../canary", "a/", "link/canary", "project/3/up/canary",
    ])
    func `a path that leads out of the store is never touched, and its row stays`(_ path: String) async throws {
        try await FileSite.with { site in
            try await site.fill(1...20)
            let outside = URL(filePath: site.root).deletingLastPathComponent()
            for folder in [outside, outside.appending(path: "elsewhere")] {
                try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
                try Data("canary".utf8).write(to: folder.appending(path: "canary"))
            }
            for link in ["link", "project/3/up"] {
                try FileManager.default.createSymbolicLink(
                    atPath: "\(site.root)/\(link)",
                    withDestinationPath: outside.appending(path: "elsewhere").path()
                )
            }
            _ = try await site.bed.connection.query("INSERT INTO files (id, path) VALUES (100, $1)", [path])
            let outcome = try await site.bed.drain("Target")[0]
            #expect(
                outcome.state == "failed" && outcome.count("dead") == 1 && outcome.ledgerRows == 20,
                "\(outcome.fields)"
            )
            let letters = try await site.bed.queue.deadLetters(of: outcome.run)
            let error = try #require(letters.first?.error)
            #expect(
                error.contains(
                    path.hasPrefix("link") || path.contains("up") ? "symbolic link" : "the path \"\(path)\""
                ),
                "\(error)"
            )
            #expect(try await site.rows() == [100])
            #expect(try await site.files() == ["link", "project/3/up"])
            for folder in [outside, outside.appending(path: "elsewhere")] {
                #expect(try Data(contentsOf: folder.appending(path: "canary")) == Data("canary".utf8))
            }
        }
    }

    @Test func `of a symbolic link the link goes`() async throws {
        try await FileSite.with { site in
            try await site.fill(1...3)
            let canary = URL(filePath: site.root).deletingLastPathComponent().appending(path: "canary")
            try Data("canary".utf8).write(to: canary)
            try await site.remove(FileSite.path(2))
            try FileManager.default.createSymbolicLink(
                atPath: "\(site.root)/\(FileSite.path(2))",
                withDestinationPath: canary.path()
            )
            expectFinished(try await site.bed.drain("Target")[0], rows: 3)
            #expect(try await site.files() == [])
            #expect(try Data(contentsOf: canary) == Data("canary".utf8))
        }
    }

    @Test func `of a bucket, too, a path has to be plain`() async throws {
        try await FileSite.with(.bucket) { site in
            try await site.fill(1...5)
            try await site.bed.run("INSERT INTO files (id, path) VALUES (100, '../other/key')")
            let outcome = try await site.bed.drain("Target")[0]
            #expect(outcome.state == "failed" && outcome.ledgerRows == 5)
            #expect(try await site.rows() == [100])
            #expect(try await site.files() == [])
        }
    }

    // MARK: Without the store

    @Test(arguments: [true, false])
    func `without its store a run pauses, and nothing goes`(isEmpty: Bool) async throws {
        try await FileSite.with { site in
            try await site.fill(1...10)
            try FileManager.default.moveItem(atPath: site.root, toPath: site.root + "-away")
            if isEmpty {
                try FileManager.default.createDirectory(atPath: site.root, withIntermediateDirectories: false)
            }
            let record = try await site.bed.start()
            try await site.bed.work()
            let paused = try await site.bed.outcome(of: record.run)
            #expect(paused.state == "paused", "\(paused.fields)")
            #expect(paused.fields["error"]?.contains(site.root) == true, "\(paused.fields)")
            #expect(try await site.rows() == Array(1...10))
            #expect(try await site.listed() == Array(1...10))

            if isEmpty { try FileManager.default.removeItem(atPath: site.root) }
            try FileManager.default.moveItem(atPath: site.root + "-away", toPath: site.root)
            _ = try await site.bed.services.runControl(site.bed.queue).resume(record.run, site.bed.connection)
            try await site.bed.work()
            expectFinished(try await site.bed.outcome(of: record.run), rows: 10)
            #expect(try await site.files() == [])
        }
    }

    @Test func `without its bucket a run pauses, and nothing goes`() async throws {
        try await FileSite.with(.bucket) { site in
            try await site.fill(1...10)
            try await site.bucket?.drop()
            let record = try await site.bed.start()
            try await site.bed.work()
            let paused = try await site.bed.outcome(of: record.run)
            #expect(
                paused.state == "paused" && paused.fields["error"]?.contains("NoSuchBucket") == true,
                "\(paused.fields)"
            )
            #expect(try await site.rows() == Array(1...10))
        }
    }

    @Test func `a call that fails in part, or whose answer is lost, is made again`() async throws {
        try await FileSite.with(.bucket) { site in
            try await site.fill(1...40)
            try await site.bucket?.inflict(
                .keys,
                on: "delete",
                keys: [FileSite.path(3), FileSite.path(9)],
                code: "SlowDown"
            )
            try await site.bucket?.inflict(.lost, on: "delete")
            let outcome = try await site.bed.drain("Target")[0]
            expectFinished(outcome, rows: 40)
            #expect(try await site.files() == [])
            #expect(try await site.confirmed(outcome.run) == [40, 0, 0])
        }
    }
}
