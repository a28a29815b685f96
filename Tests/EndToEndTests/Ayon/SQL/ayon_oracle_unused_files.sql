-- What UnusedFiles leaves of one project: files of an activity and those updated within five minutes. Activities no longer list the
-- others; a list may become empty. The table `unlinked` gets the ids of the others.
CREATE TABLE unlinked AS SELECT id, replace(id::text, '-', '') AS hex FROM files, seed WHERE activity_id IS NULL AND updated_at < moment - interval '5 minutes';
DELETE FROM files WHERE id IN (SELECT id FROM unlinked);
UPDATE activities SET data = jsonb_set(data, '{files}', (
  SELECT coalesce(jsonb_agg(file ORDER BY place) FILTER (WHERE file ->> 'id' NOT IN (SELECT hex FROM unlinked)), '[]') FROM jsonb_array_elements(data -> 'files') WITH ORDINALITY AS list (file, place)))
WHERE data ? 'files';
