-- The ledger, version 6: targets in many schemas, and files that go after their rows.

-- A slot fires once in each schema.
DROP INDEX run_slot;
CREATE UNIQUE INDEX run_slot ON run (schedule, target, slot, schema_name) WHERE schedule IS NOT NULL;

-- Files or objects of deleted rows, in the very table of lists that runs of objects have: written by the transaction that
-- deletes the rows, while their batch stays open. Sizes are empty until the files were looked at; -1 is one that was gone before.
ALTER TABLE object_list ADD COLUMN missing integer;
