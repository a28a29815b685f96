-- beat: keeps leases alive and says that the worker lives. At most 100 leases.
-- KEYS: 1 prefix. ARGV: 1 consumer, then stream, entry id, token, …
-- Returns 1 per lease that is held, 0 per lease that is lost. A plain XCLAIM would steal back what another worker took
-- over, hence the owner check; JUSTID leaves the token as it is.
redis.call('ZADD', prefix .. 'workers', now_ms(), ARGV[1])
local out = {}
for i = 2, #ARGV, 3 do
  if owns(ARGV[i], ARGV[1], ARGV[i + 1], ARGV[i + 2]) then
    redis.call('XCLAIM', ARGV[i], group, ARGV[1], 0, ARGV[i + 1], 'JUSTID')
    out[#out + 1] = 1
  else
    out[#out + 1] = 0
  end
end
return out
