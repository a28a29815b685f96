-- What UnusedActivities leaves of one project: all activities but those that are about an entity, of one of six kinds, that is gone,
-- was not referred to and not deleted within ten days. References go with their activity, its files are nobody's.
CREATE TEMPORARY TABLE gone AS
  SELECT DISTINCT entity_type, entity_id FROM activity_references
  WHERE (entity_type, entity_id) NOT IN (
    SELECT 'folder', id FROM folders UNION ALL SELECT 'task', id FROM tasks UNION ALL SELECT 'product', id FROM products UNION ALL SELECT 'version', id FROM versions
    UNION ALL SELECT 'representation', id FROM representations UNION ALL SELECT 'workfile', id FROM workfiles)
  AND entity_type IN ('folder', 'task', 'product', 'version', 'representation', 'workfile') AND entity_id IS NOT NULL;
DELETE FROM gone USING activity_references AS recent, seed
WHERE recent.entity_type = gone.entity_type AND recent.entity_id = gone.entity_id AND recent.updated_at > moment - interval '10 days';
DELETE FROM gone USING public.events, public.projects, seed
WHERE topic = 'entity.' || entity_type || '.deleted' AND events.updated_at > moment - interval '10 days' AND project_name = projects.name
  AND 'survivors_project_' || lower(projects.name) = current_schema() AND replace(lower(summary ->> 'entityId'), '-', '') = replace(entity_id::text, '-', '');
DELETE FROM activities WHERE id IN (
  SELECT activity_id FROM activity_references JOIN gone USING (entity_type, entity_id) WHERE reference_type = 'origin');
DELETE FROM activity_references WHERE activity_id NOT IN (SELECT id FROM activities);
UPDATE files SET activity_id = NULL WHERE activity_id NOT IN (SELECT id FROM activities);
DROP TABLE gone;
