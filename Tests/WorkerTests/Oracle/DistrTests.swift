import PostgresClient
import Shared
import TestSupport
import Testing

/// The shipped targets leave what Distr's own statements leave.
@Suite(.timeLimit(.minutes(5))) struct DistrTests {
    private static let tables = [
        "CREATE TABLE deployment (id uuid PRIMARY KEY)", "CREATE TABLE deploymenttarget (id uuid PRIMARY KEY)",
        "CREATE TABLE deploymentrevision (id uuid PRIMARY KEY, deployment_id uuid NOT NULL REFERENCES deployment ON DELETE CASCADE)",
        "CREATE INDEX ON deploymentrevision (deployment_id)", "CREATE TYPE status AS ENUM ('healthy', 'error')",
        """
        CREATE TABLE deploymentrevisionstatus (
          id uuid PRIMARY KEY DEFAULT gen_random_uuid(), created_at timestamp DEFAULT current_timestamp,
          deployment_revision_id uuid NOT NULL REFERENCES deploymentrevision ON DELETE CASCADE,
          type status NOT NULL, message text NOT NULL)
        """,
        """
        CREATE TABLE deploymenttargetmetrics (
          id uuid PRIMARY KEY DEFAULT gen_random_uuid(), created_at timestamp NOT NULL DEFAULT current_timestamp,
          deployment_target_id uuid NOT NULL REFERENCES deploymenttarget ON DELETE CASCADE, cpu_cores_millis bigint NOT NULL)
        """,
        """
        CREATE TABLE deploymenttargetdiskmetrics (
          id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
          deployment_target_metrics_id uuid NOT NULL REFERENCES deploymenttargetmetrics ON DELETE CASCADE, device text)
        """,
        "INSERT INTO deployment SELECT gen_random_uuid() FROM generate_series(1, 12)",
        "INSERT INTO deploymentrevision SELECT gen_random_uuid(), id FROM deployment, generate_series(1, 4)",
        "INSERT INTO deploymenttarget SELECT gen_random_uuid() FROM generate_series(1, 30)",
        """
        INSERT INTO deploymentrevisionstatus (created_at, deployment_revision_id, type, message)
        SELECT CASE WHEN n % 40 > 0 THEN now() AT TIME ZONE 'UTC' - random() * n * interval '1 hour' END, id, 'healthy', 'fine'
        FROM deploymentrevision, generate_series(1, 150) AS n
        """,
        """
        INSERT INTO deploymenttargetmetrics (created_at, deployment_target_id, cpu_cores_millis)
        SELECT now() AT TIME ZONE 'UTC' - (n + ascii(id::text) % 5 * 10) * interval '1 hour', id, n
        FROM deploymenttarget, generate_series(1, 200) AS n, generate_series(1, 2)
        """,
        """
        INSERT INTO deploymenttargetdiskmetrics (deployment_target_metrics_id, device)
        SELECT id, 'sda' || n FROM deploymenttargetmetrics, generate_series(1, 2) AS n WHERE cpu_cores_millis % 3 = 0
        """,
        "CREATE INDEX ON deploymentrevisionstatus (deployment_revision_id, created_at DESC)",
        "CREATE INDEX ON deploymenttargetmetrics (deployment_target_id, created_at DESC, id)",
        "CREATE INDEX ON deploymenttargetdiskmetrics (deployment_target_metrics_id)",
        "ANALYZE deployment, deploymentrevision, deploymenttarget",
        "ANALYZE deploymentrevisionstatus, deploymenttargetmetrics, deploymenttargetdiskmetrics",
    ]

    /// Distr's statements at 815379e0c, on the copy `oracle`, with the run's moment in place of the current one.
    private static let statements = [
        "DeploymentRevisionStatus": """
        DELETE FROM oracle drs
        USING (SELECT dr1.id AS deployment_revision_id, max(dr2.max_created_at) AS max_created_at
               FROM DeploymentRevision dr1
               JOIN (SELECT dr.id, dr.deployment_id,
                       (SELECT max(drs.created_at) FROM oracle drs WHERE drs.deployment_revision_id = dr.id) AS max_created_at
                     FROM DeploymentRevision dr) dr2 ON dr1.deployment_id = dr2.deployment_id
               GROUP BY dr1.id) max_created_at
        WHERE drs.deployment_revision_id = max_created_at.deployment_revision_id
          AND drs.created_at < max_created_at.max_created_at AND $1::timestamp - drs.created_at > interval '72 hours'
        """,
        "DeploymentTargetMetrics": """
        DELETE FROM oracle dtm
        USING (SELECT dt.id AS deployment_target_id,
                 (SELECT max(created_at) FROM oracle WHERE deployment_target_id = dt.id) AS max_created_at
               FROM DeploymentTarget dt) max_created_at
        WHERE dtm.deployment_target_id = max_created_at.deployment_target_id
          AND dtm.created_at < max_created_at.max_created_at AND $1::timestamp - dtm.created_at > interval '72 hours'
        """,
    ]

    private static let variables = ["STATUS_ENTRIES_MAX_AGE": "72h", "METRICS_ENTRIES_MAX_AGE": "72h"]

    @Test(arguments: ["DeploymentRevisionStatus", "DeploymentTargetMetrics"])
    func `a shipped target leaves what Distr leaves`(_ target: String) async throws {
        try await withTestBed(variables: Self.variables) { bed in
            for statement in Self.tables { try await bed.run(statement) }
            let table = try bed.target(target).table
            let record = try await bed.start(target, batchRows: 500)
            try await bed.run("CREATE TABLE oracle AS SELECT * FROM \(table)", "CREATE INDEX ON oracle (created_at)")
            let before = try await bed.int("SELECT count(*) FROM \(table)")
            let children = try await bed.int("SELECT count(*) FROM deploymenttargetdiskmetrics")
            _ = try await bed.connection.query(try #require(Self.statements[target]), [record.createdAt])
            try await bed.work()
            let outcome = try await bed.outcome(of: record.run)
            expectFinished(outcome, rows: before - (try await bed.int("SELECT count(*) FROM \(table)")))
            #expect(outcome.batchRows > 0)
            #expect(
                outcome.batchCascaded == children
                    - (try await bed.int("SELECT count(*) FROM deploymenttargetdiskmetrics"))
            )
            #expect(try await bed.rows(of: "oracle", missingIn: table) == [], "must survive")
            #expect(try await bed.rows(of: table, missingIn: "oracle") == [], "must be gone")
        }
    }
}
