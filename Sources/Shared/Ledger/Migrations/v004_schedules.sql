-- The ledger, version 4: schedules. One row per target of a schedule; whoever fires a slot locks it.

CREATE TABLE schedule (
  schedule    text NOT NULL,
  target      text NOT NULL,
  definition  text NOT NULL,               -- cron and zone: what decides the slots
  since       timestamptz NOT NULL,        -- when it was first seen so; slots before that are nobody's
  seen_at     timestamptz NOT NULL,        -- when a replica with this definition last looked
  last_slot   timestamptz,                 -- the newest slot that is settled; never goes back
  fired_at    timestamptz,                 -- when it was settled
  outcome     text,                        -- started, or what became of the slot otherwise
  run         text,                        -- the run that was started, or was in the way
  PRIMARY KEY (schedule, target)
);

-- What a run was created for; NULL: somebody asked for it.
ALTER TABLE run ADD COLUMN schedule text, ADD COLUMN slot timestamptz;

-- A slot fires once, whatever happens to the row above.
CREATE UNIQUE INDEX run_slot ON run (schedule, target, slot) WHERE schedule IS NOT NULL;
