-- Indexes that Distr's tables lack: without them each deleted status or metrics row scans all notifications twice.
--
-- Every statement ends at the end of a line.
CREATE INDEX ON notificationrecord (previous_deployment_revision_status_id);
CREATE INDEX ON notificationrecord (current_deployment_revision_status_id);
CREATE INDEX ON notificationrecord (previous_deployment_target_metrics_id);
CREATE INDEX ON notificationrecord (current_deployment_target_metrics_id);
