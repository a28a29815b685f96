-- session_revoke: ends one of Ebb's own sessions.
-- KEYS: as session_create. ARGV: 1 its member. Returns 1 if there was one.
redis.call('DEL', KEYS[1])
return redis.call('ZREM', KEYS[2], ARGV[1])
