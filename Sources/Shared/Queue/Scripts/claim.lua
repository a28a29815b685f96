-- claim: takes up to n batches from the streams, in the caller's order of preference.
-- KEYS: 1 prefix, then streams. ARGV: 1 consumer, 2 n.
-- Batches of a run that is over are dropped and counted as cancelled; those of a paused run are parked.
-- Returns {{stream, entry id, token, run, batch, attempts, range, units}, …}.
local out, wanted = {}, tonumber(ARGV[2])
for s = 2, #KEYS do
  while #out < wanted do
    local reply = redis.call('XREADGROUP', 'GROUP', group, ARGV[1], 'COUNT', wanted - #out, 'STREAMS', KEYS[s], '>')
    if not reply then break end
    for _, entry in ipairs(reply[1][2]) do
      local f = fields(entry)
      local state = is_batch(f) and redis.call('HGET', run_key(f.r), 'state')
      if not is_batch(f) then
        drop(KEYS[s], entry[1])
        out[#out + 1] = {KEYS[s], entry[1]}
      elseif not state then
        drop(KEYS[s], entry[1])
      elseif state == 'cancelled' or state == 'failed' then
        drop(KEYS[s], entry[1])
        move(f.r, 'queued', 'cancelled', 1)
      elseif state == 'paused' then
        redis.call('RPUSH', prefix .. 'parked:' .. f.r, s - 1 .. ' ' .. f.b .. ' ' .. f.a .. ' ' .. f.u .. ' ' .. f.f .. ' ' .. f.v)
        drop(KEYS[s], entry[1])
        move(f.r, 'queued', 'parked', 1)
      else
        move(f.r, 'queued', 'leased', 1)
        redis.call('HSETNX', run_key(f.r), 'started_ms', now_ms())
        out[#out + 1] = {KEYS[s], entry[1], 1, f.r, f.b, f.a, f.v, f.u}
      end
    end
  end
end
return out
