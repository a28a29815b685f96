import Testing

/// `drain_first`, as programs run it.
@Suite(.timeLimit(.minutes(5))) struct `A target whose children go first` {
    private static let configuration = """
        presets: []
        targets:
          Parents:
            schema: SCHEMA
            table: parents
            key: id
            max_age: {column: at, age: 1d}
            strategy: key
            drain_first: {children: {key: id, joins: {parents: parents.id = children.parent}}}

        """

    /// Three parents, two of which are old, and 300 children of each.
    private func withFamilies(_ body: (Sandbox) async throws -> Void) async throws {
        try await withSandbox(Self.configuration) { sandbox in
            try await sandbox.execute(
                "CREATE TABLE \(sandbox.schema).parents (id integer PRIMARY KEY, at timestamptz)",
                """
                CREATE TABLE \(sandbox.schema).children (
                  id integer PRIMARY KEY, parent integer REFERENCES \(sandbox.schema).parents ON DELETE CASCADE)
                """,
                "CREATE INDEX ON \(sandbox.schema).children (parent)",
                """
                INSERT INTO \(sandbox.schema).parents
                VALUES (1, now() - interval '2 days'), (2, now()), (3, now() - interval '3 days')
                """,
                "INSERT INTO \(sandbox.schema).children SELECT n, 1 + n % 3 FROM generate_series(1, 900) AS n"
            )
            try await body(sandbox)
        }
    }

    private struct Plan: Decodable {
        var target: String
        var counted_rows: Int
    }

    @Test func `is planned with them`() async throws {
        try await self.withFamilies { sandbox in
            let plans = try await sandbox.producer("plan", "Parents", "--count", "--json").json([Plan].self)
            #expect(plans.map(\.target) == ["Parents.children", "Parents"])
            #expect(plans.map(\.counted_rows) == [600, 2])
            let text = try await sandbox.producer("plan", "Parents")
            #expect(text.output.contains("target    Parents.children"), "\(text.output)")

            try await sandbox.execute("DELETE FROM \(sandbox.schema).parents WHERE id <> 2")
            let nothing = try await sandbox.producer("plan", "Parents", "--count", "--json").json([Plan].self)
            #expect(nothing.map(\.target) == ["Parents"])
        }
    }

    /// As after a nightly job whose time was over while it drained, and that nobody went on with.
    @Test func `drains anew where a run that drained is out of time`() async throws {
        try await self.withFamilies { sandbox in
            let first = try await sandbox.producer("cleanup", "Parents", "--timeout", "300ms", "--workers", "0")
            #expect(first.status == .exited(1), "\(first.output)")
            let run = "\(sandbox.namespace).run"
            let children = "FROM \(run) WHERE target = 'Parents.children'"
            try await until("the child's time is over") {
                try await sandbox.number("SELECT count(*) \(children) AND deadline < clock_timestamp()") == 1
            }
            #expect(try await sandbox.number("SELECT count(*) \(children) AND finished_at IS NULL") == 1)
            let second = try await sandbox.producer("cleanup", "Parents", "--workers", "1")
            #expect(second.status == .exited(0), "\(second.output) \(second.errors)")
            #expect(
                try await sandbox.value("SELECT string_agg(state, ' ' ORDER BY run) \(children)") == "failed finished"
            )
            #expect(try await sandbox.number("SELECT sum(rows) \(children)") == 600)
            #expect(try await sandbox.number("SELECT max(cascaded) FROM \(run) WHERE target = 'Parents'") == 0)
            try await sandbox.expectQueueAtRest()
        }
    }

    @Test func `says so when an error has paused one of them`() async throws {
        try await self.withFamilies { sandbox in
            try await sandbox.execute(
                """
                CREATE FUNCTION \(sandbox.schema).refuse() RETURNS trigger LANGUAGE plpgsql
                AS $$ BEGIN RAISE 'not yours' USING ERRCODE = '42501'; END $$
                """,
                """
                CREATE TRIGGER refuse BEFORE DELETE ON \(sandbox.schema).children
                FOR EACH STATEMENT EXECUTE FUNCTION \(sandbox.schema).refuse()
                """
            )
            let outcome = try await sandbox.producer("cleanup", "Parents")
            #expect(outcome.status == .exited(1), "\(outcome.errors)")
            let runs = try await sandbox.runs()
            #expect(runs.count == 2)
            #expect(
                outcome.output.contains("of Parents.children, which has to be over before, is paused by an error: ")
                    && outcome.output.contains("not yours"),
                "\(outcome.output)"
            )
            let child =
                try await sandbox.value("SELECT run FROM \(sandbox.namespace).run WHERE target = 'Parents.children'")
                ?? ""
            #expect(outcome.output.contains("once that is mended: producer resume \(child)\n"), "\(outcome.output)")
            try await sandbox.execute("DROP TRIGGER refuse ON \(sandbox.schema).children")
            for run in runs { _ = try await sandbox.producer("resume", run) }
            let again = try await sandbox.producer("cleanup", "Parents")
            #expect(again.status == .exited(0), "\(again.errors) \(again.output)")
            #expect(try await sandbox.number("SELECT count(*) FROM \(sandbox.schema).children") == 300)
        }
    }
}
