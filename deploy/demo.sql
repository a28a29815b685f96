-- A database shaped like Distr's (github.com/distr-sh/distr, 3.2), reduced to what its clean-up touches: column types,
-- indexes and foreign keys as its migrations leave them; columns that neither the clean-up nor a key needs are left out.
--
-- 50 agents have reported metrics every 30 s for 15 days, so that rows of all targets alternate in the heap as they do in
-- production. One agent went silent three days ago: its newest row is older than any sensible age, and must stay.

BEGIN;
SET LOCAL synchronous_commit = off;
SET LOCAL maintenance_work_mem = '256MB';
SET LOCAL timezone = 'UTC';

CREATE TYPE deployment_status_type AS ENUM ('healthy', 'error', 'progressing', 'running');
CREATE TYPE notification_record_type AS ENUM ('alert', 'warning', 'resolved');

CREATE TABLE organization (
  id          uuid PRIMARY KEY DEFAULT gen_random_uuid(),
  created_at  timestamp DEFAULT current_timestamp,
  name        text NOT NULL,
  deleted_at  timestamptz
);

CREATE TABLE deploymenttarget (
  id               uuid PRIMARY KEY DEFAULT gen_random_uuid(),
  created_at       timestamp DEFAULT current_timestamp,
  name             text NOT NULL,
  organization_id  uuid NOT NULL REFERENCES organization ON DELETE CASCADE
);

CREATE TABLE deployment (
  id                    uuid PRIMARY KEY DEFAULT gen_random_uuid(),
  created_at            timestamp DEFAULT current_timestamp,
  deployment_target_id  uuid NOT NULL REFERENCES deploymenttarget ON DELETE CASCADE
);

CREATE TABLE deploymentrevision (
  id             uuid PRIMARY KEY DEFAULT gen_random_uuid(),
  created_at     timestamp DEFAULT current_timestamp,
  deployment_id  uuid NOT NULL REFERENCES deployment ON DELETE CASCADE
);

CREATE TABLE deploymentrevisionstatus (
  id                      uuid NOT NULL DEFAULT gen_random_uuid(),
  created_at              timestamp DEFAULT current_timestamp,  -- nullable, as in Distr
  deployment_revision_id  uuid NOT NULL,
  type                    deployment_status_type NOT NULL,
  message                 text NOT NULL
);

CREATE TABLE deploymenttargetmetrics (
  id                    uuid NOT NULL DEFAULT gen_random_uuid(),
  created_at            timestamp NOT NULL DEFAULT current_timestamp,
  deployment_target_id  uuid NOT NULL,
  cpu_cores_millis      bigint NOT NULL,
  cpu_usage             float8 NOT NULL,
  memory_bytes          bigint NOT NULL,
  memory_usage          float8 NOT NULL
);

CREATE TABLE deploymenttargetdiskmetrics (
  id                            uuid NOT NULL DEFAULT gen_random_uuid(),
  deployment_target_metrics_id  uuid NOT NULL,
  device                        text NOT NULL,
  path                          text NOT NULL,
  fs_type                       text NOT NULL,
  bytes_total                   bigint NOT NULL,
  bytes_used                    bigint NOT NULL
);

INSERT INTO organization (name) VALUES ('Demo');
INSERT INTO deploymenttarget (name, organization_id)
  SELECT CASE number WHEN 50 THEN 'silent for three days' ELSE 'agent ' || number END, organization.id
  FROM organization, generate_series(1, 50) AS number;
INSERT INTO deployment (deployment_target_id)
  SELECT id FROM deploymenttarget, generate_series(1, 2);
INSERT INTO deploymentrevision (deployment_id)
  SELECT id FROM deployment, generate_series(1, 3);

-- Tables are filled before their indexes and keys exist: many times faster.
INSERT INTO deploymenttargetmetrics
    (created_at, deployment_target_id, cpu_cores_millis, cpu_usage, memory_bytes, memory_usage)
  SELECT tick + agent.number * interval '0.5 seconds', agent.id, 4000, 0.25, 8589934592, 0.5
  FROM generate_series(localtimestamp - interval '15 days', localtimestamp - interval '1 minute', interval '30 seconds') AS tick,
       (SELECT id, name, row_number() OVER () AS number FROM deploymenttarget) AS agent
  WHERE agent.name NOT LIKE 'silent%' OR tick < localtimestamp - interval '3 days'
  ORDER BY tick, agent.number;

INSERT INTO deploymenttargetdiskmetrics (deployment_target_metrics_id, device, path, fs_type, bytes_total, bytes_used)
  SELECT id, '/dev/sda1', '/', 'ext4', 107374182400, 53687091200
  FROM (SELECT id, row_number() OVER (ORDER BY created_at) AS number FROM deploymenttargetmetrics) AS metrics
  WHERE number % 100 = 0;

INSERT INTO deploymentrevisionstatus (created_at, deployment_revision_id, type, message)
  SELECT tick, revision.id, 'running', 'all containers are up'
  FROM generate_series(localtimestamp - interval '15 days', localtimestamp, interval '1 hour') AS tick,
       deploymentrevision AS revision
  ORDER BY tick;

ALTER TABLE deploymentrevisionstatus
  ADD PRIMARY KEY (id),
  ADD FOREIGN KEY (deployment_revision_id) REFERENCES deploymentrevision ON DELETE CASCADE;
CREATE INDEX deploymentrevisionstatus_created_at ON deploymentrevisionstatus (deployment_revision_id, created_at DESC);
CREATE INDEX fk_deploymentrevisionstatus_deployment_revision_id ON deploymentrevisionstatus (deployment_revision_id);

ALTER TABLE deploymenttargetmetrics
  ADD PRIMARY KEY (id),
  ADD FOREIGN KEY (deployment_target_id) REFERENCES deploymenttarget ON DELETE CASCADE;
CREATE INDEX deploymenttargetmetrics_created_at ON deploymenttargetmetrics (deployment_target_id, created_at DESC, id);

ALTER TABLE deploymenttargetdiskmetrics
  ADD PRIMARY KEY (id),
  ADD FOREIGN KEY (deployment_target_metrics_id) REFERENCES deploymenttargetmetrics ON DELETE CASCADE;
CREATE INDEX fk_deploymenttargetdiskmetrics ON deploymenttargetdiskmetrics (deployment_target_metrics_id);

-- As in Distr, none of these four keys has an index of its own: every deleted status or metrics row makes PostgreSQL scan
-- this table. It is empty here, so that costs nothing; with 20,000 notifications each deleted row would take milliseconds.
CREATE TABLE notificationrecord (
  id                                      uuid PRIMARY KEY DEFAULT gen_random_uuid(),
  created_at                              timestamptz NOT NULL DEFAULT current_timestamp,
  organization_id                         uuid NOT NULL REFERENCES organization ON DELETE CASCADE,
  type                                    notification_record_type NOT NULL,
  message                                 text NOT NULL,
  previous_deployment_revision_status_id  uuid REFERENCES deploymentrevisionstatus ON DELETE CASCADE,
  current_deployment_revision_status_id   uuid REFERENCES deploymentrevisionstatus ON DELETE CASCADE,
  previous_deployment_target_metrics_id   uuid REFERENCES deploymenttargetmetrics ON DELETE CASCADE,
  current_deployment_target_metrics_id    uuid REFERENCES deploymenttargetmetrics ON DELETE CASCADE
);
COMMIT;

VACUUM ANALYZE;
