import Shared
import TestSupport
import Testing

@testable import Worker

/// A parent whose children go first, in runs of their own, and then each parent by itself.
@Suite(.timeLimit(.minutes(5))) struct DrainFirstTests {
    private static let target = """
          Target:
            table: organizations
            key: id
            max_age: {column: deleted_at, age: 30d}
            strategy: key
            defer: [deployments_version_fkey]
            drain_first:
              records:
                key: id
                joins:
                  deployments: deployments.id = records.deployment_id
                  organizations: organizations.id = deployments.organization_id
        """

    /// Ten organizations, three of them deleted long ago; each with a version, a deployment that refers to it without a cascade, and
    /// 1,000 records.
    private static let tables = [
        "CREATE TABLE organizations (id uuid PRIMARY KEY DEFAULT gen_random_uuid(), number integer, deleted_at timestamptz)",
        """
        CREATE TABLE versions (id integer PRIMARY KEY, organization_id uuid NOT NULL REFERENCES organizations ON DELETE CASCADE)
        """,
        """
        CREATE TABLE deployments (
          id integer PRIMARY KEY, organization_id uuid NOT NULL REFERENCES organizations ON DELETE CASCADE,
          version_id integer CONSTRAINT deployments_version_fkey REFERENCES versions DEFERRABLE)
        """,
        """
        CREATE TABLE records (id bigint PRIMARY KEY, deployment_id integer NOT NULL REFERENCES deployments ON DELETE CASCADE)
        """,
        """
        INSERT INTO organizations (number, deleted_at)
        SELECT n, CASE n % 4 WHEN 1 THEN now() - interval '31 days' WHEN 2 THEN now() - interval '29 days' END
        FROM generate_series(1, 10) AS n
        """,
        "INSERT INTO versions SELECT number, id FROM organizations",
        "INSERT INTO deployments SELECT number, id, number FROM organizations",
        "INSERT INTO records SELECT n, n % 10 + 1 FROM generate_series(1, 10000) AS n",
        "CREATE INDEX ON records (deployment_id)", "CREATE INDEX ON deployments (organization_id)",
        "CREATE INDEX ON versions (organization_id)", "CREATE INDEX ON deployments (version_id)",
    ]

    @Test func `children are drained in batches, and then each parent goes by itself`() async throws {
        try await withTestBed(targets: Self.target) { bed in
            for statement in Self.tables { try await bed.run(statement) }
            let record = try await bed.start()
            let child = try #require(record.after.first)
            #expect(record.after.count == 1)
            #expect(try await bed.step(record.run) == nil, "the child's run is not over")
            try await bed.work()
            let drained = try await bed.outcome(of: child)
            expectFinished(drained, rows: 3_000)
            #expect(drained.fields["target"] == "Target.records")
            let outcome = try await bed.outcome(of: record.run)
            expectFinished(outcome, rows: 3)
            #expect(outcome.batchCascaded == 6, "versions and deployments, no record is left to cascade")
            #expect(outcome.largestBatch == 1)
            #expect(try await bed.int("SELECT count(*) FROM records") == 7_000)
            #expect(try await bed.int("SELECT count(*) FROM organizations WHERE number % 4 <> 1") == 7)
        }
    }

    @Test func `a child without a table is left out only where that is said`() async throws {
        let optional =
            Self.target + "\n      gone: {if_exists: true, key: id, joins: {organizations: organizations.id = gone.id}}"
        try await withTestBed(targets: optional) { bed in
            for statement in Self.tables { try await bed.run(statement) }
            let record = try await bed.start()
            #expect(record.after.count == 1)
            try await bed.work()
            expectFinished(try await bed.outcome(of: record.run), rows: 3)
            #expect(try await bed.int("SELECT count(*) FROM records") == 7_000)
        }
        try await withTestBed(targets: optional.replacing("if_exists: true, ", with: "")) { bed in
            for statement in Self.tables { try await bed.run(statement) }
            await #expect(throws: PlanningError.self) { try await bed.start() }
            #expect(try await bed.queue.activeRuns().isEmpty)
            #expect(try await bed.int("SELECT count(*) FROM records") == 10_000)
        }
    }

    @Test func `an optional child whose table goes while it is drained ends, and the parent goes on`() async throws {
        let optional = Self.target.replacing("records:\n", with: "records:\n        if_exists: true\n")
        try await withTestBed(targets: optional) { bed in
            for statement in Self.tables { try await bed.run(statement) }
            let record = try await bed.start()
            let child = try #require(record.after.first)
            try await bed.run("DROP TABLE records")
            try await bed.work()
            let drained = try await bed.outcome(of: child)
            #expect(drained.ledgerState == "failed")
            #expect(drained.fields["error"] == "the table records is gone")
            expectFinished(try await bed.outcome(of: record.run), rows: 3)
        }
    }

    @Test func `an optional child with a table is drained`() async throws {
        let optional = Self.target.replacing("records:\n", with: "records:\n        if_exists: true\n")
        try await withTestBed(targets: optional) { bed in
            for statement in Self.tables { try await bed.run(statement) }
            let record = try await bed.start()
            try await bed.work()
            expectFinished(try await bed.outcome(of: try #require(record.after.first)), rows: 3_000)
        }
    }

    @Test func `nothing is drained while no parent is expired`() async throws {
        try await withTestBed(targets: Self.target) { bed in
            for statement in Self.tables { try await bed.run(statement) }
            try await bed.run("UPDATE organizations SET deleted_at = NULL")
            let record = try await bed.start()
            #expect(record.after == [])
            try await bed.work()
            expectFinished(try await bed.outcome(of: record.run), rows: 0)
            #expect(try await bed.int("SELECT count(*) FROM records") == 10_000)
        }
    }

    @Test func `asked again, the same runs are found`() async throws {
        try await withTestBed(targets: Self.target) { bed in
            for statement in Self.tables { try await bed.run(statement) }
            let record = try await bed.start()
            #expect(try await bed.start().run == record.run)
            let runs = try await bed.int("SELECT count(*) FROM \(bed.ledger.table("run"))")
            #expect(runs == 2)
            try await bed.work()
            expectFinished(try await bed.outcome(of: record.run), rows: 3)
        }
    }

    @Test func `who cancels the parent cancels what it waits for`() async throws {
        try await withTestBed(targets: Self.target) { bed in
            for statement in Self.tables { try await bed.run(statement) }
            let record = try await bed.start()
            try await bed.services.runControl(bed.queue).cancel(record.run, bed.connection)
            try await bed.work()
            for run in record.after + [record.run] {
                #expect(try await bed.outcome(of: run).ledgerState == "cancelled")
            }
            #expect(try await bed.int("SELECT count(*) FROM records") == 10_000)
        }
    }

    @Test func `a child that fails does not hold the parent up for ever`() async throws {
        try await withTestBed(targets: Self.target) { bed in
            for statement in Self.tables { try await bed.run(statement) }
            let record = try await bed.start()
            try await bed.services.runControl(bed.queue).cancel(try #require(record.after.first), bed.connection)
            try await bed.work()
            let outcome = try await bed.outcome(of: record.run)
            expectFinished(outcome, rows: 3)
            #expect(outcome.batchCascaded == 3_006)
        }
    }
}
