-- The public tables of AYON 1.16.0 that its maintenance touches or that refer to those: columns, types and defaults, without keys
-- (ayon_keys.sql), in the schema `public`. There is no table of logs: logs are events.
--
-- Every statement ends at the end of a line.
CREATE EXTENSION IF NOT EXISTS pg_trgm SCHEMA public;
CREATE TABLE config (key varchar NOT NULL, value jsonb NOT NULL DEFAULT '{}');
CREATE TABLE projects (
  name varchar NOT NULL, label varchar, code varchar NOT NULL, library boolean NOT NULL DEFAULT false, config jsonb NOT NULL DEFAULT '{}',
  attrib jsonb NOT NULL DEFAULT '{}', data jsonb NOT NULL DEFAULT '{}', active boolean NOT NULL DEFAULT true,
  created_at timestamptz DEFAULT now(), updated_at timestamptz DEFAULT now());
CREATE TABLE users (
  name varchar NOT NULL, attrib jsonb NOT NULL DEFAULT '{}', data jsonb NOT NULL DEFAULT '{}', active boolean NOT NULL DEFAULT true,
  created_at timestamptz DEFAULT now(), updated_at timestamptz DEFAULT now());
CREATE TABLE events (
  id uuid NOT NULL, hash varchar NOT NULL, topic varchar NOT NULL, sender varchar, sender_type varchar, project_name varchar,
  user_name varchar, depends_on uuid,
  status varchar NOT NULL DEFAULT 'finished'
    CHECK (status IN ('pending', 'in_progress', 'finished', 'failed', 'aborted', 'restarted')),
  retries integer NOT NULL DEFAULT 0, description text NOT NULL DEFAULT '', summary jsonb NOT NULL DEFAULT '{}',
  payload jsonb NOT NULL DEFAULT '{}', created_at timestamptz DEFAULT now(), updated_at timestamptz DEFAULT now(),
  creation_order serial NOT NULL);
CREATE TABLE sites (id varchar NOT NULL, data jsonb NOT NULL DEFAULT '{}');
CREATE TABLE site_settings (
  addon_name varchar NOT NULL, addon_version varchar NOT NULL, site_id varchar NOT NULL, user_name varchar NOT NULL,
  data jsonb NOT NULL DEFAULT '{}');
CREATE TABLE secrets (name varchar NOT NULL, value varchar NOT NULL);
CREATE TABLE action_config (
  hash varchar NOT NULL, data jsonb, identifier varchar NOT NULL, addon_name varchar, addon_version varchar, project_name varchar,
  user_name varchar, last_used bigint NOT NULL DEFAULT extract(epoch FROM now()));
CREATE TABLE hosts (name varchar NOT NULL, last_seen timestamptz NOT NULL DEFAULT now(), health jsonb NOT NULL DEFAULT '{}');
CREATE TABLE services (
  name varchar NOT NULL, hostname varchar, addon_name varchar NOT NULL, addon_version varchar NOT NULL, service varchar NOT NULL,
  should_run boolean NOT NULL DEFAULT true, is_running boolean NOT NULL DEFAULT false, last_seen timestamp,
  data jsonb NOT NULL DEFAULT '{}');
CREATE TABLE traffic_stats (date date NOT NULL, service varchar NOT NULL, ingress bigint NOT NULL DEFAULT 0, egress bigint NOT NULL DEFAULT 0);
CREATE TABLE user_stats (date date NOT NULL, users jsonb NOT NULL DEFAULT '{}');
