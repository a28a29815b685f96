-- What DeploymentRevisionStatus leaves, by the plainest means: per deployment, across its revisions, all rows of the newest
-- moment; whatever is not older than 72 hours; rows without a time. A notification goes with any status it refers to.
CREATE TABLE survivors.deploymentrevisionstatus AS
  SELECT id, created_at, deployment_revision_id, type, message FROM (
    SELECT s.*, rank() OVER (PARTITION BY r.deployment_id ORDER BY s.created_at DESC NULLS LAST) AS place
    FROM deploymentrevisionstatus AS s JOIN deploymentrevision AS r ON r.id = s.deployment_revision_id) AS ranked, seed
  WHERE place = 1 OR created_at IS NULL OR created_at >= moment - interval '72 hours';
CREATE TABLE survivors.notificationrecord AS
  SELECT * FROM notificationrecord
  WHERE (previous_deployment_revision_status_id IS NULL OR previous_deployment_revision_status_id IN (SELECT id FROM survivors.deploymentrevisionstatus))
    AND (current_deployment_revision_status_id IS NULL OR current_deployment_revision_status_id IN (SELECT id FROM survivors.deploymentrevisionstatus));
