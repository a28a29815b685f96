-- session_read: reads one of Ebb's own sessions, and lets its lifetime begin anew if told to.
-- KEYS: as session_create. ARGV: 1 its member, 2 lifetime in ms, or '' to leave it as it is.
-- Returns user and data, or nothing when there is none or it is over. Both keys always change together.
local clock = redis.call('TIME')
local now = clock[1] * 1000 + math.floor(clock[2] / 1000)
local ends = tonumber(redis.call('ZSCORE', KEYS[2], ARGV[1]) or '')
if not ends or ends < now then return false end
local values = redis.call('HMGET', KEYS[1], 'user', 'data')
if not values[1] then return false end
if ARGV[2] ~= '' then
  local later = string.format('%.0f', now + ARGV[2])
  redis.call('PEXPIREAT', KEYS[1], later)
  redis.call('ZADD', KEYS[2], later, ARGV[1])
end
return values
