-- Runs that wait for others.
--
-- after_runs: runs that have to be over before this one is planned, such as those that drain the children of its table. NULL: none.
ALTER TABLE run ADD COLUMN after_runs text[];
