-- promote: puts delayed batches that are due back into their streams. Any worker may run it.
-- KEYS: 1 prefix. ARGV: 1 limit, at most 100. Returns {moved, ms until the next is due or -1}.
local now = now_ms()
local due = redis.call('ZRANGEBYSCORE', prefix .. 'delayed', '-inf', now, 'LIMIT', 0, ARGV[1])
for _, member in ipairs(due) do
  local entry = redis.call('HGET', prefix .. 'delayed:entries', member)
  local run, batch = string.match(member, '^(%S+) (%S+)$')
  if entry then
    -- An older Ebb wrote no id in front.
    local id, rest = string.match(entry, '^(%d+%-%d+) (.*)$')
    local stream, attempts, units, first, range = string.match(rest or entry, '^(%S+) (%d+) (%d+) (%d*) (.*)$')
    -- Otherwise it was counted when its run ended.
    if life(run, id or '') then
      add(stream, run, batch, attempts, units, first, range)
      move(run, 'delayed', 'queued', 1)
    else
      redis.call('HDEL', starts_key(run), batch)
    end
  end
  redis.call('ZREM', prefix .. 'delayed', member)
  redis.call('HDEL', prefix .. 'delayed:entries', member)
end
local following = redis.call('ZRANGE', prefix .. 'delayed', 0, 0, 'WITHSCORES')
if #following == 0 then return {#due, -1} end
return {#due, math.max(0, math.ceil(following[2] - now))}
