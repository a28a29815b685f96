import Foundation
import PostgresClient
import Testing

/// AYON's whole procedure as programs run it, against the oracles of all its targets, one after the other.
@Suite(.serialized, .timeLimit(.minutes(10))) struct `AYON's procedure` {
    /// Sessions of the test's own prefix, and the cloud that AYON calls.
    private static func variables(_ ayon: Sandbox) throws -> [String: String?] {
        let cloud = try Servers.hookURL()
        return [
            "EBB_SESSIONS": "ayon", "AYON_REDIS_KEY_PREFIX": ayon.key("product"),
            "EBB_AYON_UPDATES_URL": "\(cloud)/echo", "EBB_AYON_METRICS_URL": "\(cloud)/fail/1?id=\(ayon.namespace)",
        ]
    }

    private static func maintenance(
        _ ayon: Sandbox,
        _ environment: [String: String?]
    ) async throws -> (document: ProcedureDocument, outcome: Outcome) {
        let outcome = try await ayon.run(.producer, ["maintenance", "--json"], environment: environment)
        return (try outcome.json(), outcome)
    }

    /// What AYON's users see of it: how often which state was the last, and who was logged out; takes these events away.
    private static func expectEvents(
        _ expected: [String: Int],
        logouts: Int,
        _ ayon: Sandbox
    ) async throws {
        let rows = try await ayon.postgres.query(
            "SELECT status, count(*) FROM events WHERE topic = 'maintenance' GROUP BY status"
        ).rows
        let counts = Dictionary(uniqueKeysWithValues: try rows.map { (try $0.text(0), $0.int(1) ?? 0) })
        #expect(counts == expected)
        #expect(try await ayon.number("SELECT count(*) FROM events WHERE topic = 'auth.logout'") == logouts)
        try await ayon.execute("DELETE FROM events WHERE topic IN ('maintenance', 'auth.logout')")
    }

    private static func sessions(_ ayon: Sandbox, named name: String) async throws -> Int {
        try await ayon.keys().count { $0.contains("product-session-\(name)") }
    }

    @Test func `leaves exactly what the rules say, and has nothing to do for a second time`() async throws {
        try await withAyon(.whole) { ayon in
            let variables = try Self.variables(ayon)
            try await ayon.addSessions(300, age: 259_300, named: "old")
            try await ayon.addSessions(200, age: 10, named: "young")
            try await ayon.predict(AyonOracle.all)
            let before = try await ayon.ayonTables()

            let (first, second) = try await ayon.withWorkers(1, ["--concurrency", "2"], environment: variables) { _ in
                let first = try await Self.maintenance(ayon, variables)
                #expect(first.outcome.status == .exited(0), "\(first.outcome.errors) \(first.document.states)")
                try await Self.expectEvents(["finished": 1], logouts: 300, ayon)
                let second = try await Self.maintenance(ayon, variables)
                #expect(second.outcome.status == .exited(0), "\(second.outcome.errors) \(second.document.states)")
                return (first.document, second.document)
            }
            try await Self.expectEvents(["finished": 1], logouts: 0, ayon)
            let after = try await ayon.ayonTables()
            try await ayon.expectAyon()

            #expect(
                first.stages.filter { $0.state != "finished" }.map(\.name) == ["UnusedActionConfigs", "UnusedObjects"]
            )
            #expect(second.stages.allSatisfy { $0.state != "failed" && $0.rows == 0 }, "\(second.stages)")
            #expect(second.rows == 0)
            // What goes by cascade is counted apart.
            let gone = before.reduce(into: 0) { $0 += $1.value - after[$1.key, default: 0] }
            let references = AyonProject.all.reduce(into: 0) {
                let table = "\($1.schema).activity_references"
                $0 += before[table, default: 0] - after[table, default: 0]
            }
            let deleted = first.stages.filter { $0.kind == "target" }.reduce(into: 0) { $0 += $1.rows }
            #expect(deleted == gone - references && deleted > 400_000)
            #expect(try await Self.sessions(ayon, named: "old") == 0)
            #expect(try await Self.sessions(ayon, named: "young") == 200)
            for project in AyonProject.all {
                let indexes = try await ayon.number(
                    """
                    SELECT count(*) FROM pg_index JOIN pg_class ON oid = indexrelid
                    WHERE relnamespace = '\(project.schema)'::regnamespace AND relname = 'activity_author_idx' AND indisvalid
                    """
                )
                #expect(indexes == 1)
            }
            try await ayon.expectQueueAtRest()
        }
    }

    /// Each time the next process goes on where its predecessor was killed, and is killed in turn at the next stage.
    @Test func `reaches the same state though everything is killed at every stage`() async throws {
        try await withAyon(.little) { ayon in
            var variables = try Self.variables(ayon)
            for (name, value) in Sandbox.shortLeases { variables[name] = value }
            variables["EBB_BATCHES_ROWS"] = "50"
            let environment = variables
            try await ayon.addSessions(300, age: 259_300, named: "old")
            try await ayon.addSessions(200, age: 10, named: "young")
            try await ayon.predict(AyonOracle.all)

            let shown = try await ayon.producer("maintenance", "--show", "--json", environment: environment)
            #expect(shown.status == .exited(0), "\(shown.errors)")
            var kills = 0
            var position = 0
            while true {
                let aim = position
                let isKilled = try await Self.killAtStage(aim, ayon, environment)
                guard isKilled else { break }
                kills += 1
                position += 1
            }
            #expect(kills >= 15, "too quick to be killed")

            try await Self.untilLapsed(ayon)
            let (last, outcome) = try await ayon.withWorkers(1, environment: environment) { _ in
                try await Self.maintenance(ayon, environment)
            }
            #expect(outcome.status == .exited(0), "\(outcome.errors) \(last.states)")
            let states = try await ayon.number(
                "SELECT count(*) FROM \(ayon.namespace).procedure_run WHERE state <> 'finished'"
            )
            #expect(states == 0)
            let runs = try await ayon.number("SELECT count(*) FROM \(ayon.namespace).procedure_run")
            try await Self.expectEvents(["finished": runs], logouts: 300, ayon)
            try await ayon.expectAyon()
            #expect(try await Self.sessions(ayon, named: "old") == 0)
            #expect(try await Self.sessions(ayon, named: "young") == 200)
            try await ayon.expectQueueAtRest()
        }
    }

    private static func hasLedger(_ ayon: Sandbox) async throws -> Bool {
        try await ayon.value("SELECT to_regclass('\(ayon.namespace).procedure_stage')") != nil
    }

    /// Waits until what a killed process held is free.
    private static func untilLapsed(_ ayon: Sandbox) async throws {
        let held =
            "SELECT count(*) FROM \(ayon.namespace).procedure_run WHERE finished_at IS NULL AND lease_until > now()"
        try await until("the lease has lapsed") {
            guard try await Self.hasLedger(ayon) else { return true }
            return try await ayon.number(held) == 0
        }
    }

    /// Starts the procedure and a worker, and kills both as soon as the stage at a position has begun.
    ///
    /// - Returns: false when the procedure was over before.
    private static func killAtStage(
        _ position: Int,
        _ ayon: Sandbox,
        _ environment: [String: String?]
    ) async throws -> Bool {
        let begun = """
            SELECT count(*) FROM \(ayon.namespace).procedure_stage
            WHERE position >= \(position) AND state NOT IN ('pending', 'off')
            """
        let over = "SELECT count(*) FROM \(ayon.namespace).procedure_run WHERE finished_at IS NOT NULL"
        let open = "SELECT count(*) FROM \(ayon.namespace).procedure_run WHERE finished_at IS NULL"
        try await Self.untilLapsed(ayon)
        let (producer, _) = try await ayon.during(.worker, environment: environment) { worker in
            let (_, producer) = try await ayon.during(.producer, ["maintenance"], environment: environment) {
                producer in
                try await until("stage \(position) has begun") {
                    // The first process makes the ledger itself.
                    guard try await Self.hasLedger(ayon) else { return false }
                    if try await ayon.number(begun) > 0 { return true }
                    return try await ayon.number(over) > 0
                }
                producer.send(SIGKILL)
                worker.send(SIGKILL)
            }
            return producer
        }
        let left = try await ayon.number(open)
        return producer.status == .killed(by: SIGKILL) && left == 1
    }
}
