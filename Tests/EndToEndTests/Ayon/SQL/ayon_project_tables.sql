-- The tables of one AYON project, without keys (ayon_project_keys.sql), in the current schema. Entities of `links` and
-- `activity_references` are no foreign keys: nothing cleans them up when the entity goes.
--
-- Every statement ends at the end of a line.
CREATE TABLE folder_types (name varchar NOT NULL, position integer NOT NULL DEFAULT 0, data jsonb NOT NULL DEFAULT '{}');
CREATE TABLE task_types (LIKE folder_types INCLUDING DEFAULTS);
CREATE TABLE statuses (LIKE folder_types INCLUDING DEFAULTS);
CREATE TABLE thumbnails (id uuid NOT NULL, mime varchar NOT NULL, data bytea NOT NULL, meta jsonb NOT NULL DEFAULT '{}', created_at timestamptz NOT NULL DEFAULT now());
ALTER TABLE thumbnails ALTER COLUMN data SET STORAGE EXTERNAL;
CREATE TABLE activities (
  id uuid NOT NULL, activity_type varchar NOT NULL, body text NOT NULL, tags varchar[] NOT NULL DEFAULT '{}', data jsonb NOT NULL DEFAULT '{}',
  created_at timestamptz NOT NULL DEFAULT now(), updated_at timestamptz NOT NULL DEFAULT now(), creation_order serial NOT NULL);
CREATE TABLE activity_references (
  id uuid NOT NULL, activity_id uuid NOT NULL, reference_type varchar NOT NULL, entity_type varchar NOT NULL, entity_id uuid,
  entity_name varchar, active boolean NOT NULL DEFAULT true, data jsonb NOT NULL DEFAULT '{}',
  created_at timestamptz NOT NULL DEFAULT now(), updated_at timestamptz NOT NULL DEFAULT now(), creation_order serial NOT NULL);
CREATE TABLE entity_paths (entity_id uuid NOT NULL, entity_type varchar NOT NULL, path varchar NOT NULL);
CREATE TABLE files (
  id uuid NOT NULL, size bigint NOT NULL, author varchar, activity_id uuid, thumbnail_id uuid, data jsonb NOT NULL DEFAULT '{}',
  created_at timestamptz NOT NULL DEFAULT now(), updated_at timestamptz NOT NULL DEFAULT now());
CREATE TABLE folders (
  id uuid NOT NULL, name varchar NOT NULL, label varchar, folder_type varchar NOT NULL, parent_id uuid, thumbnail_id uuid,
  attrib jsonb NOT NULL DEFAULT '{}', data jsonb NOT NULL DEFAULT '{}', status varchar NOT NULL, tags varchar[] NOT NULL DEFAULT '{}',
  active boolean NOT NULL DEFAULT true, created_at timestamptz DEFAULT now(), updated_at timestamptz DEFAULT now(),
  created_by varchar, updated_by varchar, creation_order serial NOT NULL);
CREATE TABLE tasks (
  id uuid NOT NULL, name varchar NOT NULL, label varchar, folder_id uuid NOT NULL, task_type varchar, assignees varchar[] NOT NULL DEFAULT '{}',
  thumbnail_id uuid, attrib jsonb NOT NULL DEFAULT '{}', data jsonb NOT NULL DEFAULT '{}', active boolean NOT NULL DEFAULT true,
  status varchar NOT NULL, tags varchar[] NOT NULL DEFAULT '{}', created_at timestamptz DEFAULT now(), updated_at timestamptz DEFAULT now(),
  created_by varchar, updated_by varchar, creation_order serial NOT NULL);
CREATE TABLE products (
  id uuid NOT NULL, name varchar NOT NULL, folder_id uuid NOT NULL, product_type varchar NOT NULL, product_base_type varchar,
  attrib jsonb NOT NULL DEFAULT '{}', data jsonb NOT NULL DEFAULT '{}', active boolean NOT NULL DEFAULT true, status varchar NOT NULL,
  tags varchar[] NOT NULL DEFAULT '{}', created_at timestamptz DEFAULT now(), updated_at timestamptz DEFAULT now(),
  created_by varchar, updated_by varchar, creation_order serial NOT NULL);
CREATE TABLE versions (
  id uuid NOT NULL, version integer NOT NULL, product_id uuid NOT NULL, task_id uuid, thumbnail_id uuid, author varchar,
  attrib jsonb NOT NULL DEFAULT '{}', data jsonb NOT NULL DEFAULT '{}', active boolean NOT NULL DEFAULT true, status varchar NOT NULL,
  tags varchar[] NOT NULL DEFAULT '{}', created_at timestamptz DEFAULT now(), updated_at timestamptz DEFAULT now(),
  created_by varchar, updated_by varchar, creation_order serial NOT NULL);
CREATE TABLE representations (
  id uuid NOT NULL, name varchar NOT NULL, version_id uuid NOT NULL, files jsonb NOT NULL DEFAULT '[]', attrib jsonb NOT NULL DEFAULT '{}',
  data jsonb NOT NULL DEFAULT '{}', traits jsonb, active boolean NOT NULL DEFAULT true, status varchar NOT NULL,
  tags varchar[] NOT NULL DEFAULT '{}', created_at timestamptz DEFAULT now(), updated_at timestamptz DEFAULT now(),
  created_by varchar, updated_by varchar, creation_order serial NOT NULL);
CREATE TABLE workfiles (
  id uuid NOT NULL, path varchar NOT NULL, task_id uuid NOT NULL, thumbnail_id uuid, attrib jsonb NOT NULL DEFAULT '{}',
  data jsonb NOT NULL DEFAULT '{}', active boolean NOT NULL DEFAULT true, status varchar NOT NULL, tags varchar[] NOT NULL DEFAULT '{}',
  created_at timestamptz DEFAULT now(), updated_at timestamptz DEFAULT now(), created_by varchar, updated_by varchar,
  creation_order serial NOT NULL);
CREATE TABLE link_types (name varchar NOT NULL, input_type varchar NOT NULL, output_type varchar NOT NULL, link_type varchar NOT NULL, data jsonb NOT NULL DEFAULT '{}');
CREATE TABLE links (
  id uuid NOT NULL, name varchar, link_type varchar NOT NULL, input_id uuid NOT NULL, output_id uuid NOT NULL, author varchar,
  data jsonb NOT NULL DEFAULT '{}', created_at timestamptz DEFAULT now(), creation_order serial NOT NULL);
CREATE TABLE project_site_settings (
  addon_name varchar NOT NULL, addon_version varchar NOT NULL, site_id varchar NOT NULL, user_name varchar NOT NULL, data jsonb NOT NULL DEFAULT '{}');
CREATE TABLE custom_roots (site_id varchar NOT NULL, user_name varchar NOT NULL, data jsonb NOT NULL DEFAULT '{}');
CREATE MATERIALIZED VIEW hierarchy AS
  WITH RECURSIVE tree AS (
    SELECT id, name::text AS path FROM folders WHERE parent_id IS NULL
    UNION ALL SELECT folders.id, tree.path || '/' || folders.name FROM tree JOIN folders ON folders.parent_id = tree.id)
  SELECT id, path FROM tree;
