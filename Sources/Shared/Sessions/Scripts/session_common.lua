-- Put in front of the scripts that delete sessions; does nothing by itself.
--
-- All of them: KEYS: 1 lease, 2 outbox, then keys that the script names.
-- ARGV: 1 the sweeper's token, 2 lease in ms, 3 the layout as JSON (SessionSweep.Layout), then what the script names.
-- They return {0} when the lease is another's, and renew it otherwise: a sweeper that was thought dead deletes nothing more.
-- The clock is this server's.

local layout = cjson.decode(ARGV[3])
local clock = redis.call('TIME')
local now = clock[1] + clock[2] / 1000000

local function is_ours()
  if redis.call('GET', KEYS[1]) ~= ARGV[1] then return false end
  redis.call('PEXPIRE', KEYS[1], ARGV[2])
  return true
end

-- What stands at a path of a decoded document; nil when there is nothing. JSON's null is no table and not nil.
local function dig(document, path)
  for i = 1, #path do
    if type(document) ~= 'table' then return nil end
    document = document[path[i]]
  end
  return document
end

-- How long a session may be idle. `flag` is the field that marks service sessions, as it stands in JSON or in a hash.
local function lifetime(flag)
  if layout.service and (flag == true or flag == 'true' or flag == 'True' or flag == '1') then
    return layout.service.lifetime
  end
  return layout.lifetime
end

local function token_of(key) return string.sub(key, #layout.before + 1, #key - #layout.after) end

-- The same event, told twice, has the same id: of the key and the time that it expired by.
local function uuid(text)
  local hex = redis.sha1hex(text)
  return string.sub(hex, 1, 8) .. '-' .. string.sub(hex, 9, 12) .. '-5' .. string.sub(hex, 14, 16) .. '-8'
    .. string.sub(hex, 18, 20) .. '-' .. string.sub(hex, 21, 32)
end

-- PostgreSQL has no text with a zero byte.
local function text(value) return (string.gsub(value, '%z', '')) end

local events = {}

-- Notes the event of a session that is about to be deleted.
local function note(key, document, time)
  local event = layout.event
  if not event or (event.unless and dig(document, event.unless) == true) then return end
  local token = token_of(key)
  if event.token == 'hash' then
    token = redis.sha1hex(token)
  elseif event.token ~= 'full' then
    -- A short token is mostly some product's key, of which eight characters would be too much.
    token = string.sub(token, 1, math.min(8, math.floor(#token / 4)))
  end
  local user = event.user and dig(document, event.user)
  events[#events + 1] = cjson.encode({
    id = uuid(key .. ' ' .. string.format('%.6f', time)), token = text(token), user = type(user) == 'string' and text(user) or cjson.null
  })
end

-- Puts the events where the sweeper finds them; returns how many, and how many had no room.
local function tell()
  if #events == 0 then return 0, 0 end
  local room = math.max(0, layout.event.most - redis.call('LLEN', KEYS[2]))
  local told = math.min(room, #events)
  if told > 0 then redis.call('RPUSH', KEYS[2], unpack(events, 1, told)) end
  return told, #events - told
end

local ages = {}
for i = 1, #layout.bounds + 1 do ages[i] = 0 end
local oldest = -1

-- Counts a session whose last use, or expiry, was so many seconds ago.
local function count(age)
  if age > oldest then oldest = math.floor(age) end
  local i = 1
  while i <= #layout.bounds and age > layout.bounds[i] do i = i + 1 end
  ages[i] = ages[i] + 1
end
