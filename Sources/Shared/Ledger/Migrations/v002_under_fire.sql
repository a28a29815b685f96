-- The ledger, version 2: what a run needs to notice another server, and to end in time.
--
-- server: system identifier/timeline at the run's creation; NULL: made by version 1.
-- deadline: NULL: no timeout.
ALTER TABLE run ADD COLUMN server text, ADD COLUMN deadline timestamptz;
