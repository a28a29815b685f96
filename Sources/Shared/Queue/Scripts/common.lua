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

-- A run's hash of batches that were begun again after a crash, by how often.
local function starts_key(run) return prefix .. 'starts:' .. run end

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
local function is_batch(f)
  return f.r and f.b and f.f and f.v and string.match(f.a or '', '^%d+$') and string.match(f.u or '', '^%d+$')
end

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

local function is_over(state) return state == 'finished' or state == 'failed' or state == 'cancelled' end

-- The id of the newest entry that a stream has ever had.
local function last_id(stream)
  local info = redis.pcall('XINFO', 'STREAM', stream)
  if info.err then return '' end
  for i = 1, #info, 2 do
    if info[i] == 'last-generated-id' then return info[i + 1] end
  end
end

local function is_newer(id, than)
  local ms, sequence = string.match(id, '^(%d+)-(%d+)$')
  local than_ms, than_sequence = string.match(than, '^(%d+)-(%d+)$')
  if not ms or not than_ms then return true end
  if ms ~= than_ms then return tonumber(ms) > tonumber(than_ms) end
  return tonumber(sequence) > tonumber(than_sequence)
end

-- A run that was over may live again, and what is left of its former life in streams and delayed counts no more: `since`
-- is the newest entry of its stream when its life began.
-- Returns the run's state and what it is ending as, or nil when the batch that is, or was, this entry does not count.
local function life(run, id)
  local v = redis.call('HMGET', run_key(run), 'state', 'ending', 'since')
  if not v[1] or is_over(v[1]) or not is_newer(id, v[3] or '') then return nil end
  return v[1], v[2]
end

-- Begins a life of a run.
local function begin_life(run)
  local priority = redis.call('HGET', run_key(run), 'priority')
  redis.call('HSET', run_key(run), 'since', priority and last_id(prefix .. 'stream:' .. priority) or '')
end

-- Appends an event; see EventLog. The log is capped, so this is done while Redis is full, too, and nobody fails for want of
-- an event. Returns its id, or an error.
local function emit(topic, subject, target, schema, status, description, progress, counts, err)
  return redis.pcall('XADD', prefix .. 'events', 'MAXLEN', '~', redis.call('GET', prefix .. 'events:most') or '10000', '*',
    'topic', topic, 'subject', subject, 'target', target or '', 'schema', schema or '', 'status', status,
    'description', description, 'progress', progress, 'counts', counts, 'error', err or '')
end

-- Tells what a run has come to, right after its state has changed.
local function tell(run, what)
  local v = redis.call('HMGET', run_key(run), 'target', 'schema', 'state', 'error', 'rows', 'total', 'done', 'dead', 'estimated')
  for i = 5, 9 do v[i] = tonumber(v[i] or '') or 0 end
  local progress = v[6] > 0 and math.min(99, math.floor(v[7] * 100 / v[6])) or 0
  if v[3] == 'finished' then progress = 100 end
  local description = v[3] .. (v[5] > 0 and string.format(', %.0f deleted', v[5]) or '')
  emit('run.' .. what, run, v[1], v[2], v[3], description, progress,
    string.format('{"deleted":%.0f,"estimated":%.0f,"batches":%.0f,"done":%.0f,"dead":%.0f}', v[5], v[9], v[6], v[7], v[8]),
    v[4])
end

-- Lets a run end early, failed or cancelled: from now on its batches are dropped where they turn up, its steps end, and
-- once none of its leases is open its last step is handed out. Returns 1, or 0 when it is unknown, over or ending already.
local function end_run(run, state, why)
  local v = redis.call('HMGET', run_key(run), 'state', 'ending')
  if not v[1] or is_over(v[1]) or v[2] then return 0 end
  redis.call('HSET', run_key(run), 'ending', state, 'error', why, 'ending_error', why)
  return 1
end

-- A batch that a split has made is named after its parent, `1.7.0`; what planning has cut is `1.7`.
local function is_child(batch) return string.find(batch, '%..*%.') ~= nil end

-- Stops a run that mostly fails, since going on would only hurt the database. Three signs, each out of at least 50:
-- more than half of the batches as planned failed at their first try, more than half of all batches ended dead,
-- or errors of rows keep splitting batches and hardly any part of them succeeds.
local function judge(run, err)
  local v = redis.call('HMGET', run_key(run), 'done', 'dead', 'done_children', 'failed_first', 'row_splits')
  for i = 1, 5 do v[i] = tonumber(v[i] or 0) end
  local done, dead, failed, splits = v[1], v[2], v[4], v[5]
  local first, ended = done - v[3] + failed, done + dead
  local why
  if first >= 50 and failed * 2 > first then
    why = failed .. ' of the first ' .. first .. ' batches failed'
  elseif ended >= 50 and dead * 2 > ended then
    why = dead .. ' of ' .. ended .. ' batches were given up on'
  elseif splits >= 50 and splits > done * 8 then
    why = 'errors of rows have split batches ' .. splits .. ' times and ' .. done .. ' succeeded'
  end
  if why then end_run(run, 'failed', 'stopped, since ' .. why .. '; the last error: ' .. err) end
end

-- Keeps a batch, which was the given entry until now, until it is due.
local function delay(id, run, batch, due, stream, attempts, units, first, range)
  redis.call('ZADD', prefix .. 'delayed', due, name(run, batch))
  redis.call('HSET', prefix .. 'delayed:entries', name(run, batch),
    id .. ' ' .. stream .. ' ' .. attempts .. ' ' .. units .. ' ' .. first .. ' ' .. range)
end

-- A batch ends without having run to its end: its run ends early.
local function cancel(run, batch, from)
  move(run, from, 'cancelled', 1)
  redis.call('HDEL', starts_key(run), batch)
end

-- Pauses a run that no live worker can work on.
-- Returns 1 when it is paused now, else 0.
local function pause_if_blind(run)
  local v = redis.call('HMGET', run_key(run), 'state', 'blind_ms', 'blind_error')
  for _, worker in ipairs(redis.call('ZRANGEBYSCORE', prefix .. 'workers', now_ms() - (v[2] or 0), '+inf')) do
    if redis.call('SISMEMBER', prefix .. 'blind:' .. run, worker) == 0 then return 0 end
  end
  redis.call('HSET', run_key(run), 'state', 'paused', 'resume', v[1], 'error', v[3] or '')
  tell(run, 'paused')
  return 1
end

-- Hands an entry that was just delivered to its new consumer, or takes it out of the stream: what is no batch is reported
-- without its fields; a batch of a run that is over or unknown, or of its former life, is dropped, having been counted
-- when the run ended; one of a run that is ending is cancelled; one of a paused run is parked; and one of a run that this
-- consumer cannot work on waits a second for another worker.
-- from: the state that the batch was in until now, queued or leased.
local function deliver(out, stream, consumer, entry, token, from)
  local f = fields(entry)
  if not is_batch(f) then
    drop(stream, entry[1])
    out[#out + 1] = {stream, entry[1]}
    return
  end
  local state, ending = life(f.r, entry[1])
  if not state then
    drop(stream, entry[1])
    redis.call('HDEL', starts_key(f.r), f.b)
  elseif ending then
    drop(stream, entry[1])
    cancel(f.r, f.b, from)
  elseif state == 'paused' then
    redis.call('RPUSH', prefix .. 'parked:' .. f.r,
      stream .. ' ' .. f.b .. ' ' .. f.a .. ' ' .. f.u .. ' ' .. f.f .. ' ' .. f.v)
    drop(stream, entry[1])
    move(f.r, from, 'parked', 1)
  elseif redis.call('SISMEMBER', prefix .. 'blind:' .. f.r, consumer) == 1 then
    drop(stream, entry[1])
    delay(entry[1], f.r, f.b, now_ms() + 1000, stream, f.a, f.u, f.f, f.v)
    move(f.r, from, 'delayed', 1)
    pause_if_blind(f.r)
  else
    move(f.r, from, 'leased', 1)
    redis.call('HSETNX', run_key(f.r), 'started_ms', now_ms())
    local starts = token > 1 and redis.call('HGET', starts_key(f.r), f.b) or '0'
    out[#out + 1] = {stream, entry[1], token, f.r, f.b, f.a, f.v, f.u, starts}
  end
end

-- Puts parked batches of a run that is no longer paused back into their streams; at most n.
local function unpark(run, n)
  for _, text in ipairs(redis.call('LPOP', prefix .. 'parked:' .. run, n) or {}) do
    local stream, batch, attempts, units, first, range = string.match(text, '^(%S+) (%S+) (%d+) (%d+) (%d*) (.*)$')
    add(stream, run, batch, attempts, units, first, range)
    move(run, 'parked', 'queued', 1)
  end
end
