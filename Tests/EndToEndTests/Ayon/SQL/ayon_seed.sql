-- Rows for ayon_tables.sql, the same ones whenever it is run: ids are hashes of numbers, times count back from one moment.
--
-- Wants a table `seed` of one row:
--   moment timestamptz    what counts as now
--   gap interval          no age is nearer than this to the age at which its row expires
--   awkward boolean       NULLs, all topics of logs, young rows in old chains; else what AYON's own statements delete, too
--   events, logs, launchers, sites, hosts, configs integer
--   entities integer      of each kind in each project; as many again are spoken of but gone
--   activities, files, thumbnails, links integer   in each project
-- What has to be young for minutes (files and launchers) has its time in the future. A child is never older than its parent.
-- Every statement ends at the end of a line.
CREATE FUNCTION seed_id(kind text, number bigint) RETURNS uuid LANGUAGE sql STABLE AS $$ SELECT md5(current_schema() || kind || number)::uuid $$;
CREATE FUNCTION seed_hex(kind text, number bigint) RETURNS text LANGUAGE sql STABLE AS $$ SELECT md5(current_schema() || kind || number) $$;
CREATE FUNCTION seed_age(number bigint, total bigint, oldest interval, age interval, gap interval) RETURNS interval LANGUAGE sql IMMUTABLE AS $$ SELECT
  CASE WHEN number <= total / 2 THEN age + gap + (oldest - age - gap) * (1 - number / (total / 2.0))
       ELSE (age - gap) * (1 - (number - total / 2) / (total / 2.0)) END $$;
INSERT INTO config VALUES ('instanceId', '"prickly-otter"'), ('dbVersion', '12');
INSERT INTO secrets VALUES ('ftrack_api_key', 'secret');
INSERT INTO users (name) SELECT 'user' || n FROM generate_series(1, 20) AS n;
INSERT INTO projects (name, label, code, data, active, created_at)
  SELECT name, name, lower(left(name, 3)), CASE name WHEN 'Bones' THEN '{"isSkeleton": true}'::jsonb ELSE '{}' END, name <> 'Archived', moment - interval '300 days'
  FROM seed, unnest(ARRAY['Alpha', 'Beta_2', 'Bones', 'Archived']) AS name;
INSERT INTO sites (id, data)
  SELECT 'site-' || n, jsonb_build_object('platform', 'linux', 'hostname', 'pc' || n, 'version', '1.0.0', 'users', ARRAY['user' || 1 + n % 20])
  FROM seed, generate_series(1, sites) AS n;
-- Of eight sites the 4th has overrides; see ayon_project_seed.sql for the 5th and 6th.
INSERT INTO site_settings SELECT 'maya', '0.3.' || n % 3, 'site-' || n, 'user' || 1 + n % 20 FROM seed, generate_series(1, sites) AS n WHERE n % 8 = 3;
INSERT INTO hosts (name, last_seen)
  SELECT 'host-' || n, moment - CASE WHEN n % 3 = 0 THEN interval '23 hours 40 minutes' * n / hosts ELSE interval '1 day' + gap + n * interval '1 minute' END
  FROM seed, generate_series(1, hosts) AS n;
INSERT INTO services (name, hostname, addon_name, addon_version, service)
  SELECT 'service-' || n, CASE WHEN n % 10 > 0 THEN 'host-' || n END, 'ftrack', '1.2.3', 'processor' FROM seed, generate_series(1, hosts) AS n WHERE n % 5 IN (0, 1);
INSERT INTO action_config (hash, data, identifier, addon_name, addon_version, project_name, user_name, last_used)
  SELECT md5('config' || n), '{"value": 1}', 'launch', 'applications', '1.0.0', (ARRAY['Alpha', 'Beta_2', 'Bones', 'Bones', 'Archived', NULL])[1 + n % 6],
         CASE WHEN n % 7 > 0 THEN 'user' || 1 + n % 20 END, extract(epoch FROM moment - seed_age(n, configs, interval '300 days', interval '30 days', gap))::bigint
  FROM seed, generate_series(1, configs) AS n;
INSERT INTO user_stats SELECT (moment AT TIME ZONE 'UTC')::date - n, '{"users": ["user1"]}' FROM seed, generate_series(0, 120) AS n WHERE n <> 60;
INSERT INTO traffic_stats SELECT (moment AT TIME ZONE 'UTC')::date - n, service, 1000, 2000 FROM seed, generate_series(0, 120) AS n, unnest(ARRAY['server', 's3', 'cdn']) AS service WHERE n <> 60;
-- Seven strands of events run beside each other; in them chains of 1, 2, 3, 9, 40 and 400 rows, and stars of a parent and three
-- children. Uuids are in random order; rows lie in the order of their creation, with logs and all others between them.
CREATE TEMPORARY TABLE seed_event AS
  SELECT seed_id('event', n) AS id,
         (ARRAY['entity.task.status_changed', 'entity.version.created', 'logistics.sync', 'addon.sync', 'enroll.source', 'enroll.target', 'server.started', 'review.created'])[1 + n / 7 * 79 % 8] AS topic,
         'session-' || n % 1000 AS sender, (ARRAY['Alpha', 'Beta_2', NULL])[1 + n % 3] AS project_name,
         CASE WHEN n <= 7 THEN NULL WHEN strand = 1 AND place % 4 > 0 THEN seed_id('event', n - 7 * (place % 4))
              WHEN strand <> 1 AND place % length > 0 THEN seed_id('event', n - 7) END AS depends_on,
         CASE WHEN NOT awkward OR n % 17 > 0 THEN 'finished' ELSE (ARRAY['pending', 'in_progress', 'failed', 'aborted', 'restarted'])[1 + n % 5] END AS status,
         'something happened to ' || seed_hex('thing', n) AS description,
         jsonb_build_object('entityId', seed_hex('thing', n), 'parentId', seed_hex('thing', n / 10)) AS summary,
         CASE n % 10 WHEN 0 THEN jsonb_build_object('oldValue', 'In progress', 'newValue', repeat('done ', 20)) ELSE '{}' END AS payload,
         CASE WHEN awkward AND n % 4999 = 0 THEN NULL ELSE moment - age END AS created_at,
         CASE WHEN awkward AND n % 4993 = 0 THEN NULL
              WHEN awkward AND (strand < 6 AND n % 211 = 0 OR n % 2003 = 0) THEN moment - interval '1 day' - age / 1000 ELSE moment - age + interval '1 second' END AS updated_at
  FROM seed, generate_series(1, events) AS n, LATERAL (SELECT n % 7 AS strand, n / 7 AS place, seed_age(n, events, interval '200 days', interval '90 days', gap) AS age) AS row,
       LATERAL (SELECT (ARRAY[1, 4, 2, 3, 9, 40, 400])[1 + strand] AS length) AS its;
INSERT INTO seed_event
  SELECT seed_id('log', n),
         CASE WHEN awkward THEN (ARRAY['log.info', 'log.success', 'log.debug', 'log.trace', 'log.warning', 'log.error', 'log.critical'])[1 + n % 7]
              ELSE (ARRAY['log.info', 'log.warning', 'log.error'])[1 + n % 3] END,
         NULL, NULL, NULL, 'finished', 'GET /api/projects ' || n, '{}', jsonb_build_object('module', 'server', 'line', n % 500),
         CASE WHEN awkward AND n % 5003 = 0 THEN NULL ELSE moment - age END, moment - age
  FROM seed, generate_series(1, logs) AS n,
       LATERAL (SELECT seed_age(n, logs, CASE WHEN awkward THEN interval '40 days' ELSE interval '13 days 23 hours' END, interval '7 days', gap)
                       + CASE WHEN awkward AND n % 6007 = 0 THEN interval '100 days' ELSE interval '0' END AS age) AS row;
-- What depends on a log: another log, an event that is not old enough, or one that goes with the next target.
INSERT INTO seed_event
  SELECT seed_id('reaction', n), CASE WHEN n % 8002 = 0 THEN 'log.info' ELSE 'addon.reacted' END, NULL, NULL, seed_id('log', n), 'finished', 'reaction', '{}', '{}',
         log.updated_at + interval '1 second', log.updated_at + interval '1 second'
  FROM seed, generate_series(1, logs) AS n, seed_event AS log WHERE awkward AND (n % 4001 = 0 OR n % 6007 = 0) AND log.id = seed_id('log', n);
-- Launchers: of nine one in each other status than pending, and one pending that another event depends on.
INSERT INTO seed_event
  SELECT seed_id('launcher', n), CASE WHEN n % 9 = 8 THEN 'action.launched' ELSE 'action.launcher' END, NULL, 'Alpha', NULL,
         CASE WHEN n % 9 < 5 THEN (ARRAY['pending', 'in_progress', 'finished', 'failed', 'aborted'])[1 + n % 9] ELSE 'pending' END, 'launch', '{}', '{}', said, said
  FROM seed, generate_series(1, launchers) AS n, LATERAL (SELECT CASE WHEN n % 9 = 7 THEN moment + interval '1 hour' ELSE moment - gap - interval '5 minutes' - n * interval '10 seconds' END AS said) AS row;
INSERT INTO seed_event
  SELECT seed_id('launched', n), 'action.done', NULL, 'Alpha', seed_id('launcher', n), 'finished', 'launched', '{}', '{}', moment, moment
  FROM seed, generate_series(1, launchers) AS n WHERE n % 9 = 6;
-- What sites have done: in turn as themselves, as their machines, by logins from the machine, by logins of the site from elsewhere, or
-- by one of each of these, of which the second is the site's. Nobody updates logins. Of eight sites: nothing, long ago, just now, long
-- ago (4th to 6th), long ago but it was updated or there was another login by the site's id, very long ago.
INSERT INTO seed_event
  SELECT seed_id('visit', n * 2 + visit), CASE WHEN way < 2 THEN 'addon.sync' ELSE 'auth.login' END,
         CASE way WHEN 0 THEN 'site-' || n WHEN 1 THEN 'pc' || n END, 'Alpha', NULL, 'finished', 'sync',
         CASE way WHEN 2 THEN jsonb_build_object('ip', '10.0.0.1', 'agent', jsonb_build_object('platform', 'linux', 'device', 'pc' || n), 'site_id', NULL)
                  WHEN 3 THEN jsonb_build_object('ip', '10.0.0.2', 'agent', jsonb_build_object('platform', 'darwin', 'device', 'loan' || n), 'site_id', 'site-' || n) ELSE '{}' END, '{}',
         moment - age, moment - CASE WHEN n % 8 = 6 AND way < 2 THEN interval '2 days' ELSE age END
  FROM seed, generate_series(1, sites) AS n, generate_series(0, 1) AS visit,
       LATERAL (SELECT CASE n / 8 % 5 WHEN 4 THEN 2 + visit ELSE n / 8 % 5 END AS way) AS its,
       LATERAL (SELECT CASE WHEN n % 8 = 2 AND visit = 1 THEN interval '29 days' WHEN n % 8 = 7 THEN interval '120 days' + visit * interval '1 hour'
                            WHEN n % 8 = 6 AND n / 8 % 5 = 4 AND visit = 1 THEN interval '2 days'
                            ELSE interval '30 days' + gap + visit * interval '10 days' END AS age) AS row
  WHERE n % 8 > 0;
INSERT INTO events (id, hash, topic, sender, project_name, user_name, depends_on, status, description, summary, payload, created_at, updated_at)
  SELECT id, replace(id::text, '-', ''), topic, sender, project_name, CASE WHEN topic LIKE 'entity.%' THEN 'user' || 1 + length(description) % 20 END, depends_on, status, description, summary, payload, created_at, updated_at
  FROM seed_event ORDER BY created_at;
DROP TABLE seed_event;
