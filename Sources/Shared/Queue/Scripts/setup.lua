-- setup: creates the streams' consumer group, at 0 so that nothing enqueued before is missed. Idempotent.
-- KEYS: 1 prefix. ARGV: none. Returns the number of groups created.
local created = 0
for _, stream in ipairs(streams) do
  local reply = redis.pcall('XGROUP', 'CREATE', stream, group, '0', 'MKSTREAM')
  if reply.err then
    if not string.find(reply.err, 'BUSYGROUP', 1, true) then return reply end
  else
    created = created + 1
  end
end
return created
