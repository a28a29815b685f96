-- take a step: leases the next piece of some run's own work that can be done now.
-- KEYS: 1 prefix. ARGV: 1 owner, 2 lease in ms, 3 most open batches to plan ahead, 4 most before any batch was measured
-- (so that batch sizes can follow the first measurements; not used while no worker lives), 5 the only run to look at or '',
-- 6 for how many ms the first step of a new run is left to whoever has created it, and knows its table already.
-- Steps, in order: plan → drain (wait until no batch is open) → verify → vacuum → reconcile; verify goes back to drain
-- when it found leftovers. Entering verify from drain happens here, where it is known that nothing is open. A run that ends
-- early goes to reconcile as soon as none of its leases is open. Also here, since every poll comes by: a run whose time is
-- over starts to end, and what was parked goes back into the streams once the run is resumed. A run that has to wait for
-- others (field after) is planned once all of them are over or forgotten.
-- Returns {run, step, token}, or {} when nothing is to be done now.
local now, lease = now_ms(), tonumber(ARGV[2])
local runs = ARGV[5] ~= '' and {ARGV[5]} or redis.call('ZRANGE', prefix .. 'active', 0, 99)
local alive
for _, run in ipairs(runs) do
  local key = run_key(run)
  local v = redis.call('HMGET', key, 'state', 'step', 'step_until', 'queued', 'leased', 'delayed', 'parked', 'units',
    'deadline_ms', 'ending', 'after', 'step_token')
  local state, step, ending = v[1], v[2], v[10]
  if not state then
    redis.call('ZREM', prefix .. 'active', run)
  elseif not is_over(state) then
    if tonumber(v[9] or '') and tonumber(v[9]) <= now and end_run(run, 'failed', 'timed out') == 1 then
      ending = 'failed'
    end
    local ready = false
    if ending then
      step = 'reconcile'
      ready = v[5] == '0'
    elseif state ~= 'paused' and redis.call('SISMEMBER', prefix .. 'blind:' .. run, ARGV[1]) == 1 then
      pause_if_blind(run)
    elseif state ~= 'paused' then
      if v[7] ~= '0' then unpark(run, 100) end
      local open = v[4] + v[5] + v[6] + v[7]
      if step == 'plan' then
        ready = open < tonumber(ARGV[3])
        if ready and v[8] == '0' and open >= tonumber(ARGV[4]) then
          alive = alive or redis.call('ZCOUNT', prefix .. 'workers', now - lease, '+inf')
          ready = alive == 0
        end
        if v[12] == '0' then
          local age = now - (tonumber(redis.call('ZSCORE', prefix .. 'active', run) or '') or 0)
          if age >= 0 and age < tonumber(ARGV[6]) then ready = false end
        end
        for other in string.gmatch(v[11] or '', '%S+') do
          local before = redis.call('HGET', run_key(other), 'state')
          if before and not is_over(before) then ready = false end
        end
      elseif step == 'drain' then
        ready = open == 0
        if ready then step = 'verify' end
      else
        ready = true
      end
    end
    if ready and tonumber(v[3]) <= now then
      if step ~= v[2] then redis.call('HSET', key, 'step', step) end
      if step == 'verify' then redis.call('HSET', key, 'state', 'verifying') end
      local token = redis.call('HINCRBY', key, 'step_token', 1)
      redis.call('HSET', key, 'step_owner', ARGV[1], 'step_until', now + lease)
      return {run, step, token}
    end
  end
end
return {}
