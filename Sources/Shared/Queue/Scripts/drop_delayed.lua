-- drop delayed: cancels the delayed batches of a run that ends early, so that nothing of it waits for a time to come.
-- KEYS: 1 prefix. ARGV: 1 run, 2 cursor, '0' at first. Looks at some 100 members. Returns the next cursor, '0' at the end.
local reply = redis.call('ZSCAN', prefix .. 'delayed', ARGV[2], 'MATCH', ARGV[1] .. ' *', 'COUNT', 100)
for i = 1, #reply[2], 2 do
  local member = reply[2][i]
  redis.call('ZREM', prefix .. 'delayed', member)
  redis.call('HDEL', prefix .. 'delayed:entries', member)
  cancel(ARGV[1], string.match(member, ' (%S+)$'), 'delayed')
end
return reply[1]
