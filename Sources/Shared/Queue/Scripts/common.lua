-- Put in front of every script of the queue; defines what they share and does nothing by itself.
--
-- All keys of a namespace carry one hash tag, so that a script may reach the key of a run that it only finds inside an
-- entry: KEYS[1] is always the namespace's prefix, `{ebb}:`.
-- An entry of a stream is {r: run, b: batch id, a: attempts used, v: range (opaque), u: units it was
-- sized in, f: first failure in ms or ''}.
-- A lease is (entry id, consumer, delivery count): the pending-entries list is the lease table.

local prefix = KEYS[1]
local group = 'workers'
local streams = {prefix .. 'stream:high', prefix .. 'stream:default', prefix .. 'stream:low'}

local function run_key(run) return prefix .. 'run:' .. run end

local function now_ms()
  local t = redis.call('TIME')
  return t[1] * 1000 + math.floor(t[2] / 1000)
end

-- Whether the caller still holds the lease it was given.
local function owns(stream, consumer, id, token)
  local p = redis.call('XPENDING', stream, group, id, id, 1)
  return #p == 1 and p[1][2] == consumer and p[1][4] == tonumber(token)
end

local function fields(entry)
  local f = {}
  for i = 1, #entry[2], 2 do f[entry[2][i]] = entry[2][i + 1] end
  return f
end

-- Whether an entry's fields are all there; what is not ours is dropped and reported by its stream and entry id alone.
local function is_batch(f) return f.r and f.b and tonumber(f.a) and tonumber(f.u) and f.f and f.v end

-- Moves n batches of a run from one state to another; '' is outside.
local function move(run, from, to, n)
  local key = run_key(run)
  if from ~= '' then redis.call('HINCRBY', key, from, -n) end
  if to ~= '' then redis.call('HINCRBY', key, to, n) end
end

local function add(stream, run, batch, attempts, units, first, range)
  redis.call('XADD', stream, '*', 'r', run, 'b', batch, 'a', attempts, 'u', units, 'f', first, 'v', range)
end

local function drop(stream, id)
  redis.call('XACK', stream, group, id)
  redis.call('XDEL', stream, id)
end

-- The name of a batch in keys that hold batches of all runs. Run ids hold no space.
local function name(run, batch) return run .. ' ' .. batch end

-- Hands an entry that was just delivered to its new consumer, or takes it out of the stream: what is no batch is reported
-- without its fields, a batch of a run that is over counts as cancelled, one of a paused run is parked.
-- from: the state that the batch was in until now, queued or leased.
local function deliver(out, stream, entry, token, from)
  local f = fields(entry)
  if not is_batch(f) then
    drop(stream, entry[1])
    out[#out + 1] = {stream, entry[1]}
    return
  end
  local state = redis.call('HGET', run_key(f.r), 'state')
  if not state then
    drop(stream, entry[1])
  elseif state == 'cancelled' or state == 'failed' then
    drop(stream, entry[1])
    move(f.r, from, 'cancelled', 1)
  elseif state == 'paused' then
    redis.call('RPUSH', prefix .. 'parked:' .. f.r,
      stream .. ' ' .. f.b .. ' ' .. f.a .. ' ' .. f.u .. ' ' .. f.f .. ' ' .. f.v)
    drop(stream, entry[1])
    move(f.r, from, 'parked', 1)
  else
    move(f.r, from, 'leased', 1)
    redis.call('HSETNX', run_key(f.r), 'started_ms', now_ms())
    out[#out + 1] = {stream, entry[1], token, f.r, f.b, f.a, f.v, f.u}
  end
end
