-- discard: throws dead letters away; the batches stay counted as dead. At most 100.
-- KEYS: 1 prefix. ARGV: run, batch, … Returns the letters discarded.
local discarded = 0
for i = 1, #ARGV, 2 do
  discarded = discarded + redis.call('ZREM', prefix .. 'dead', name(ARGV[i], ARGV[i + 1]))
  redis.call('HDEL', prefix .. 'dead:letters', name(ARGV[i], ARGV[i + 1]))
end
return discarded
