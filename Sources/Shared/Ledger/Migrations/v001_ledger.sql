-- The ledger, version 1: the truth about what was asked for and what was removed.
--
-- Runs inside one transaction with search_path set to the namespace's schema, under an advisory lock.

-- One execution of one target in one schema. Everything that decides which rows die is fixed here at creation.
CREATE TABLE run (
  run              text PRIMARY KEY,
  target           text NOT NULL,
  schema_name      text NOT NULL,
  table_name       text NOT NULL,
  definition_hash  text NOT NULL,
  priority         text NOT NULL,
  max_age          bigint,                -- microseconds; NULL: the rule has no max_age
  keep             integer,               -- NULL: the rule has no keep_newest
  batch_rows       integer,               -- NULL: sized by time
  strategy         text NOT NULL,
  estimated        bigint NOT NULL,
  created_at       timestamptz NOT NULL,
  cutoff           timestamptz,           -- created_at - max_age
  finished_at      timestamptz,           -- NULL: not over
  state            text,                  -- how it ended: finished, failed, cancelled
  error            text,
  rows             bigint,                -- the sum over its batches, set when it is over
  cascaded         bigint
);

-- A target has at most one unfinished run per schema.
CREATE UNIQUE INDEX run_unfinished ON run (target, schema_name) WHERE finished_at IS NULL;
CREATE INDEX run_created_at ON run (created_at);

-- How a batch ended. Its row is inserted before anything is deleted, in the same transaction: whoever comes second
-- conflicts, and a batch has at most one effect.
CREATE TABLE batch (
  run           text NOT NULL,
  batch         text NOT NULL,
  outcome       text NOT NULL,            -- done, split, dead, cancelled
  rows          bigint NOT NULL DEFAULT 0,
  cascaded      bigint NOT NULL DEFAULT 0,
  microseconds  bigint NOT NULL DEFAULT 0, -- from the transaction's start to the end of its delete
  settled_at    timestamptz NOT NULL DEFAULT now(),
  PRIMARY KEY (run, batch)
);

-- Per group, the N-th newest row found by planning: rows strictly older may go.
CREATE TABLE pivot (
  run           text NOT NULL,
  generation    integer NOT NULL,
  ordinal       bigint NOT NULL,
  group_values  text[] NOT NULL,
  order_values  text[] NOT NULL,
  witnesses     text[] NOT NULL,          -- the keys of the group's N newest rows, one array per row
  PRIMARY KEY (run, generation, ordinal)
);

-- That the pivots of a generation are complete, and whether they are exact or came from a sample.
CREATE TABLE pivot_set (
  run         text NOT NULL,
  generation  integer NOT NULL,
  exact       boolean NOT NULL,
  pivots      bigint NOT NULL,
  PRIMARY KEY (run, generation)
);
