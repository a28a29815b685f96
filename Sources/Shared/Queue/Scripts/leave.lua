-- leave: a worker that holds nothing goes; if it still holds a lease there, its consumer stays until that is reclaimed.
-- KEYS: 1 prefix. ARGV: 1 consumer. Returns in how many streams it held nothing.
local left = 0
for _, stream in ipairs(streams) do
  if #redis.call('XPENDING', stream, group, '-', '+', 1, ARGV[1]) == 0 then
    redis.call("XGROUP", "DELCONSUMER", stream, group, ARGV[1])
    left = left + 1
  end
end
redis.call('ZREM', prefix .. 'workers', ARGV[1])
return left
