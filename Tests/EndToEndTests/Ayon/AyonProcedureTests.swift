import Foundation
import PostgresClient
import Testing

/// AYON's whole procedure as programs run it, against the oracles of all its targets, one after the other.
@Suite(.serialized, .timeLimit(.minutes(20))) struct `AYON's procedure` {
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
                first.stages.filter { $0.state != "finished" }.map(\.name) == [
                    "UnusedActionConfigs", "UnusedObjects", "UnusedThumbnailObjects",
                ]
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

            try await Self.makeBrake(ayon, environment)
            var position = 0
            var killed: [String] = []
            while let stage = try await Self.killAtStage(position, ayon, environment) {
                killed.append(stage)
                position += 1
            }
            try await ayon.execute("DELETE FROM \(ayon.namespace).brake")
            try await Self.untilLapsed(ayon)
            let (last, outcome) = try await ayon.withWorkers(1, environment: environment) { _ in
                try await Self.maintenance(ayon, environment)
            }
            #expect(outcome.status == .exited(0), "\(outcome.errors) \(last.states)")
            #expect(killed == last.stages.map(\.name) && last.taken_over == killed.count)
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

    /// Makes the ledger, in which the stage whose position is in `brake` does not end.
    private static func makeBrake(_ ayon: Sandbox, _ environment: [String: String?]) async throws {
        let setup = try await ayon.run(.producer, ["setup"], environment: environment)
        #expect(setup.status == .exited(0), "\(setup.errors)")
        let schema = ayon.namespace
        try await ayon.execute(
            "CREATE TABLE \(schema).brake (position integer)",
            """
            CREATE FUNCTION \(schema).hold() RETURNS trigger LANGUAGE plpgsql AS $$
            BEGIN PERFORM pg_sleep(60) FROM \(schema).brake WHERE position = NEW.position; RETURN NEW; END $$
            """,
            """
            CREATE TRIGGER hold BEFORE UPDATE ON \(schema).procedure_stage
            FOR EACH ROW WHEN (NEW.finished_at IS NOT NULL) EXECUTE FUNCTION \(schema).hold()
            """
        )
    }

    /// Waits until what a killed process held is free.
    private static func untilLapsed(_ ayon: Sandbox) async throws {
        let held =
            "SELECT count(*) FROM \(ayon.namespace).procedure_run WHERE told_at IS NULL AND lease_until > now()"
        try await until("the lease has lapsed") {
            try await ayon.number(held) == 0
        }
    }

    /// Starts the procedure and a worker, and kills both as soon as they are at the stage at a position.
    ///
    /// - Returns: the name of the stage; nil when there is no such stage.
    private static func killAtStage(
        _ position: Int,
        _ ayon: Sandbox,
        _ environment: [String: String?]
    ) async throws -> String? {
        let schema = ayon.namespace
        let stage = "FROM \(schema).procedure_stage WHERE position = \(position)"
        // The first process makes them.
        let isThere = try await ayon.number("SELECT count(*) \(stage)") == 1
        guard position == 0 || isThere else { return nil }
        try await Self.untilLapsed(ayon)
        try await ayon.execute("DELETE FROM \(schema).brake", "INSERT INTO \(schema).brake VALUES (\(position))")
        let (producer, _) = try await ayon.during(.worker, environment: environment) { worker in
            let (_, producer) = try await ayon.during(.producer, ["maintenance"], environment: environment) {
                producer in
                // Its predecessor was kept from it.
                try await until("stage \(position) has begun") {
                    try await ayon.number("SELECT count(*) \(stage) AND state = 'running'") == 1
                }
                producer.send(SIGKILL)
                worker.send(SIGKILL)
            }
            return producer
        }
        #expect(producer.status == .killed(by: SIGKILL))
        let sessions = """
            FROM pg_stat_activity WHERE datname = current_database() AND application_name = 'ebb producer'
            """
        try await until("the server knows that it is gone") {
            try await ayon.execute("SELECT pg_terminate_backend(pid) \(sessions)")
            return try await ayon.number("SELECT count(*) \(sessions)") == 0
        }
        return try await ayon.value("SELECT name \(stage)")
    }
}
