-- The ledger, version 6: targets in many schemas, and files that go after their rows.

-- A slot fires once in each schema.
DROP INDEX run_slot;
CREATE UNIQUE INDEX run_slot ON run (schedule, target, slot, schema_name) WHERE schedule IS NOT NULL;

-- Files of rows that a batch has deleted, written by the transaction that deleted them. Their batch has the outcome `open`
-- until they are gone, too, and its owner is whoever is at them.
CREATE TABLE file_list (
  run         text NOT NULL,
  batch       text NOT NULL,
  store       text NOT NULL,              -- its name in the configuration
  location    text NOT NULL,              -- where it was when the rows were deleted
  paths       text[] NOT NULL,
  sizes       bigint[] NOT NULL,          -- empty: not looked at yet; -1: there was no such file
  deleted     integer,                    -- NULL: not confirmed
  missing     integer,                    -- of the paths, those that had no file before
  written_at  timestamptz NOT NULL DEFAULT now(),
  PRIMARY KEY (run, batch)
);
CREATE INDEX file_list_open ON file_list (run) WHERE deleted IS NULL;
