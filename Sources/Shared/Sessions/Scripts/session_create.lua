-- session_create: begins one of Ebb's own sessions.
-- KEYS: 1 the session (hash: user, data), 2 all sessions by the ms at which they end. ARGV: 1 its member there, 2 lifetime in ms,
-- 3 user, 4 data.
--
-- Nothing would be left of a session without any sweep either: its key has the same end, and each new one takes some that are
-- over out of the sorted set.
local clock = redis.call('TIME')
local now = clock[1] * 1000 + math.floor(clock[2] / 1000)
local ends = now + ARGV[2]
redis.call('HSET', KEYS[1], 'user', ARGV[3], 'data', ARGV[4])
redis.call('PEXPIREAT', KEYS[1], string.format('%.0f', ends))
redis.call('ZADD', KEYS[2], string.format('%.0f', ends), ARGV[1])
local over = redis.call('ZRANGEBYSCORE', KEYS[2], '-inf', string.format('(%.0f', now), 'LIMIT', 0, 10)
if #over > 0 then redis.call('ZREM', KEYS[2], unpack(over)) end
return 1
