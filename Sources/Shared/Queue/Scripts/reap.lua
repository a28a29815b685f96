-- reap: forgets consumers and workers that have been silent for longer than the given ms, and dead letters that are too
-- old, at most 100 a call. A consumer that still holds a lease stays: deleting it would drop its entries for good. Check
-- and deletion are one script, so nothing comes between.
-- KEYS: 1 prefix. ARGV: 1 ms, 2 ms that a dead letter is kept. Returns the consumers deleted.
local reaped = 0
for _, stream in ipairs(streams) do
  for _, consumer in ipairs(redis.call('XINFO', 'CONSUMERS', stream, group)) do
    local c = {}
    for i = 1, #consumer, 2 do c[consumer[i]] = consumer[i + 1] end
    if c.pending == 0 and c.idle > tonumber(ARGV[1]) then
      redis.call('XGROUP', 'DELCONSUMER', stream, group, c.name)
      reaped = reaped + 1
    end
  end
end
redis.call('ZREMRANGEBYSCORE', prefix .. 'workers', '-inf', now_ms() - ARGV[1])
for _, member in ipairs(redis.call('ZRANGEBYSCORE', prefix .. 'dead', '-inf', now_ms() - ARGV[2], 'LIMIT', 0, 100)) do
  redis.call('ZREM', prefix .. 'dead', member)
  redis.call('HDEL', prefix .. 'dead:letters', member)
end
return reaped
