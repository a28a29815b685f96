import PostgresClient
import RedisClient
import TestSupport
import Testing

@testable import Shared

@Suite struct SessionEventTests {
    private static let token = String(repeating: "0123456789abcdef", count: 4)

    /// The product's table, in the test's schema instead of `public`.
    private static func withSite(_ body: (SessionSite, ConnectionPool) async throws -> Void) async throws {
        try await withTestBed { bed in
            try await bed.run(
                """
                CREATE TABLE events (
                  id uuid PRIMARY KEY, hash varchar UNIQUE NOT NULL, topic varchar NOT NULL, user_name varchar,
                  status varchar NOT NULL DEFAULT 'pending', description text, summary jsonb,
                  created_at timestamptz DEFAULT now(), updated_at timestamptz DEFAULT now()
                )
                """
            )
            var layout = try SessionSite.ayon(bed).layout
            layout.event?.insert.replace("public.events", with: bed.table("events"))
            let pool = ConnectionPool(try bed.services.postgresConfiguration(as: "ebb test"))
            try await body(SessionSite(bed: bed, layout: layout), pool)
        }
    }

    private static func rows(_ site: SessionSite) async throws -> [[String?]] {
        try await site.bed.connection.query(
            "SELECT topic, status, description, user_name, summary::text FROM events ORDER BY summary->>'token'"
        ).rows.map { row in (0..<5).map { row[$0] } }
    }

    @Test(arguments: [
        (SessionTokenForm.prefix, "01234567"), (.hash, ""), (.full, Self.token),
    ])
    func `each deleted session is told, without its token`(_ form: SessionTokenForm, _ told: String) async throws {
        try await Self.withSite { site, pool in
            try await site.add(Self.token, age: 300_000)
            try await site.add("young", age: 5)
            let report = try await site.sweeper(form: form, database: pool).run()
            #expect(report.events == SweepReport.Events(written: 1))
            let row = try #require(try await Self.rows(site).first)
            #expect(row[0...3] == ["auth.logout", "finished", "Session expired", "alice"])
            let summary = try #require(row[4])
            switch form {
            case .prefix, .full: #expect(summary == "{\"token\": \"\(told)\"}")
            case .hash: #expect(summary.count == 40 + 13 && !summary.contains(Self.token.prefix(8)))
            }
        }
    }

    @Test func `no event for a service user, little of a short token, none without a user`() async throws {
        try await Self.withSite { site, pool in
            try await site.set(
                "service",
                #"{"last_used":5,"token":"service","user":{"data":{"isService":true},"name":"robot"}}"#
            )
            try await site.set("short-api-key", #"{"last_used":5,"token":"short-api-key","user":null}"#)
            let report = try await site.sweeper(database: pool).run()
            #expect([report.deleted, report.events.written] == [2, 1] as [Int])
            #expect(
                try await Self.rows(site)
                    == [["auth.logout", "finished", "Session expired", nil, "{\"token\": \"sho\"}"]]
            )
        }
    }

    @Test func `events of a database that is away wait and are told once`() async throws {
        try await Self.withSite { site, pool in
            for number in 0..<1_200 { try await site.add("\(number)-" + Self.token, age: 300_000) }
            try await site.bed.run("ALTER TABLE events RENAME TO away")
            var report = try await site.sweeper(database: pool).run()
            #expect([report.deleted, report.events.written, report.events.waiting] == [1_200, 0, 1_200] as [Int])
            #expect(report.events.error != nil)
            try await site.bed.run("ALTER TABLE away RENAME TO events")
            // As if a sweeper had been killed between writing and forgetting.
            let list = site.bed.queue.keys.sessionEvents
            let waiting = try await site.redis.send("LRANGE", list, "0", "99").array?.compactMap(\.string) ?? []
            let document = "[" + waiting.joined(separator: ",") + "]"
            let insert = try #require(site.layout.event?.insert)
            _ = try await site.bed.connection.query(insert, [document])
            report = try await site.sweeper(database: pool).run()
            #expect([report.events.written, report.events.waiting] == [1_200, 0] as [Int])
            #expect(try await site.bed.int("SELECT count(*) FROM events") == 1_200)
            #expect(try await site.sweeper(database: pool).run().events == SweepReport.Events())
        }
    }

    @Test func `a database that is silent for longer than a lease costs the sweep nothing`() async throws {
        try await Self.withSite { site, pool in
            try await site.bed.run("ALTER TABLE events RENAME TO away")
            try await site.add("old-" + Self.token, age: 300_000)
            #expect(try await site.sweeper(database: pool).run().events.waiting == 1)
            try await site.bed.run("ALTER TABLE away RENAME TO events")
            try await site.add("new-" + Self.token, age: 300_000)
            // What waits is written first, and waits for the lock until it has taken too long.
            let locker = try await site.bed.connect()
            _ = try await locker.query("BEGIN")
            _ = try await locker.query("LOCK TABLE events IN ACCESS EXCLUSIVE MODE")
            let result: Result<SweepReport, any Error>
            var patience = Patience.ofTests
            patience.telling = .seconds(15)
            do {
                result = .success(
                    try await site.sweeper(lease: .seconds(12), database: pool, patience: patience).run()
                )
            } catch {
                result = .failure(error)
            }
            await locker.close()
            var report = try result.get()
            #expect(report.outcome == .finished)
            #expect([report.deleted, report.events.written, report.events.waiting] == [1, 0, 2] as [Int])
            report = try await site.sweeper(database: pool).run()
            #expect([report.events.written, report.events.waiting] == [2, 0] as [Int])
            #expect(try await site.bed.int("SELECT count(*) FROM events") == 2)
        }
    }

    @Test func `a key that SCAN gives twice is one session`() async throws {
        try await Self.withSite { site, pool in
            try await site.add("old-" + Self.token, age: 300_000)
            try await site.add("young", age: 5)
            let keys = site.bed.queue.keys
            _ = try await site.redis.send("SET", keys.sweeper, "me")
            let sessions = ["old-" + Self.token, "young"].map(site.key)
            let reply = try await site.redis.evaluate(
                SessionScripts.page,
                keys: [keys.sweeper, keys.sessionEvents] + sessions + sessions,
                arguments: ["me", "1000", try site.sweeper(database: pool).document()]
            )
            let page = try SweepPage(reply)
            #expect([page.looked, page.expired, page.deleted] == [4, 1, 1] as [Int])
            #expect(try await site.redis.send("LLEN", keys.sessionEvents).int == 1)
        }
    }

    @Test func `without a database nothing is noted`() async throws {
        try await Self.withSite { site, _ in
            try await site.add(Self.token, age: 300_000)
            #expect(try await site.sweep().events == SweepReport.Events())
            #expect(try await site.redis.send("EXISTS", site.bed.queue.keys.sessionEvents).int == 0)
        }
    }
}
