-- Rows for ayon_project_tables.sql, after ayon_seed.sql, in the first schema of the search path; `public` has to be the second.
--
-- `seed.entities` of each kind are there; as many with higher numbers are gone. Every statement ends at the end of a line.
INSERT INTO folder_types (name) VALUES ('Shot');
INSERT INTO task_types (name) VALUES ('Animation');
INSERT INTO statuses (name) VALUES ('Done');
INSERT INTO thumbnails (id, mime, data, created_at) SELECT '00000000-0000-0000-0000-000000000000', 'image/png', '\x00', moment - interval '300 days' FROM seed;
INSERT INTO thumbnails (id, mime, data, created_at)
  SELECT seed_id('thumbnail', n), 'image/jpeg', decode(repeat(seed_hex('pixel', n), 16), 'hex'),
         CASE WHEN n % 4 = 3 THEN moment - (interval '48 hours' - gap) * n / thumbnails ELSE moment - gap - interval '48 hours' - n * interval '10 seconds' END
  FROM seed, generate_series(1, thumbnails) AS n;
-- Of ten thumbnails the first five are referred to, each by another kind of row.
CREATE OR REPLACE FUNCTION pg_temp.thumbnail(number bigint, kind integer) RETURNS uuid LANGUAGE sql STABLE AS $$ SELECT seed_id('thumbnail', number * 10 + kind) FROM seed WHERE number * 10 + kind <= thumbnails $$;
INSERT INTO folders (id, name, folder_type, parent_id, thumbnail_id, status)
  SELECT seed_id('folder', n), 'folder' || n, 'Shot', CASE WHEN n > 10 THEN seed_id('folder', n / 10) END, pg_temp.thumbnail(n, 0), 'Done' FROM seed, generate_series(1, entities) AS n;
INSERT INTO tasks (id, name, folder_id, task_type, thumbnail_id, status)
  SELECT seed_id('task', n), 'task' || n, seed_id('folder', n), 'Animation', pg_temp.thumbnail(n, 1), 'Done' FROM seed, generate_series(1, entities) AS n;
INSERT INTO products (id, name, folder_id, product_type, status) SELECT seed_id('product', n), 'product' || n, seed_id('folder', n), 'render', 'Done' FROM seed, generate_series(1, entities) AS n;
INSERT INTO versions (id, version, product_id, task_id, thumbnail_id, status)
  SELECT seed_id('version', n), n, seed_id('product', n), seed_id('task', n), pg_temp.thumbnail(n, 2), 'Done' FROM seed, generate_series(1, entities) AS n;
INSERT INTO representations (id, name, version_id, status) SELECT seed_id('representation', n), 'exr', seed_id('version', n), 'Done' FROM seed, generate_series(1, entities) AS n;
INSERT INTO workfiles (id, path, task_id, thumbnail_id, status)
  SELECT seed_id('workfile', n), '/work/' || n, seed_id('task', n), pg_temp.thumbnail(n, 3), 'Done' FROM seed, generate_series(1, entities) AS n;
REFRESH MATERIALIZED VIEW hierarchy;
-- Activity n is about an entity of kind n % 6; with `entities` = e, activities up to 6 e - 6 are about one that is there.
-- Of ten that know of files some know of none, some of one, some of one that is not there.
CREATE OR REPLACE FUNCTION pg_temp.kind(number bigint) RETURNS text LANGUAGE sql IMMUTABLE AS $$ SELECT (ARRAY['folder', 'task', 'product', 'version', 'representation', 'workfile'])[1 + number % 6] $$;
INSERT INTO activities (id, activity_type, body, data, created_at, updated_at)
  SELECT seed_id('activity', n), (ARRAY['comment', 'status.change', 'watch', 'version.publish'])[1 + n % 4], 'A comment of some length on number ' || n,
         jsonb_build_object('author', 'user' || 1 + n % 20) || CASE WHEN n % 10 > 0 THEN '{}' ELSE jsonb_build_object('files', (
           SELECT coalesce(jsonb_agg(jsonb_build_object('id', CASE WHEN n % 70 = 0 AND file = 1 THEN seed_hex('nofile', n) ELSE seed_hex('file', 1 + (n / 10 * 3 + file) % files) END, 'mime', 'image/png', 'size', 1000) ORDER BY file), '[]')
           FROM generate_series(1, n / 10 % 4) AS file)) END,
         said, said
  FROM seed, generate_series(1, activities) AS n, LATERAL (SELECT moment - gap - interval '10 days' - interval '290 days' * (1 - n / activities::float8) AS said) AS row;
INSERT INTO activity_references (id, activity_id, reference_type, entity_type, entity_id, entity_name, created_at, updated_at)
  SELECT seed_id('origin', n), seed_id('activity', n), 'origin', CASE WHEN n % 79 = 0 THEN 'team' ELSE kind END, CASE WHEN n % 89 > 0 THEN seed_id(kind, entity) END, NULL, said, said
  FROM seed, generate_series(1, activities) AS n, LATERAL (SELECT pg_temp.kind(n) AS kind, 1 + n / 6 % (2 * entities) AS entity) AS row, LATERAL (SELECT moment - gap - interval '10 days' - interval '290 days' * (1 - n / activities::float8) AS said) AS its
  WHERE n % 97 > 0
  UNION ALL
  SELECT seed_id('author', n), seed_id('activity', n), 'author', 'user', NULL, 'user' || 1 + n % 20, said, said
  FROM seed, generate_series(1, activities) AS n, LATERAL (SELECT moment - gap - interval '10 days' - interval '290 days' * (1 - n / activities::float8) AS said) AS its;
INSERT INTO activity_references (id, activity_id, reference_type, entity_type, entity_id, created_at, updated_at)
  SELECT seed_id('second', n), seed_id('activity', n), 'origin', 'folder', seed_id('folder', 1), moment - interval '40 days', moment - interval '40 days'
  FROM seed, generate_series(1, activities) AS n WHERE n % 83 = 0 AND n > 12 * entities;
-- What became of the entities that are gone. Of eight: mentioned 9 days ago; deleted 9 days ago; 11 days ago; in another project; an
-- id that is none; a uuid with dashes and capitals; an entity of another kind; nothing.
INSERT INTO activity_references (id, activity_id, reference_type, entity_type, entity_id, created_at, updated_at)
  SELECT seed_id('mention' || kind, n), seed_id('activity', 1 + n % greatest(least(entities, activities), 1)), 'mention', kind, seed_id(kind, n), moment - interval '20 days', moment - interval '9 days'
  FROM seed, generate_series(entities + 1, 2 * entities) AS n, generate_series(0, 5) AS number, LATERAL (SELECT pg_temp.kind(number) AS kind) AS its WHERE n % 8 = 0 AND activities > 0;
INSERT INTO public.events (id, hash, topic, project_name, summary, created_at, updated_at)
  SELECT seed_id('gone' || kind, n), seed_hex('gone' || kind, n), 'entity.' || CASE n % 8 WHEN 6 THEN pg_temp.kind(number + 1) ELSE kind END || '.deleted',
         CASE n % 8 WHEN 3 THEN 'Archived' ELSE project.name END,
         jsonb_build_object('entityId', CASE n % 8 WHEN 4 THEN 'no uuid ' || n WHEN 5 THEN upper(seed_id(kind, n)::text) ELSE seed_hex(kind, n) END), said, said
  FROM seed, generate_series(entities + 1, 2 * entities) AS n, generate_series(0, 5) AS number, public.projects AS project,
       LATERAL (SELECT pg_temp.kind(number) AS kind, moment - CASE n % 8 WHEN 2 THEN interval '11 days' ELSE interval '9 days' END AS said) AS its
  WHERE n % 8 BETWEEN 1 AND 6 AND current_schema() = lower('project_' || project.name);
-- Of five files: nobody's and old; nobody's and young; two of activities; one of an activity, but updated just now.
INSERT INTO files (id, size, author, activity_id, thumbnail_id, data, created_at, updated_at)
  SELECT seed_id('file', n), 1000, 'user1', CASE WHEN n % 5 > 1 THEN seed_id('activity', 1 + n * 7 % activities) END, CASE WHEN n % 3 > 0 THEN pg_temp.thumbnail(n, 4) END,
         '{"filename": "shot.png", "mime": "image/png"}', moment - interval '100 days',
         CASE WHEN n % 5 IN (1, 4) THEN moment + interval '1 hour' ELSE moment - gap - interval '5 minutes' - n * interval '1 second' END
  FROM seed, generate_series(1, files) AS n;
INSERT INTO link_types (name, link_type, input_type, output_type)
  SELECT concat_ws('|', kind, input, output), kind, input, output
  FROM (VALUES ('generative', 'version', 'version'), ('reference', 'version', 'representation'), ('breakdown', 'folder', 'folder'), ('template', 'task', 'workfile'), ('made', 'product', 'task'), ('odd', 'shot', 'folder')) AS type (kind, input, output);
-- A seventh of the inputs and an eleventh of the outputs are gone; a thirteenth of the inputs is there, but of another kind.
INSERT INTO links (id, link_type, input_id, output_id, author, created_at)
  SELECT seed_id('link', n), type.name, seed_id(CASE WHEN n % 13 = 0 THEN CASE type.input_type WHEN 'folder' THEN 'task' ELSE 'folder' END ELSE type.input_type END, 1 + n % entities + CASE WHEN n % 7 = 0 THEN entities ELSE 0 END),
         seed_id(type.output_type, 1 + n * 31 % entities + CASE WHEN n % 11 = 0 THEN entities ELSE 0 END), 'user1', moment - interval '100 days'
  FROM seed, generate_series(1, links) AS n, LATERAL (SELECT * FROM link_types ORDER BY name OFFSET n % 6 LIMIT 1) AS type;
-- Overrides of sites and users, some of which are no longer there. The 5th of eight sites has roots of its own in odd projects,
-- the 6th had some of a user who is gone.
INSERT INTO custom_roots (site_id, user_name)
  SELECT 'site-' || n, CASE WHEN n % 8 = 4 THEN 'user1' ELSE 'ghost' END FROM seed, generate_series(1, sites) AS n WHERE n % 8 = 4 AND current_schema() = 'project_alpha' OR n % 8 = 5
  UNION ALL SELECT 'lost-' || n, 'user1' FROM generate_series(1, 100) AS n;
INSERT INTO project_site_settings (addon_name, addon_version, site_id, user_name)
  SELECT 'maya', '0.3.1', 'site-' || n, 'user' || 1 + n % 25 FROM seed, generate_series(1, sites) AS n WHERE n % 8 = 2 OR n % 16 = 6
  UNION ALL SELECT 'maya', '0.3.1', 'lost-' || n, 'user1' FROM generate_series(1, 100) AS n;
