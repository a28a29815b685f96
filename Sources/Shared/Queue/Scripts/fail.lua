-- fail: gives a batch back. The entry's own fields are used, so that a worker cannot change what was queued.
-- KEYS: 1 prefix, 2 stream. ARGV: 1 consumer, 2 entry id, 3 token, 4 kind, 5 delay in ms, 6 SQLSTATE or '', 7 error,
--   8 most dead letters, 9 range for the dead letter, '' for the entry's own.
--   kind release: back into the stream at once (or after the delay), no attempt used
--   kind retry:   one attempt used, again after the delay
--   kind dead:    into the dead letters, where it displaces the oldest beyond the most there may be
--   kind cancel:  its run is over by the ledger
-- What a dead or cancelled batch needs in the ledger, the caller has written before.
-- Returns RELEASED, RETRY, DEAD, CANCELLED, or LOST when the lease is lost, or the batch was counted when its run ended.
local stream, id, kind, pause = KEYS[2], ARGV[2], ARGV[4], tonumber(ARGV[5])
if not owns(stream, ARGV[1], id, ARGV[3]) then return 'LOST' end
local entry = redis.call('XRANGE', stream, id, id)[1]
if not entry then
  -- Somebody deleted it by hand.
  drop(stream, id)
  return 'LOST'
end
local f = fields(entry)
local now = now_ms()
drop(stream, id)
if not life(f.r, id) then
  redis.call('HDEL', starts_key(f.r), f.b)
  return 'LOST'
end
if kind == 'cancel' then
  cancel(f.r, f.b, 'leased')
  return 'CANCELLED'
end
if kind == 'release' and pause == 0 then
  add(stream, f.r, f.b, f.a, f.u, f.f, f.v)
  move(f.r, 'leased', 'queued', 1)
  return 'RELEASED'
end
if f.f == '' and kind ~= 'release' then f.f = tostring(now) end
if kind == 'dead' then
  local letter = {run = f.r, batch = f.b, stream = stream, range = ARGV[9] ~= '' and ARGV[9] or f.v,
                  units = f.u, attempts = tostring(f.a + 1),
                  sqlstate = ARGV[6], error = ARGV[7], first = f.f, last = tostring(now)}
  redis.call('ZADD', prefix .. 'dead', now, name(f.r, f.b))
  redis.call('HSET', prefix .. 'dead:letters', name(f.r, f.b), cjson.encode(letter))
  redis.call('HDEL', starts_key(f.r), f.b)
  if redis.call('ZCARD', prefix .. 'dead') > tonumber(ARGV[8]) then
    redis.call('HDEL', prefix .. 'dead:letters', redis.call('ZPOPMIN', prefix .. 'dead')[1])
  end
  move(f.r, 'leased', 'dead', 1)
  if not is_child(f.b) then redis.call('HINCRBY', run_key(f.r), 'failed_first', 1) end
  judge(f.r, ARGV[7])
  return 'DEAD'
end
local attempts = kind == 'retry' and f.a + 1 or f.a
delay(id, f.r, f.b, now + pause, stream, attempts, f.u, f.f, f.v)
move(f.r, 'leased', 'delayed', 1)
return kind == 'retry' and 'RETRY' or 'RELEASED'
