import Foundation
import Testing

/// Commands on a target that is cleaned in each schema of a group.
@Suite(.timeLimit(.minutes(5))) struct `A target in many schemas` {
    private static let configuration = """
        presets: []
        schemas:
          projects: {like: "SCHEMA_*"}
          none: {like: "SCHEMA-nothing-*"}
        targets:
          Files: {in: projects, table: files, key: id, max_age: {column: at, age: 1d}}
          Nothing: {in: none, table: files, key: id, max_age: {column: at, age: 1d}}

        """

    private struct ResultDocument: Decodable {
        var target: String
        var schema: String?
        var outcome: String
        var reason: String?
        var rows: Int
        var run: String?
    }

    private func withSchemas(_ suffixes: [String], _ body: (Sandbox) async throws -> Void) async throws {
        try await withSandbox(Self.configuration) { sandbox in
            let names = suffixes.map { "\(sandbox.schema)_\($0)" }
            let result: Result<Void, any Error>
            do {
                for name in names {
                    try await sandbox.execute(
                        "CREATE SCHEMA \(name)",
                        "CREATE TABLE \(name).files (id integer PRIMARY KEY, at timestamptz)",
                        "INSERT INTO \(name).files SELECT n, now() - interval '2 days' FROM generate_series(1, 10) AS n"
                    )
                }
                result = .success(try await body(sandbox))
            } catch { result = .failure(error) }
            for name in names { try await sandbox.execute("DROP SCHEMA IF EXISTS \(name) CASCADE") }
            try result.get()
        }
    }

    @Test func `is cleaned in all of them, and one that fails does not stop the others`() async throws {
        try await self.withSchemas(["a", "b", "c"]) { sandbox in
            try await sandbox.execute("DROP TABLE \(sandbox.schema)_b.files")
            let outcome = try await sandbox.producer("cleanup", "Files", "--workers", "1", "--json")
            #expect(outcome.status == .exited(1), "\(outcome.errors)")
            let results = try outcome.json([ResultDocument].self).sorted { ($0.schema ?? "") < ($1.schema ?? "") }
            #expect(results.map(\.schema) == ["a", "b", "c"].map { "\(sandbox.schema)_\($0)" })
            #expect(results.map(\.outcome) == ["finished", "failed", "finished"])
            #expect(results.map(\.rows) == [10, 0, 10])
            try await sandbox.execute("DROP SCHEMA \(sandbox.schema)_b CASCADE")
            let again = try await sandbox.producer("cleanup", "Files", "--workers", "1")
            #expect(again.status == .exited(0), "\(again.errors)")
            #expect(again.output.contains("Files: finished in 2 schemas, 0 rows deleted"), "\(again.output)")
        }
    }

    @Test func `is accounted for in each when the command is stopped in the middle`() async throws {
        try await self.withSchemas(["a", "b"]) { sandbox in
            let locked = "\(sandbox.schema)_b.files"
            let (_, outcome) = try await sandbox.holding(locked) {
                try await sandbox.during(.producer, ["cleanup", "Files", "Nothing", "--workers", "1", "--json"]) {
                    producer in
                    try await until("only the locked one is left") {
                        guard try await sandbox.isWaitedFor(locked) else { return false }
                        return try await sandbox.number(
                            "SELECT count(*) FROM \(sandbox.namespace).run WHERE finished_at IS NULL"
                        ) == 1
                    }
                    producer.send(SIGTERM)
                }
            }
            #expect(outcome.status == .exited(1), "\(outcome.errors)")
            let results = try outcome.json([ResultDocument].self)
            #expect(results.map(\.schema) == ["\(sandbox.schema)_a", "\(sandbox.schema)_b", nil])
            // Whether it had seen the end of the first by then is a matter of milliseconds.
            #expect(["finished", "stopped"].contains(results.first?.outcome))
            #expect(results.dropFirst().map(\.outcome) == ["stopped", "not begun"])
            #expect(try await sandbox.runs() == results.compactMap(\.run).sorted())
        }
    }

    @Test func `is enqueued, planned and listed by schema`() async throws {
        try await self.withSchemas(["a", "b"]) { sandbox in
            let plan = try await sandbox.producer("plan", "Files")
            #expect(plan.output.contains("\"\(sandbox.schema)_a\".\"files\""), "\(plan.output) \(plan.errors)")
            #expect(plan.output.contains("\"\(sandbox.schema)_b\".\"files\""), "\(plan.output)")
            let enqueued = try await sandbox.producer("enqueue", "Files", "--json").json([StatusDocument].self)
            #expect(enqueued.map(\.schema) == ["a", "b"].map { "\(sandbox.schema)_\($0)" })
            let status = try await sandbox.producer("status")
            #expect(status.output.contains("\(sandbox.schema)_b"), "\(status.output)")
            let again = try await sandbox.producer("enqueue", "Files", "--json").json([StatusDocument].self)
            #expect(again.map(\.run) == enqueued.map(\.run))
            let doctor = try await sandbox.producer("doctor")
            #expect(doctor.output.contains("2 schemas of projects"), "\(doctor.output)")
        }
    }

    @Test func `is finished, and said so, where there is no schema`() async throws {
        try await self.withSchemas([]) { sandbox in
            let outcome = try await sandbox.producer("cleanup", "Nothing", "--workers", "0")
            #expect(outcome.status == .exited(0), "\(outcome.errors)")
            #expect(outcome.output.contains("Nothing: finished: the group none has no schema"), "\(outcome.output)")
            let enqueue = try await sandbox.producer("enqueue", "Nothing")
            #expect(
                enqueue.output.contains("Nothing: nothing to do, the group none has no schema"),
                "\(enqueue.output)"
            )
        }
    }
}
