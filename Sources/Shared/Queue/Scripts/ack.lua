-- ack: settles batches as done, with what the ledger says they removed. At most 100 batches.
-- KEYS: 1 prefix. ARGV: 1 consumer, then stream, entry id, token, run, batch, rows, cascaded, bytes, units,
-- microseconds, …
-- Returns 1 per batch settled here, 0 per lease that was lost: counters move exactly when the entry goes. A batch that its
-- run has counted already, when it ended, goes without: 0.
local out = {}
for i = 2, #ARGV, 10 do
  local stream, id, run = ARGV[i], ARGV[i + 1], ARGV[i + 3]
  local held = owns(stream, ARGV[1], id, ARGV[i + 2])
  if held then
    drop(stream, id)
    redis.call('HDEL', starts_key(run), ARGV[i + 4])
  end
  if held and life(run, id) then
    move(run, 'leased', 'done', 1)
    local key = run_key(run)
    if is_child(ARGV[i + 4]) then redis.call('HINCRBY', key, 'done_children', 1) end
    redis.call('HINCRBY', key, 'rows', ARGV[i + 5])
    redis.call('HINCRBY', key, 'cascaded', ARGV[i + 6])
    redis.call('HINCRBY', key, 'bytes', ARGV[i + 7])
    redis.call('HINCRBY', key, 'units', ARGV[i + 8])
    redis.call('HINCRBY', key, 'microseconds', ARGV[i + 9])
    out[#out + 1] = 1
  else
    out[#out + 1] = 0
  end
end
return out
