-- What DeadLinks leaves of one project: links whose two ends are there, each of the kind that the link's type says. An end of a kind
-- that nobody knows counts as there.
CREATE TEMPORARY TABLE entity AS
  SELECT 'folder' AS kind, id FROM folders UNION ALL SELECT 'task', id FROM tasks UNION ALL SELECT 'product', id FROM products UNION ALL SELECT 'version', id FROM versions
  UNION ALL SELECT 'representation', id FROM representations UNION ALL SELECT 'workfile', id FROM workfiles;
DELETE FROM links USING link_types WHERE link_types.name = links.link_type AND (
  input_type IN (SELECT kind FROM entity) AND (input_type, input_id) NOT IN (SELECT kind, id FROM entity)
  OR output_type IN (SELECT kind FROM entity) AND (output_type, output_id) NOT IN (SELECT kind, id FROM entity));
DROP TABLE entity;
