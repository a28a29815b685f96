-- drop lapsed: cancels the batches of a run that ends early whose holders have vanished, so that a run can end while no
-- worker is there to take them over.
-- KEYS: 1 prefix, 2 stream. ARGV: 1 run, 2 lease in ms, 3 entry id to begin after, '-' at first. Looks at 100 leases.
-- Returns the entry id to go on after, '' at the end.
local from = ARGV[3] == '-' and '-' or '(' .. ARGV[3]
local lapsed = redis.call('XPENDING', KEYS[2], group, 'IDLE', ARGV[2], from, '+', 100)
if not redis.call('HGET', run_key(ARGV[1]), 'ending') then return '' end
for _, lease in ipairs(lapsed) do
  local entry = redis.call('XRANGE', KEYS[2], lease[1], lease[1])[1]
  local f = entry and fields(entry)
  if f and f.r == ARGV[1] and is_batch(f) then
    drop(KEYS[2], lease[1])
    if life(f.r, lease[1]) then cancel(f.r, f.b, 'leased') else redis.call('HDEL', starts_key(f.r), f.b) end
  end
end
return #lapsed == 100 and lapsed[100][1] or ''
