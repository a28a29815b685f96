-- hook: remembers when a hook last succeeded.
-- KEYS: 1 prefix. ARGV: 1 hook, 2 verb (last, done). A year after its last success a hook is forgotten.
-- last returns {ms of the last success, ms now}, or {} for a hook that never succeeded; done returns 1.
local key = prefix .. 'hook:' .. ARGV[1]
if ARGV[2] == 'done' then
  redis.call('SET', key, string.format('%.0f', now_ms()), 'EX', 366 * 86400)
  return 1
end
local last = redis.call('GET', key)
return last and {tonumber(last), now_ms()} or {}
