-- blind: a worker cannot work on a run, because its catalogue defines the target otherwise; its batches go to others.
-- When no live worker is left that can, the run is paused.
-- KEYS: 1 prefix. ARGV: 1 run, 2 consumer, 3 ms within which a live worker has given a sign of life, 4 error.
-- Returns 1 when the run was paused, else 0.
local run, key = ARGV[1], run_key(ARGV[1])
local v = redis.call('HMGET', key, 'state', 'ending')
local state = v[1]
if not state or is_over(state) or state == 'paused' or v[2] then return 0 end
redis.call('SADD', prefix .. 'blind:' .. run, ARGV[2])
redis.call('HSET', key, 'blind_ms', ARGV[3], 'blind_error', ARGV[4])
return pause_if_blind(run)
