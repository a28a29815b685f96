-- What DeploymentLogRecord leaves: per deployment and resource, no resource being one of them, the newest seed.keep rows by
-- time and then by id; rows without a time, which count for nothing.
CREATE TABLE survivors.deploymentlogrecord AS
  SELECT id, created_at, deployment_id, deployment_revision_id, resource, "timestamp", severity, body FROM (
    SELECT l.*, row_number() OVER (PARTITION BY deployment_id, resource ORDER BY "timestamp" DESC NULLS LAST, id DESC) AS place
    FROM deploymentlogrecord AS l) AS ranked, seed
  WHERE "timestamp" IS NULL OR place <= keep;
