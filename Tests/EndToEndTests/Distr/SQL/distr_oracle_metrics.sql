-- What DeploymentTargetMetrics leaves: per deployment target all rows of the newest moment, and whatever is not older than 72
-- hours. Disk metrics and notifications go with the metrics they refer to.
CREATE TABLE survivors.deploymenttargetmetrics AS
  SELECT id, created_at, deployment_target_id, cpu_cores_millis, cpu_usage, memory_bytes, memory_usage FROM (
    SELECT m.*, rank() OVER (PARTITION BY deployment_target_id ORDER BY created_at DESC) AS place
    FROM deploymenttargetmetrics AS m) AS ranked, seed
  WHERE place = 1 OR created_at >= moment - interval '72 hours';
CREATE TABLE survivors.deploymenttargetdiskmetrics AS
  SELECT * FROM deploymenttargetdiskmetrics WHERE deployment_target_metrics_id IN (SELECT id FROM survivors.deploymenttargetmetrics);
CREATE TABLE survivors.notificationrecord AS
  SELECT * FROM notificationrecord
  WHERE (previous_deployment_target_metrics_id IS NULL OR previous_deployment_target_metrics_id IN (SELECT id FROM survivors.deploymenttargetmetrics))
    AND (current_deployment_target_metrics_id IS NULL OR current_deployment_target_metrics_id IN (SELECT id FROM survivors.deploymenttargetmetrics));
