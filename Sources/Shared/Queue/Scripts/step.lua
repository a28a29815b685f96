-- Keeps, moves on or gives back a leased step.
-- KEYS: 1 prefix. ARGV: 1 run, 2 token, 3 verb (beat, advance, release), 4 ms, then for advance field, value, …
--   beat:    the lease lasts for the given ms from now
--   advance: sets the fields; the lease goes on
--   release: the step may be taken again after the given ms
-- Returns 1, or 0 when the step is no longer the caller's, or the run is over. A run that is paused, or that ends early,
-- takes its steps away, except for the one that ends it.
local key = run_key(ARGV[1])
local v = redis.call('HMGET', key, 'step_token', 'state', 'ending', 'step')
if v[1] ~= ARGV[2] or is_over(v[2]) then return 0 end
if ARGV[3] == 'release' then
  redis.call('HSET', key, 'step_until', now_ms() + tonumber(ARGV[4]))
  return 1
end
if v[4] ~= 'reconcile' and (v[2] == 'paused' or v[3]) then return 0 end
if ARGV[3] == 'advance' then
  for i = 5, #ARGV, 2 do redis.call('HSET', key, ARGV[i], ARGV[i + 1]) end
else
  redis.call('HSET', key, 'step_until', now_ms() + tonumber(ARGV[4]))
end
return 1
