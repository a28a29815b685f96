-- What OldSites leaves: sites that did something within 30 days, of which no deed is known, or that have settings or roots. The
-- table `site_use` has the sites that projects refer to; see ayon_oracle_site_use.sql.
DELETE FROM sites USING seed
WHERE id IN (SELECT sender FROM events, seed GROUP BY sender, moment HAVING max(greatest(created_at, updated_at)) < moment - interval '30 days')
  AND NOT EXISTS (SELECT FROM site_settings WHERE site_id = sites.id) AND NOT EXISTS (SELECT FROM site_use WHERE site_id = sites.id);
