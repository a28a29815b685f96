-- pause: a paused run's batches are parked as they turn up, and its steps end; resume: it goes on where it was.
-- KEYS: 1 prefix. ARGV: 1 run, 2 verb (pause, resume), 3 error, '' when an operator pauses.
-- Returns the state that the run has now, 'ending' for one that ends early, or '' for one that is not known.
local key = run_key(ARGV[1])
local v = redis.call('HMGET', key, 'state', 'ending', 'resume')
local state = v[1]
if not state then return '' end
if is_over(state) then return state end
if v[2] then return 'ending' end
if ARGV[2] == 'pause' and state ~= 'paused' then
  redis.call('HSET', key, 'state', 'paused', 'resume', state, 'error', ARGV[3])
  tell(ARGV[1], 'paused')
  return 'paused'
elseif ARGV[2] == 'resume' and state == 'paused' then
  -- What is parked is put back by take_step, a little at each poll.
  redis.call('HSET', key, 'state', v[3], 'error', '', 'step_until', 0)
  redis.call('HDEL', key, 'resume', 'blind_ms', 'blind_error')
  redis.call('UNLINK', prefix .. 'blind:' .. ARGV[1])
  tell(ARGV[1], 'resumed')
  return v[3]
end
return state
