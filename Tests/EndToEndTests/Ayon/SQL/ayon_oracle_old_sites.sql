-- What OldSites leaves: sites that left a trace within 30 days, or none at all, or that have settings or roots. The table `site_use` has
-- the sites that projects refer to; see ayon_oracle_site_use.sql.
WITH trace AS (
  SELECT sender AS who, greatest(created_at, updated_at) AS at FROM events WHERE sender IS NOT NULL
  UNION ALL SELECT summary #>> '{agent,device}', created_at FROM events WHERE topic = 'auth.login' AND summary #>> '{agent,device}' IS NOT NULL
  UNION ALL SELECT summary ->> 'site_id', created_at FROM events WHERE topic = 'auth.login' AND summary ->> 'site_id' IS NOT NULL)
DELETE FROM sites USING seed
WHERE (id IN (SELECT who FROM trace) OR data ->> 'hostname' IN (SELECT who FROM trace))
  AND id NOT IN (SELECT who FROM trace, seed WHERE at >= moment - interval '30 days')
  AND data ->> 'hostname' NOT IN (SELECT who FROM trace, seed WHERE at >= moment - interval '30 days')
  AND NOT EXISTS (SELECT FROM site_settings WHERE site_id = sites.id) AND NOT EXISTS (SELECT FROM site_use WHERE site_id = sites.id);
