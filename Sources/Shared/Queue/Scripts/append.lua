-- enqueue: appends a chunk of batches and moves the plan on, both or neither. At most 100 batches.
-- KEYS: 1 prefix, 2 stream. ARGV: 1 run, 2 step token, 3 cursor that the chunk was planned from, 4 number of fields to
-- set, then field, value, …, then batch id, units, range, …
-- Returns the batches open now (queued, leased, delayed, parked), or -1 when the caller lost the step, the plan has
-- moved on since, or the run is paused or ending: a planner that died loses nothing and a doubled one adds nothing.
-- Refused when Redis is full, as one of the few units that enqueue: this script has no allow-oom.
local run, count = ARGV[1], tonumber(ARGV[4])
local known = redis.call('HMGET', run_key(run), 'step_token', 'cursor', 'state', 'ending')
if known[1] ~= ARGV[2] or known[2] ~= ARGV[3] or known[3] == 'paused' or known[4] then return -1 end
local first = 5 + count * 2
local added = 0
for i = first, #ARGV, 3 do
  add(KEYS[2], run, ARGV[i], 0, ARGV[i + 1], '', ARGV[i + 2])
  added = added + 1
end
for i = 5, first - 1, 2 do redis.call('HSET', run_key(run), ARGV[i], ARGV[i + 1]) end
move(run, '', 'queued', added)
redis.call('HINCRBY', run_key(run), 'total', added)
local open = redis.call('HMGET', run_key(run), 'queued', 'leased', 'delayed', 'parked')
return open[1] + open[2] + open[3] + open[4]
