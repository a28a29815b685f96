-- fail: gives a batch back. The entry's own fields are used, so that a worker cannot change what was queued.
-- KEYS: 1 prefix, 2 stream. ARGV: 1 consumer, 2 entry id, 3 token, 4 kind, 5 delay in ms, 6 SQLSTATE or '', 7 error.
--   kind release: back into the stream at once (or after the delay), no attempt used
--   kind retry:   one attempt used, again after the delay
--   kind dead:    into the dead letters; the caller has written that to the ledger before
-- Returns RELEASED, RETRY, DEAD, or LOST when the lease is lost.
local stream, id, kind, delay = KEYS[2], ARGV[2], ARGV[4], tonumber(ARGV[5])
if not owns(stream, ARGV[1], id, ARGV[3]) then return 'LOST' end
local entry = redis.call('XRANGE', stream, id, id)[1]
local f = fields(entry)
local now = now_ms()
drop(stream, id)
if kind == 'release' and delay == 0 then
  add(stream, f.r, f.b, f.a, f.u, f.f, f.v)
  move(f.r, 'leased', 'queued', 1)
  return 'RELEASED'
end
if f.f == '' and kind ~= 'release' then f.f = tostring(now) end
if kind == 'dead' then
  local letter = {run = f.r, batch = f.b, stream = stream, range = f.v, units = f.u, attempts = tostring(f.a + 1),
                  sqlstate = ARGV[6], error = ARGV[7], first = f.f, last = tostring(now)}
  redis.call('ZADD', prefix .. 'dead', now, name(f.r, f.b))
  redis.call('HSET', prefix .. 'dead:letters', name(f.r, f.b), cjson.encode(letter))
  redis.call('HDEL', prefix .. 'starts', name(f.r, f.b))
  move(f.r, 'leased', 'dead', 1)
  return 'DEAD'
end
local attempts = kind == 'retry' and f.a + 1 or f.a
redis.call('ZADD', prefix .. 'delayed', now + delay, name(f.r, f.b))
redis.call('HSET', prefix .. 'delayed:entries', name(f.r, f.b),
  stream .. ' ' .. attempts .. ' ' .. f.u .. ' ' .. f.f .. ' ' .. f.v)
move(f.r, 'leased', 'delayed', 1)
return kind == 'retry' and 'RETRY' or 'RELEASED'
