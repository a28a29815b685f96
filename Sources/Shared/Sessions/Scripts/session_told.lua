-- session_told: forgets events that have been written down, and renews the lease.
-- KEYS: 1 lease, 2 outbox. ARGV: 1 token, 2 lease in ms, 3 how many, from the front.
-- Returns 0 when the lease is another's, who may be writing the same events down and counts from the same front.
if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 0 end
redis.call('PEXPIRE', KEYS[1], ARGV[2])
redis.call('LTRIM', KEYS[2], ARGV[3], -1)
return 1
