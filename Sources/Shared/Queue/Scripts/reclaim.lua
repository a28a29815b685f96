-- reclaim: takes over leases that ran out. The caller carries the cursor from call to call: starting at 0-0 each time
-- would never reach the tail of a long list.
-- KEYS: 1 prefix, 2 stream. ARGV: 1 consumer, 2 lease in ms, 3 cursor, 4 n.
-- Returns {cursor, {{stream, entry id, token, run, batch, attempts, range, units, starts}, …}}.
local reply = redis.call('XAUTOCLAIM', KEYS[2], group, ARGV[1], ARGV[2], ARGV[3], 'COUNT', ARGV[4])
local out = {}
for _, entry in ipairs(reply[2]) do
  local run = fields(entry).r
  if run and redis.call('EXISTS', run_key(run)) == 1 then redis.call('HINCRBY', run_key(run), 'redelivered', 1) end
  local pending = redis.call('XPENDING', KEYS[2], group, entry[1], entry[1], 1)
  deliver(out, KEYS[2], ARGV[1], entry, pending[1][4], 'leased')
end
return {reply[1], out}
