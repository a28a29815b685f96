-- What OldActionConfigs leaves: those of live projects or of none, and those used within 30 days.
DELETE FROM action_config USING seed
WHERE last_used < extract(epoch FROM moment - interval '30 days') AND project_name IN (SELECT name FROM projects WHERE data ->> 'isSkeleton' = 'true');
