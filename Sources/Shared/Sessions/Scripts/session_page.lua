-- session_page: looks at keys of the layout's pattern and deletes the sessions that are expired at this instant.
-- KEYS: 1 lease, 2 outbox, then at most some hundred keys, as SCAN has found them. ARGV: see session_common.
-- Returns {1, keys looked at, live, expired, deleted, without a time, unreadable, foreign, with a TTL, gone, events,
-- events without room, oldest age, ages…}. Looks at fewer keys than were given when their values are large: what a call
-- costs is bounded by bytes, too.
--
-- With an index, each key's place in it is renewed; its name is in the layout and not among the keys.
--
-- SCAN may give a key twice: the second time is passed over, or the end of one session would be told twice.
--
-- A value is decoded only when a search in its text says that it may be expired: decoding costs ten times as much. The
-- search may be wrong about other documents than a session, and then only the decoded document counts.
if not is_ours() then return {0} end

local find, match = string.find, string.match
-- Longer values are nobody's session.
local longest = 65536
local budget = 1048576
-- What decoding costs against reading.
local weight = 8

-- The end of the only place where a name of a field stands; nil when there is none, false when there are several.
local function place(value, needle)
  local _, last = find(value, needle, 1, true)
  if not last then return nil end
  if find(value, needle, last + 1, true) then return false end
  return last
end

-- Whether a look at the text is enough to say that the session is live; returns its age, and for how long it may be idle.
local function live_by_text(value)
  local at = place(value, layout.needle)
  local time = at and tonumber(match(value, '^%s*:%s*(-?[%d.eE+-]+)', at + 1) or '')
  if not time then return nil end
  local age = now - time / layout.unit
  local limit = layout.lifetime
  if layout.service then
    local flag = place(value, layout.service.needle)
    if flag == false then return nil end
    limit = lifetime(flag ~= nil and find(value, '^%s*:%s*true', flag + 1) ~= nil)
  end
  if age > limit then return nil end
  return age, limit
end

-- A reader says what a key holds: 'live' or 'expired' with its age, for how long it may be idle, its time and document; or why
-- it is none of ours.
local readers = {}

function readers.json(key)
  local value = redis.pcall('GETRANGE', key, 0, longest)
  if type(value) == 'table' then return 'foreign' end
  budget = budget - #value
  if #value == 0 then return redis.call('EXISTS', key) == 1 and 'malformed' or 'gone' end
  if #value > longest then return 'malformed' end
  local age, limit = live_by_text(value)
  if age then return 'live', age, limit end
  budget = budget - weight * #value
  local decoded, document = pcall(cjson.decode, value)
  if not decoded or type(document) ~= 'table' then return 'malformed' end
  local time = dig(document, layout.field)
  if type(time) ~= 'number' then return 'marker' end
  -- NaN, which Python writes and cjson reads.
  if time ~= time then return 'malformed' end
  if layout.token and dig(document, layout.token) ~= token_of(key) then return 'foreign' end
  time = time / layout.unit
  age = now - time
  limit = lifetime(layout.service and dig(document, layout.service.field))
  return age > limit and 'expired' or 'live', age, limit, time, document
end

function readers.hash(key)
  local names = {layout.field[1]}
  local function add(field)
    if field then names[#names + 1] = field[1] end
    return #names
  end
  local service = add(layout.service and layout.service.field)
  local token = add(layout.token)
  local unless = add(layout.event and layout.event.unless)
  local user = add(layout.event and layout.event.user)
  local values = redis.pcall('HMGET', key, unpack(names))
  if values.err then return 'foreign' end
  local time = values[1] and tonumber(values[1])
  if not values[1] then return redis.call('EXISTS', key) == 1 and 'marker' or 'gone' end
  if not time or time ~= time then return 'malformed' end
  if layout.token and values[token] ~= token_of(key) then return 'foreign' end
  time = time / layout.unit
  local document = {}
  if layout.event and layout.event.unless then
    local flag = values[unless]
    document[layout.event.unless[1]] = flag == 'true' or flag == 'True' or flag == '1'
  end
  if layout.event and layout.event.user then document[layout.event.user[1]] = values[user] end
  local age = now - time
  local limit = lifetime(layout.service and values[service])
  return age > limit and 'expired' or 'live', age, limit, time, document
end

-- Neither command counts as a use.
function readers.idle(key)
  local left = redis.call('PTTL', key)
  if left == -2 then return 'gone' end
  if left >= 0 then return 'has_ttl' end
  local age = redis.call('OBJECT', 'IDLETIME', key)
  return age > layout.lifetime and 'expired' or 'live', age, layout.lifetime, now - age, {}
end

local read = readers[layout.kind]
local counts = {live = 0, expired = 0, marker = 0, malformed = 0, foreign = 0, has_ttl = 0, gone = 0}
local expired = {}
local seen = {}
-- For the index of when sessions are over, if there is one: times and keys; keys that are no session any more, or none yet.
local times, others = {}, {}
local looked = 0
for i = 3, #KEYS do
  local key = KEYS[i]
  if not seen[key] then
    seen[key] = true
    local kind, age, limit, time, document = 'foreign', nil, nil, nil, nil
    if #key > #layout.before + #layout.after then kind, age, limit, time, document = read(key) end
    counts[kind] = counts[kind] + 1
    if age then count(age) end
    if kind == 'expired' then
      expired[#expired + 1] = key
      note(key, document, time)
    end
    if not layout.index then
      -- Nobody asks.
    elseif kind == 'live' then
      -- Times in the future, however far, must not keep a key in the index for ever.
      times[#times + 1] = string.format('%.0f', (now + math.min(limit - age, 2 * limit)) * 1000)
      times[#times + 1] = key
    else
      others[#others + 1] = key
    end
  end
  looked = looked + 1
  if budget < 0 then break end
end
local deleted = #expired > 0 and redis.call('UNLINK', unpack(expired)) or 0
local told, dropped = tell()
if layout.index then
  if #times > 0 then redis.call('ZADD', layout.index.key, unpack(times)) end
  if #others > 0 then redis.call('ZREM', layout.index.key, unpack(others)) end
  redis.call('PEXPIRE', layout.index.key, layout.index.ttl)
end
return {
  1, looked, counts.live, counts.expired, deleted, counts.marker, counts.malformed, counts.foreign, counts.has_ttl,
  counts.gone, told, dropped, oldest, unpack(ages)
}
