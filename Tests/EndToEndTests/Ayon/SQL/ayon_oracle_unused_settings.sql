-- What UnusedSiteSettings and UnusedRoots leave of one project: those of sites and users that are there.
DELETE FROM project_site_settings WHERE site_id NOT IN (SELECT id FROM public.sites) OR user_name NOT IN (SELECT name FROM public.users);
DELETE FROM custom_roots WHERE site_id NOT IN (SELECT id FROM public.sites) OR user_name NOT IN (SELECT name FROM public.users);
