-- revive: takes dead letters of a run back into the queue, as if never tried; a run that was over is running again. The
-- caller has made the ledger ready before. At most 100 batches.
-- KEYS: 1 prefix. ARGV: 1 run, 2 step to go on with when the run was over, 3 generation to plan then, 4 cursor, then batches, …
-- A letter that is no longer there is passed over. Returns the batches revived, or -1 when the run is not known or ending.
local run, key = ARGV[1], run_key(ARGV[1])
local v = redis.call('HMGET', key, 'state', 'step', 'ending', 'resume')
if not v[1] or v[3] then return -1 end
if is_over(v[1]) then
  redis.call('HSET', key, 'state', ARGV[2] == 'plan' and 'planning' or 'running', 'step', ARGV[2], 'generation', ARGV[3],
    'cursor', ARGV[4], 'step_until', 0, 'finished_at', '', 'error', '', 'pass', 0, 'units', 0, 'microseconds', 0,
    'done_children', 0, 'failed_first', 0, 'row_splits', 0)
  redis.call('HDEL', key, 'deadline_ms')
  begin_life(run)
  redis.call('HINCRBY', key, 'step_token', 1)
  redis.call('PERSIST', key)
  redis.call('ZADD', prefix .. 'active', redis.call('ZSCORE', prefix .. 'runs', run) or now_ms(), run)
  tell(run, 'resumed')
elseif v[2] ~= 'plan' then
  -- What comes after the last batch has to wait again, and then looks at the whole table.
  redis.call('HSET', key, 'step', 'drain', 'step_until', 0, 'pass', 0, 'owed', '')
  if v[1] == 'verifying' then redis.call('HSET', key, 'state', 'running') end
  if v[4] == 'verifying' then redis.call('HSET', key, 'resume', 'running') end
  redis.call('HINCRBY', key, 'step_token', 1)
end
local revived = 0
for i = 5, #ARGV do
  local member = name(run, ARGV[i])
  local text = redis.call('HGET', prefix .. 'dead:letters', member)
  if text then
    local letter = cjson.decode(text)
    add(letter.stream, run, letter.batch, 0, letter.units, letter.first, letter.range)
    redis.call('ZREM', prefix .. 'dead', member)
    redis.call('HDEL', prefix .. 'dead:letters', member)
    -- A run that finished, or that Redis had forgotten and knows again, does not count a letter that was left over.
    if tonumber(redis.call('HGET', key, 'dead')) > 0 then
      move(run, 'dead', 'queued', 1)
    else
      move(run, '', 'queued', 1)
      redis.call('HINCRBY', key, 'total', 1)
    end
    revived = revived + 1
  end
end
return revived
