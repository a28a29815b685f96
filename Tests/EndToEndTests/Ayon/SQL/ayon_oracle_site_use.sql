-- Adds the sites that one project refers to, for ayon_oracle_old_sites.sql; the project's copies come first in the search path.
INSERT INTO survivors.site_use SELECT site_id FROM project_site_settings UNION SELECT site_id FROM custom_roots;
