-- finish: ends a run with the ledger's figures and shrinks it to its summary. Batches that are still open, as when it ends
-- early, count as cancelled; the ledger lets none of them happen any more, and they are dropped where they turn up.
-- KEYS: 1 prefix. ARGV: 1 run, 2 token, 3 state, 4 rows, 5 cascaded, 6 batches done, 7 finished_at, 8 error,
-- 9 retention in seconds, 10 created_at in ms before which runs are forgotten, 11 bytes.
-- Returns 1, or 0 when the step is no longer the caller's.
local run, key = ARGV[1], run_key(ARGV[1])
local v = redis.call('HMGET', key, 'step_token', 'total', 'dead')
if v[1] ~= ARGV[2] then return 0 end
-- A run that finished has no dead batch: what was one has been made up for, though its letter was discarded.
local dead = ARGV[3] == 'finished' and 0 or tonumber(v[3])
local cancelled = math.max(0, v[2] - dead - ARGV[6])
redis.call('HSET', key, 'state', ARGV[3], 'rows', ARGV[4], 'cascaded', ARGV[5], 'bytes', ARGV[11], 'finished_at', ARGV[7], 'error', ARGV[8],
  'step', '', 'step_until', 0, 'queued', 0, 'leased', 0, 'delayed', 0, 'parked', 0, 'done', ARGV[6],
  'cancelled', cancelled, 'dead', dead, 'total', ARGV[6] + dead + cancelled)
redis.call('HDEL', key, 'cursor', 'step_owner', 'units', 'microseconds', 'pass', 'found', 'owed', 'idle_passes', 'stuck', 'excused',
  'ending', 'ending_error', 'resume', 'blind_ms', 'blind_error', 'deadline_ms', 'done_children', 'failed_first', 'row_splits')
tell(run, ARGV[3])
redis.call('EXPIRE', key, ARGV[9])
redis.call('ZREM', prefix .. 'active', run)
redis.call('UNLINK', prefix .. 'parked:' .. run, prefix .. 'blind:' .. run, starts_key(run))
redis.call('ZREMRANGEBYSCORE', prefix .. 'runs', '-inf', '(' .. ARGV[10])
return 1
