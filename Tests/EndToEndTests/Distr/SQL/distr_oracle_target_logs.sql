-- What DeploymentTargetLogRecord leaves: per deployment target the newest seed.keep rows by time and then by id.
CREATE TABLE survivors.deploymenttargetlogrecord AS
  SELECT id, created_at, deployment_target_id, "timestamp", severity, body FROM (
    SELECT l.*, row_number() OVER (PARTITION BY deployment_target_id ORDER BY "timestamp" DESC, id DESC) AS place
    FROM deploymenttargetlogrecord AS l) AS ranked, seed
  WHERE place <= keep;
