-- claim: takes up to n batches from the streams, in the caller's order of preference.
-- KEYS: 1 prefix, then streams. ARGV: 1 consumer, 2 n.
-- What cannot be worked on is taken out on the way, see deliver; at most 100 entries are looked at.
-- Returns {{stream, entry id, token, run, batch, attempts, range, units, starts}, …}.
local out, wanted, looked = {}, tonumber(ARGV[2]), 0
for s = 2, #KEYS do
  while #out < wanted and looked < 100 do
    local reply = redis.pcall('XREADGROUP', 'GROUP', group, ARGV[1], 'COUNT', wanted - #out, 'STREAMS', KEYS[s], '>')
    -- What another stream has given already must not be lost.
    if reply and reply.err and #out == 0 then return reply end
    if not reply or reply.err then break end
    for _, entry in ipairs(reply[1][2]) do
      deliver(out, KEYS[s], ARGV[1], entry, 1, 'queued')
      looked = looked + 1
    end
  end
end
return out
