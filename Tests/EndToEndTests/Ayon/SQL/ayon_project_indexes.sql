-- The eighteen indexes that AYON's maintenance adds to projects which are older than they are.
--
-- Every statement ends at the end of a line.
CREATE INDEX folder_attrib_idx ON folders USING gin (attrib);
CREATE INDEX folder_type_idx ON folders (folder_type);
CREATE INDEX folder_status_idx ON folders (status);
CREATE INDEX hierarchy_path_idx ON hierarchy (path);
CREATE INDEX task_type_idx ON tasks (task_type);
CREATE INDEX task_status_idx ON tasks (status);
CREATE INDEX task_assignees_idx ON tasks USING gin (assignees);
CREATE INDEX task_attrib_idx ON tasks USING gin (attrib);
CREATE INDEX product_status_idx ON products (status);
CREATE INDEX product_attrib_idx ON products USING gin (attrib);
CREATE INDEX version_task_id_idx ON versions (task_id);
CREATE INDEX version_status_idx ON versions (status);
CREATE INDEX version_attrib_idx ON versions USING gin (attrib);
CREATE INDEX representation_status_idx ON representations (status);
CREATE INDEX representation_attrib_idx ON representations USING gin (attrib);
CREATE INDEX activity_origin_desc_idx ON activity_references (entity_type, entity_id, created_at DESC) WHERE reference_type = 'origin';
CREATE INDEX activity_author_idx ON activities ((data ->> 'author'));
CREATE INDEX activity_watcher_idx ON activities ((data ->> 'watcher')) WHERE activity_type = 'watch';
