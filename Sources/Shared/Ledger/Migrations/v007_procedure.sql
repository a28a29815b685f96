-- The ledger, version 7: runs of the maintenance procedure.
--
-- Who executes one owns it: each write asks for the owner, and the lease, by this database's clock, is renewed three times as
-- often as it lasts. Whoever finds it lapsed may take it over, and goes on at the first stage that is not over, or tells of its end
-- if only that is missing.

CREATE TABLE procedure_run (
  id             text PRIMARY KEY,
  created_at     timestamptz NOT NULL DEFAULT clock_timestamp(),
  finished_at    timestamptz,                  -- NULL: not over
  told_at        timestamptz,                  -- when all who have to know of its end knew
  state          text NOT NULL,                -- in_progress, finished, failed
  error          text,
  owner          text NOT NULL,
  beat_at        timestamptz NOT NULL,         -- when the owner last gave a sign of life
  lease_until    timestamptz NOT NULL,         -- from then on anybody may take it over
  taken_over     integer NOT NULL DEFAULT 0,   -- how often somebody did
  only_stages    text[] NOT NULL,              -- as asked for; empty: all
  skip_stages    text[] NOT NULL,
  announcement   text NOT NULL,                -- what a system that is told of it calls it
  schedule       text,                         -- what it was created for; NULL: somebody asked for it
  slot           timestamptz
);

-- There is one procedure at a time.
CREATE UNIQUE INDEX procedure_run_unfinished ON procedure_run ((true)) WHERE finished_at IS NULL;
CREATE UNIQUE INDEX procedure_run_slot ON procedure_run (schedule, slot) WHERE schedule IS NOT NULL;

CREATE TABLE procedure_stage (
  id           text NOT NULL REFERENCES procedure_run ON DELETE CASCADE,
  position     integer NOT NULL,
  name         text NOT NULL,
  kind         text NOT NULL,                  -- target, sweep, hook, index, vacuum
  subject      text NOT NULL,                  -- what it works on, such as the target's name
  state        text NOT NULL,                  -- pending, running, finished, failed, skipped, off
  reason       text,                           -- why, for all but finished
  started_at   timestamptz,
  started_xid  bigint,                         -- no row that it deletes was deleted by an older transaction
  finished_at  timestamptz,
  rows         bigint NOT NULL DEFAULT 0,
  detail       jsonb,
  PRIMARY KEY (id, position)
);
