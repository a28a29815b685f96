-- finish: ends a run with the ledger's figures and shrinks it to its summary.
-- KEYS: 1 prefix. ARGV: 1 run, 2 token, 3 state, 4 rows, 5 cascaded, 6 finished_at, 7 error, 8 retention in seconds,
-- 9 created_at in ms before which runs are forgotten.
-- Returns 1, or 0 when the step is no longer the caller's.
local run, key = ARGV[1], run_key(ARGV[1])
if redis.call('HGET', key, 'step_token') ~= ARGV[2] then return 0 end
redis.call('HSET', key, 'state', ARGV[3], 'rows', ARGV[4], 'cascaded', ARGV[5], 'finished_at', ARGV[6], 'error', ARGV[7],
  'step', '', 'step_until', 0)
redis.call('HDEL', key, 'cursor', 'step_owner', 'units', 'microseconds', 'pass', 'found', 'owed',
  'idle_passes', 'stuck')
redis.call('EXPIRE', key, ARGV[8])
redis.call('ZREM', prefix .. 'active', run)
redis.call('UNLINK', prefix .. 'parked:' .. run)
redis.call('ZREMRANGEBYSCORE', prefix .. 'runs', '-inf', '(' .. ARGV[9])
return 1
