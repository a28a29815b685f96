-- drop delayed: cancels the delayed batches of a run that ends early, so that nothing of it waits for a time to come.
-- KEYS: 1 prefix. ARGV: 1 run, 2 cursor, '0' at first, 3 step token. Looks at some 100 members.
-- Returns the next cursor, '0' at the end or when the step is no longer the caller's.
local v = redis.call('HMGET', run_key(ARGV[1]), 'step_token', 'state')
if v[1] ~= ARGV[3] or is_over(v[2]) then return '0' end
local reply = redis.call('ZSCAN', prefix .. 'delayed', ARGV[2], 'MATCH', ARGV[1] .. ' *', 'COUNT', 100)
for i = 1, #reply[2], 2 do
  local member = reply[2][i]
  local entry = redis.call('HGET', prefix .. 'delayed:entries', member)
  redis.call('ZREM', prefix .. 'delayed', member)
  redis.call('HDEL', prefix .. 'delayed:entries', member)
  local batch = string.match(member, ' (%S+)$')
  if entry and life(ARGV[1], string.match(entry, '^%S+')) then
    cancel(ARGV[1], batch, 'delayed')
  else
    redis.call('HDEL', starts_key(ARGV[1]), batch)
  end
end
return reply[1]
