-- The ledger, version 5: objects of a storage, which no transaction covers.
--
-- A batch of objects has a row with the outcome `open` from its first claim on. Its owner is whoever claimed it last: every
-- further write of an attempt asks for its owner, so that one that was taken over can write nothing any more.

-- prefix_digits: how many digits of their keys cut the run's objects into batches.
ALTER TABLE run ADD COLUMN bytes bigint, ADD COLUMN prefix_digits integer;
ALTER TABLE batch ADD COLUMN bytes bigint NOT NULL DEFAULT 0, ADD COLUMN owner text;

-- What one call is about to delete, written before the call; what it did delete, after it. The count of a batch is the count
-- of its confirmed keys, and whoever finds a list that was never confirmed counts those of its keys that are gone.
CREATE TABLE object_list (
  run         text NOT NULL,
  batch       text NOT NULL,
  list        integer NOT NULL,
  keys        text[] NOT NULL,
  sizes       bigint[] NOT NULL,
  deleted     integer,                    -- NULL: not confirmed
  late        integer NOT NULL DEFAULT 0, -- of them, those that something referred to right afterwards
  written_at  timestamptz NOT NULL DEFAULT now(),
  PRIMARY KEY (run, batch, list)
);

-- Objects that a run has found unreferenced and that wait for their quarantine to end. In the order of the storage's listing.
CREATE TABLE object_mark (
  target         text NOT NULL,
  location       text NOT NULL,
  key            text COLLATE "C" NOT NULL,
  last_modified  timestamptz NOT NULL,
  marked_at      timestamptz NOT NULL DEFAULT now(),
  PRIMARY KEY (target, location, key)
);
