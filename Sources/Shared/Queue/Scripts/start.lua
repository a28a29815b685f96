-- start: counts that a redelivered batch is begun again. Real starts are counted, not deliveries, so that batches that
-- merely waited beside a poisonous one are not punished for its crashes.
-- KEYS: 1 prefix, 2 stream. ARGV: 1 consumer, 2 entry id, 3 token, 4 run, 5 batch.
-- Returns the starts so far, or -1 when the lease is lost.
if not owns(KEYS[2], ARGV[1], ARGV[2], ARGV[3]) then return -1 end
return redis.call('HINCRBY', starts_key(ARGV[4]), ARGV[5], 1)
