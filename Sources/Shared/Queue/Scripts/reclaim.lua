-- reclaim: takes over leases that ran out. The caller carries the cursor from call to call: starting at 0-0 each time
-- would never reach the tail of a long list.
-- KEYS: 1 prefix, 2 stream. ARGV: 1 consumer, 2 lease in ms, 3 cursor, 4 n.
-- Returns {cursor, {{stream, entry id, token, run, batch, attempts, range, units}, …}}.
local reply = redis.call('XAUTOCLAIM', KEYS[2], group, ARGV[1], ARGV[2], ARGV[3], 'COUNT', ARGV[4])
local out = {}
for _, entry in ipairs(reply[2]) do
  local f = fields(entry)
  if not is_batch(f) then
    drop(KEYS[2], entry[1])
    out[#out + 1] = {KEYS[2], entry[1]}
  elseif redis.call('EXISTS', run_key(f.r)) == 0 then
    drop(KEYS[2], entry[1])
  else
    redis.call('HINCRBY', run_key(f.r), 'redelivered', 1)
    local pending = redis.call('XPENDING', KEYS[2], group, entry[1], entry[1], 1)
    out[#out + 1] = {KEYS[2], entry[1], pending[1][4], f.r, f.b, f.a, f.v, f.u}
  end
end
return {reply[1], out}
