import RedisClient
import TestSupport
import Testing

@testable import Shared

@Suite struct SessionStoreTests {
    private static func store(_ bed: TestBed, lifetime: Duration = .seconds(60)) -> SessionStore {
        SessionStore(redis: bed.queue.redis, keys: bed.queue.keys, lifetime: lifetime)
    }

    @Test func `a session can be read and used until it is revoked`() async throws {
        try await withTestBed { bed in
            let store = Self.store(bed)
            let token = try await store.create(user: "alice", data: "{\"role\":\"admin\"}")
            let other = try await store.create(user: "bob")
            #expect(token.count == 64 && token != other)
            let session = SessionStore.Session(user: "alice", data: "{\"role\":\"admin\"}")
            #expect(try await store.read(token) == session)
            #expect(try await store.touch(token) == session)
            #expect(try await store.read("guess") == nil)
            #expect(try await store.touch("guess") == nil)
            #expect(try await store.revoke(token))
            #expect(try await !store.revoke(token))
            #expect(try await store.read(token) == nil)
            #expect(try await store.touch(token) == nil)
            #expect(try await store.read(other)?.user == "bob")
        }
    }

    @Test func `Redis does not know the token`() async throws {
        try await withTestBed { bed in
            let token = try await Self.store(bed).create(user: "alice")
            let keys = try await bed.queue.redis.send("KEYS", "{\(bed.namespace)}:*").array?.compactMap(\.string) ?? []
            #expect(keys.count == 2)
            #expect(!keys.contains { $0.contains(token) })
            let members = try await bed.queue.redis.send("ZRANGE", bed.queue.keys.sessions, "0", "-1").array
            #expect(members?.compactMap(\.string).contains(token) == false)
        }
    }

    @Test func `each use begins the lifetime anew, reading does not`() async throws {
        try await withTestBed { bed in
            let token = try await Self.store(bed, lifetime: .seconds(60)).create(user: "alice")
            let longer = Self.store(bed, lifetime: .seconds(3_600))
            func end() async throws -> [Int] {
                let keys = bed.queue.keys
                let member =
                    try await bed.queue.redis.send("ZRANGE", keys.sessions, "0", "-1", "WITHSCORES").array ?? []
                let name = try #require(member.first?.string)
                let expiry = try await bed.queue.redis.send("PEXPIRETIME", keys.session + name).int
                return [try #require(member.last?.int), try #require(expiry)]
            }
            let first = try await end()
            #expect(first[0] == first[1])
            _ = try await longer.read(token)
            #expect(try await end() == first)
            try await longer.touch(token)
            let second = try await end()
            #expect(second[0] == second[1])
            #expect(second[0] - first[0] >= 3_500_000)
        }
    }

    @Test func `what is over is not found, not revived by use, and swept`() async throws {
        try await withTestBed { bed in
            let store = Self.store(bed, lifetime: .milliseconds(1))
            let living = try await Self.store(bed).create(user: "bob")
            let token = try await store.create(user: "alice")
            try await eventually("it is over") { try await store.read(token) == nil }
            #expect(try await store.touch(token) == nil)
            let report = try await SessionSite(bed: bed, layout: .own(bed.queue.keys)).sweep()
            #expect([report.examined, report.deleted] == [1, 1] as [Int])
            #expect(try await bed.queue.redis.send("ZCARD", bed.queue.keys.sessions).int == 1)
            #expect(try await Self.store(bed).read(living)?.user == "bob")
        }
    }

    @Test func `without a sweep, new sessions take old ones away`() async throws {
        try await withTestBed { bed in
            let short = Self.store(bed, lifetime: .milliseconds(1))
            for _ in 0..<12 { _ = try await short.create(user: "alice") }
            try await eventually("Redis has removed the keys") {
                try await bed.queue.redis.send("KEYS", bed.queue.keys.session + "*").array?.isEmpty == true
            }
            for _ in 0..<2 { _ = try await Self.store(bed).create(user: "bob") }
            #expect(try await bed.queue.redis.send("ZCARD", bed.queue.keys.sessions).int == 2)
        }
    }
}
