-- claim: takes up to n batches from the streams, in the caller's order of preference.
-- KEYS: 1 prefix, then streams. ARGV: 1 consumer, 2 n.
-- Batches of a run that is over are dropped and counted as cancelled; those of a paused run are parked.
-- Returns {{stream, entry id, token, run, batch, attempts, range, units}, …}.
local out, wanted = {}, tonumber(ARGV[2])
for s = 2, #KEYS do
  while #out < wanted do
    local reply = redis.call('XREADGROUP', 'GROUP', group, ARGV[1], 'COUNT', wanted - #out, 'STREAMS', KEYS[s], '>')
    if not reply then break end
    for _, entry in ipairs(reply[1][2]) do deliver(out, KEYS[s], entry, 1, 'queued') end
  end
end
return out
