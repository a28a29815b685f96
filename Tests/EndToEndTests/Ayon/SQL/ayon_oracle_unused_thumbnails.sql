-- What UnusedThumbnails leaves of one project: the project's own, those of the last 48 hours, and those that something refers to.
DELETE FROM thumbnails USING seed
WHERE created_at < moment - interval '48 hours' AND id <> '00000000-0000-0000-0000-000000000000'
  AND id NOT IN (SELECT thumbnail_id FROM folders WHERE thumbnail_id IS NOT NULL UNION ALL SELECT thumbnail_id FROM tasks WHERE thumbnail_id IS NOT NULL
    UNION ALL SELECT thumbnail_id FROM versions WHERE thumbnail_id IS NOT NULL UNION ALL SELECT thumbnail_id FROM workfiles WHERE thumbnail_id IS NOT NULL
    UNION ALL SELECT thumbnail_id FROM files WHERE thumbnail_id IS NOT NULL);
