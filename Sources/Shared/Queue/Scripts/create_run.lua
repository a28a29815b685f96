-- create: makes a run known, in state planning, with its first step to plan. Idempotent.
-- KEYS: 1 prefix. ARGV: 1 run, 2 created_at in ms, then field, value, …; they may set counters of what is settled already.
-- Returns 1, or 0 when the run is known already.
local run = ARGV[1]
if redis.call('EXISTS', run_key(run)) == 1 then return 0 end
for _, counter in ipairs({'total', 'queued', 'leased', 'delayed', 'parked', 'done', 'dead', 'cancelled', 'split',
                          'redelivered', 'rows', 'cascaded', 'bytes', 'units', 'microseconds', 'pass', 'step_token',
                          'done_children', 'failed_first', 'row_splits'}) do
  redis.call('HSET', run_key(run), counter, 0)
end
redis.call('HSET', run_key(run), 'state', 'planning', 'step', 'plan', 'cursor', '', 'step_until', 0)
for i = 3, #ARGV, 2 do redis.call('HSET', run_key(run), ARGV[i], ARGV[i + 1]) end
begin_life(run)
redis.call('ZADD', prefix .. 'active', ARGV[2], run)
redis.call('ZADD', prefix .. 'runs', ARGV[2], run)
-- A later generation is a run that Redis had lost.
tell(run, redis.call('HGET', run_key(run), 'generation') == '1' and 'created' or 'resumed')
return 1
