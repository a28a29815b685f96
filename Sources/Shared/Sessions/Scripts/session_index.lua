-- session_index: deletes the sessions that stand first in a sorted set and are expired at this instant.
-- KEYS: 1 lease, 2 outbox, 3 the sorted set: tokens by last use or expiry. ARGV: see session_common, 4 most sessions.
-- Returns what session_page does; looks at expired sessions only, so that a sweep costs what is expired.
--
-- The keys of the sessions are named by the set's members and therefore cannot be given to the script.
if not is_ours() then return {0} end

local latest = (now - layout.lifetime) * layout.unit
local entries = redis.call(
  'ZRANGEBYSCORE', KEYS[3], '-inf', string.format('(%.6f', latest), 'WITHSCORES', 'LIMIT', 0, ARGV[4])
local tokens, keys = {}, {}
for i = 1, #entries, 2 do
  local time = tonumber(entries[i + 1]) / layout.unit
  local key = layout.before .. entries[i] .. layout.after
  tokens[#tokens + 1] = entries[i]
  if layout.has_keys then keys[#keys + 1] = key end
  count(now - time)
  note(key, {}, time)
end
local deleted = #tokens > 0 and redis.call('ZREM', KEYS[3], unpack(tokens)) or 0
if #keys > 0 then redis.call('UNLINK', unpack(keys)) end
local told, dropped = tell()
return {1, #tokens, 0, #tokens, deleted, 0, 0, 0, 0, 0, told, dropped, oldest, unpack(ages)}
