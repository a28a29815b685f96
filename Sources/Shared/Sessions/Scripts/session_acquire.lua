-- session_acquire: makes the caller the fleet's only sweeper, for a lease.
-- KEYS: 1 lease, 2 the time in ms at which the last sweep ended. ARGV: 1 token, 2 lease in ms, 3 least ms since that end.
-- Returns 0, or the ms to wait: until the other's lease lapses, or until the next sweep is due.
local left = redis.call('PTTL', KEYS[1])
if left > 0 then return left end
local clock = redis.call('TIME')
local last = tonumber(redis.call('GET', KEYS[2]) or '')
local wait = last and tonumber(ARGV[3]) - (clock[1] * 1000 + math.floor(clock[2] / 1000) - last) or 0
-- More than the interval would mean that the clock was put back.
if wait > 0 and wait <= tonumber(ARGV[3]) then return math.ceil(wait) end
redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
return 0
