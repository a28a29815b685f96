-- setup: creates the streams' consumer group, at 0 so that nothing enqueued before is missed. Idempotent.
-- A group that was lost took its leases with it: every entry is delivered again, so the runs' counters follow what is in
-- the stream. What is not there any more no longer counts; verification finds its rows.
-- KEYS: 1 prefix. ARGV: 1 how many events are kept. Returns the number of groups created.
redis.call('SET', prefix .. 'events:most', ARGV[1])
local created = 0
for _, stream in ipairs(streams) do
  local reply = redis.pcall('XGROUP', 'CREATE', stream, group, '0', 'MKSTREAM')
  if reply.err then
    if not string.find(reply.err, 'BUSYGROUP', 1, true) then return reply end
  else
    created = created + 1
    local counts, from = {}, '-'
    repeat
      local entries = redis.call('XRANGE', stream, from, '+', 'COUNT', 1000)
      for _, entry in ipairs(entries) do
        local f = fields(entry)
        if is_batch(f) and life(f.r, entry[1]) then counts[f.r] = (counts[f.r] or 0) + 1 end
        from = '(' .. entry[1]
      end
    until #entries < 1000
    for _, run in ipairs(redis.call('ZRANGE', prefix .. 'active', 0, -1)) do
      local v = redis.call('HMGET', run_key(run), 'queued', 'leased', 'priority')
      if v[1] and v[2] and v[3] and prefix .. 'stream:' .. v[3] == stream then
        local there = counts[run] or 0
        redis.call('HINCRBY', run_key(run), 'total', there - v[1] - v[2])
        redis.call('HSET', run_key(run), 'queued', there, 'leased', 0)
      end
    end
  end
end
return created
