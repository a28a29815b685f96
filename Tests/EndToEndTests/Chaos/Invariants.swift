import Foundation
import PostgresClient
import RedisClient
import Testing

/// DESIGN section 4, checked after a storm against the database, Redis, and a count of its own.
struct Invariants: Sendable {
    let site: StormSite
    let storm: Storm

    private var sandbox: Sandbox { self.site.sandbox }

    /// With the workers still alive.
    func violationsAtRest() async throws -> [String] {
        var violations = Violations()
        try await violations.expectSoon("the producer has seen the end") {
            self.site.fleet.member(Fleet.producer).map { "its process \($0.running.pid) is alive" }
        }
        let status = try await self.status()
        let state = self.storm.poison.isEmpty ? "finished" : "failed"
        violations.expect(status.state == state, "the run is \(status.state): \(status.error ?? "no error")")
        let hasError = status.error != nil
        violations.expect(hasError == !self.storm.poison.isEmpty, "its error: \(status.error ?? "none")")
        let batches = status.batches
        violations.expect(batches.total == batches.done + batches.dead + batches.cancelled, "at rest: \(batches)")
        violations.expect(batches.dead == self.storm.poison.count, "\(batches.dead) batches are dead")
        violations.expect(batches.cancelled == 0, "\(batches.cancelled) batches are cancelled")
        let strange = try await self.strangeLetters()
        violations.expect(strange.isEmpty, "dead letters that are not one poison row each: \(strange)")
        try await violations.expectSoon("the queue is empty") { try await self.leftInQueue() }
        try await violations.expectSoon("only the workers that live are known") { try await self.strangers() }
        violations.expect(
            (0..<Storm.workers).allSatisfy { self.site.fleet.member(Fleet.worker($0))?.running.isAlive == true },
            "not all workers are alive: \(self.site.fleet.names)"
        )
        return violations.found
    }

    /// With all programs ended.
    func violationsInTheEnd() async throws -> [String] {
        let postgres = try await self.site.servers.connectPostgres()
        func number(_ sql: String) async throws -> Int { try await postgres.query(sql).rows[0].int(0) ?? -1 }
        var violations = Violations()
        let (schema, ledger, run) = (self.sandbox.schema, self.sandbox.namespace, self.site.run)
        let dead = try await number(
            "SELECT count(*) FROM \(schema).survivors AS s LEFT JOIN \(schema).events AS e USING (id) WHERE e.id IS NULL"
        )
        violations.expect(dead == 0, "\(dead) rows died that should live")
        let alive = try await number(
            "SELECT count(*) FROM \(schema).events AS e LEFT JOIN \(schema).survivors AS s USING (id) WHERE s.id IS NULL"
        )
        violations.expect(alive == 0, "\(alive) rows survived that should die")

        let status = try await self.status()
        let gone = self.storm.rows - (try await number("SELECT count(*) FROM \(schema).events"))
        violations.expect(status.rows.deleted == gone, "status says \(status.rows.deleted) rows, \(gone) are gone")
        let sum = try await number("SELECT coalesce(sum(rows), 0) FROM \(ledger).batch")
        violations.expect(sum == gone, "the ledger's batches say \(sum) rows, \(gone) are gone")
        let total = try await number("SELECT rows FROM \(ledger).run WHERE run = '\(run)'")
        violations.expect(total == gone, "the ledger's run says \(total) rows, \(gone) are gone")
        let twice = try await number("SELECT count(*) - count(DISTINCT (run, batch)) FROM \(ledger).batch")
        violations.expect(twice == 0, "\(twice) batches are in the ledger twice")
        for (outcome, count) in [("done", status.batches.done), ("dead", status.batches.dead)] {
            let rows = try await number(
                "SELECT count(*) FROM \(ledger).batch WHERE run = '\(run)' AND outcome = '\(outcome)'"
            )
            violations.expect(rows == count, "\(count) batches are \(outcome) in Redis, \(rows) in the ledger")
        }
        // That of a program that was killed ends with its statement.
        try await violations.expectSoon("no session is at work after all programs have ended") {
            let sessions = try await number(
                "SELECT count(*) FROM pg_stat_activity WHERE application_name LIKE 'ebb%' AND state <> 'idle'"
            )
            return sessions == 0 ? nil : "\(sessions) are"
        }
        await postgres.close()

        try await violations.expectSoon("programs that were told to end have left no consumers") {
            let consumers = try await self.consumers()
            return consumers.isEmpty ? nil : "\(consumers)"
        }
        let keys = try await self.strangeKeys()
        violations.expect(keys.isEmpty, "keys are left: \(keys)")
        return violations.found
    }

    func deleted() async throws -> Int { try await self.status().rows.deleted }

    private func status() async throws -> StatusDocument {
        try await self.answer(["status", self.site.run, "--json"])
    }

    /// What a producer prints, once the servers have answered it: one of them may be silent for longer than it waits.
    private func answer<Value: Decodable>(_ arguments: [String]) async throws -> Value {
        let deadline = ContinuousClock.now + .seconds(120)
        while true {
            let outcome = try await self.sandbox.run(.producer, arguments)
            if outcome.status != .exited(2) || ContinuousClock.now >= deadline { return try outcome.json() }
        }
    }

    /// Dead letters that are not a poison row by itself, and poison rows without one.
    private func strangeLetters() async throws -> [String] {
        let postgres = try await self.site.servers.connectPostgres()
        let sql = "SELECT id FROM \(self.sandbox.schema).events WHERE body = ANY ($1::text[])"
        let rows = try await postgres.query(sql, ["{\(self.storm.poisonBodies.joined(separator: ","))}"]).rows
        await postgres.close()
        let expected = Set(rows.compactMap { $0[0].map { "keys (\($0))" } })
        let letters: [DeadLetter] = try await self.answer(["dead", "list", "--run", self.site.run, "--json"])
        let found = letters.map(\.range)
        return found.filter { !expected.contains($0) } + expected.subtracting(found)
    }

    /// Of `producer dead list --json`.
    private struct DeadLetter: Decodable { var range: String }

    // MARK: Redis

    private static let priorities = ["high", "default", "low"]

    private func leftInQueue() async throws -> String? {
        for priority in Self.priorities {
            let stream = self.sandbox.key("stream:\(priority)")
            let length = try await self.sandbox.redis.send("XLEN", stream).int ?? -1
            let pending = try await self.sandbox.redis.send("XPENDING", stream, "workers").array?.first?.int ?? -1
            if length != 0 || pending != 0 { return "\(length) entries, \(pending) pending in \(stream)" }
        }
        let keys = try await self.sandbox.keys().filter { key in
            ["delayed", "delayed:entries", "active"].contains { self.sandbox.key($0) == key }
                || key.contains("parked:") || key.contains("starts:")
        }
        return keys.isEmpty ? nil : "\(keys)"
    }

    /// What differs between the workers that live and those that Redis knows.
    ///
    /// An idle worker is no consumer for long: a Redis before 7.2 takes a read of an empty stream for no sign of life.
    private func strangers() async throws -> String? {
        let members = (0..<Storm.workers).compactMap { self.site.fleet.member(Fleet.worker($0)) }
        let alive = Set(members.compactMap { self.site.fleet.consumer(of: $0) })
        let known = try await self.consumers()
        let beating = try await self.sandbox.redis.send("ZRANGE", self.sandbox.key("workers"), "0", "-1")
        let names = Set((beating.array ?? []).compactMap(\.string))
        guard alive.count == Storm.workers, known.isSubset(of: alive), names == alive else {
            return "alive \(alive.sorted()), consumers \(known.sorted()), beating \(names.sorted())"
        }
        return nil
    }

    private func consumers() async throws -> Set<String> {
        var names: Set<String> = []
        for priority in Self.priorities {
            let reply = try await self.sandbox.redis.send(
                "XINFO",
                "CONSUMERS",
                self.sandbox.key("stream:\(priority)"),
                "workers"
            )
            names.formUnion((reply.array ?? []).compactMap { $0.array?.dropFirst().first?.string })
        }
        return names
    }

    /// Keys that nobody needs once the run is over.
    private func strangeKeys() async throws -> [String] {
        var expected = Set(
            Self.priorities.map { self.sandbox.key("stream:\($0)") }
                + ["runs", "events", "events:most"].map { self.sandbox.key($0) }
        )
        expected.formUnion(try await self.sandbox.runs().map { self.sandbox.key("run:\($0)") })
        if !self.storm.poison.isEmpty {
            expected.formUnion([self.sandbox.key("dead"), self.sandbox.key("dead:letters")])
        }
        return try await self.sandbox.keys().filter { !expected.contains($0) }
    }
}

/// Sentences about what is not as it should be.
private struct Violations {
    var found: [String] = []

    mutating func expect(_ condition: Bool, _ sentence: @autoclosure () -> String) {
        if !condition { self.found.append(sentence()) }
    }

    /// Expects that `obstacle` becomes nil, within far more than a few leases and starts of programs take.
    mutating func expectSoon(_ what: String, _ obstacle: () async throws -> String?) async throws {
        let deadline = ContinuousClock.now + .seconds(120)
        while let obstacle = try await obstacle() {
            guard ContinuousClock.now < deadline else { return self.found.append("not so: \(what); \(obstacle)") }
            // Only makes room for others between two looks.
            try await Task.sleep(for: .milliseconds(5))
        }
    }
}
