-- split: replaces a batch by its two halves, no attempt used; the caller has written the split to the ledger before.
-- KEYS: 1 prefix, 2 stream. ARGV: 1 consumer, 2 entry id, 3 token, 4 kind, 5 microseconds, 6 error, 7 and 8 the ranges.
--   kind time: it took longer than it may: the microseconds count for the size of batches that are yet to be cut
--   kind row:  some row of it has an error of its own
--   kind other: somebody has locked rows of it, or the ledger had it as split already; counts for nothing else
-- Returns SPLIT, or LOST when the lease is lost, or the batch was counted when its run ended.
local stream, id, kind = KEYS[2], ARGV[2], ARGV[4]
if not owns(stream, ARGV[1], id, ARGV[3]) then return 'LOST' end
local entry = redis.call('XRANGE', stream, id, id)[1]
if not entry then
  -- Somebody deleted it by hand.
  drop(stream, id)
  return 'LOST'
end
local f = fields(entry)
local key = run_key(f.r)
drop(stream, id)
redis.call('HDEL', starts_key(f.r), f.b)
if not life(f.r, id) then return 'LOST' end
local first = f.f == '' and tostring(now_ms()) or f.f
for half = 0, 1 do add(stream, f.r, f.b .. '.' .. half, f.a, 0, first, ARGV[7 + half]) end
move(f.r, 'leased', '', 1)
move(f.r, '', 'queued', 2)
redis.call('HINCRBY', key, 'total', 1)
redis.call('HINCRBY', key, 'split', 1)
if kind == 'time' and tonumber(f.u) > 0 then
  redis.call('HINCRBY', key, 'units', f.u)
  redis.call('HINCRBY', key, 'microseconds', ARGV[5])
elseif kind == 'row' then
  redis.call('HINCRBY', key, 'row_splits', 1)
  if not is_child(f.b) then redis.call('HINCRBY', key, 'failed_first', 1) end
  judge(f.r, ARGV[6])
end
return 'SPLIT'
