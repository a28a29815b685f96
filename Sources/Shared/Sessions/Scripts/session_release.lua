-- session_release: ends the caller's time as the sweeper.
-- KEYS: 1 lease, 2 the time in ms at which the last sweep ended. ARGV: 1 token, 2 whether the sweep came to its end (1, 0).
-- Returns 1 if the lease was still the caller's.
if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 0 end
redis.call('DEL', KEYS[1])
if ARGV[2] == '1' then
  local clock = redis.call('TIME')
  redis.call('SET', KEYS[2], clock[1] * 1000 + math.floor(clock[2] / 1000))
end
return 1
