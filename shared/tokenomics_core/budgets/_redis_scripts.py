"""What runs inside the Redis server: one script per step, in the Lua that Redis 6.2, 7, 8 and Valkey share.

An account is one hash. `s1 s2 s3` is what is spent in each unit, `h1 h2 h3` what is held, `g1 g2 g3` what is
granted, `c` when it was created, `n` when next something lapses, `h:ID` a hold as `nano tokens calls expires
sent owner`, `b:INDEX` a step of a rolling window as `nano tokens calls`, `a:NAME` a claim. How a hold ended
stands for a while under a key of its own. Every key is passed in KEYS and carries the same hash tag.

Numbers are written with `%.0f`: a Lua number turned to text any other way loses digits beyond the fourteenth.
"""

from __future__ import annotations

__all__ = ["CLAIM", "END", "GRANT", "MARK", "READ", "RESERVE"]

_PRELUDE = """
local FIELDS = {'s1','s2','s3','h1','h2','h3','g1','g2','g3','n','c'}
local function text(x) return string.format('%.0f', x) end
local function time(given)
  if given ~= '' then return tonumber(given) end
  local t = redis.call('TIME')
  return tonumber(t[1]) * 1000000 + tonumber(t[2])
end
local function numbers(words)
  local out = {}
  for word in string.gmatch(words, '%S+') do out[#out + 1] = tonumber(word) end
  return out
end
-- spec: start end length bucket keep_ms; keep_ms counts from the end of a window, or from now
local function keep(key, spec, now)
  if spec[5] < 0 then return end
  local rest = math.max(0, spec[2] - now)
  redis.call('PEXPIRE', key, text(math.ceil(rest / 1000) + spec[5]))
end
local function lapse(expires, sent, length)
  if sent ~= '1' then return expires end
  if length > 0 then return expires + length end
  return nil
end
local function erase(key, fields)
  for i = 1, #fields, 1000 do
    redis.call('HDEL', key, unpack(fields, i, math.min(i + 999, #fields)))
  end
end
-- a: s1..s3 at 1..3, h1..h3 at 4..6, g1..g3 at 7..9, n at 10 (0: nothing lapses), c at 11 (or false)
local function sweep(key, spec, a, now)
  local flat, gone, following = redis.call('HGETALL', key), {}, nil
  for i = 1, #flat, 2 do
    local kind, at, base, amounts = string.sub(flat[i], 1, 2), nil, nil, nil
    if kind == 'h:' then
      local u, t, c, expires, sent = string.match(flat[i + 1], '^(%d+) (%d+) (%d+) (%d+) (%d)')
      at, base, amounts = lapse(tonumber(expires), sent, spec[3]), 3, {u, t, c}
    elseif kind == 'b:' then
      at = (tonumber(string.sub(flat[i], 3)) + 1) * spec[4] + spec[3]
      base, amounts = 0, numbers(flat[i + 1])
    end
    if at and at <= now then
      gone[#gone + 1] = flat[i]
      for unit = 1, 3 do a[base + unit] = a[base + unit] - tonumber(amounts[unit]) end
    elseif at and (following == nil or at < following) then
      following = at
    end
  end
  erase(key, gone)
  a[10] = following or 0
  redis.call('HSET', key, 's1', text(a[1]), 's2', text(a[2]), 's3', text(a[3]),
    'h1', text(a[4]), 'h2', text(a[5]), 'h3', text(a[6]), 'n', text(a[10]))
end
local function load(key, spec, now, hold)
  local got = redis.call('HMGET', key, 's1','s2','s3','h1','h2','h3','g1','g2','g3','n','c', hold)
  local a = {}
  for i = 1, 10 do a[i] = tonumber(got[i] or 0) end
  a[11], a[12] = got[11], got[12]
  if a[10] > 0 and a[10] <= now then
    sweep(key, spec, a, now)
    a[12] = redis.call('HGET', key, hold)
  end
  return a
end
local function sooner(a, at) if at and (a[10] == 0 or at < a[10]) then a[10] = at end end
"""

RESERVE = (
    _PRELUDE
    + """
-- KEYS: accounts. ARGV: now, hold id, 'nano tokens calls', lease, sent, owner, number of checks, checks,
-- specs
local now, field, n_checks = time(ARGV[1]), 'h:' .. ARGV[2], tonumber(ARGV[7])
local amounts, specs, rows = numbers(ARGV[3]), {}, {}
for i = 1, #KEYS do
  local spec = numbers(ARGV[7 + n_checks + i])
  if spec[2] > 0 and (now < spec[1] or now >= spec[2]) then return {'stale', now} end
  specs[i] = spec
end
for i = 1, #KEYS do rows[i] = load(KEYS[i], specs[i], now, field) end
if rows[1][12] then
  local expires = string.match(rows[1][12], '^%d+ %d+ %d+ (%d+)')
  return {'granted', now, tonumber(expires)}
end
local reply = {'granted', now, now + tonumber(ARGV[4])}
for i = 1, n_checks do
  local check = numbers(ARGV[7 + i])
  local a, unit = rows[check[1]], check[2]
  local committed = a[unit] + a[3 + unit]
  if committed + amounts[unit] > check[3] + a[6 + unit] then
    if check[4] == 0 then return {'refused', now, i, committed, a[6 + unit]} end
    reply[#reply + 1] = i
  end
end
local expires = reply[3]
local held = ARGV[3] .. ' ' .. text(expires) .. ' ' .. ARGV[5] .. ' ' .. ARGV[6]
for i = 1, #KEYS do
  local a, spec = rows[i], specs[i]
  sooner(a, lapse(expires, ARGV[5], spec[3]))
  redis.call('HSET', KEYS[i], 'h1', text(a[4] + amounts[1]), 'h2', text(a[5] + amounts[2]),
    'h3', text(a[6] + amounts[3]), 'n', text(a[10]), field, held, 'c', a[11] or text(now))
  if not a[11] or spec[2] == 0 then keep(KEYS[i], spec, now) end
end
return reply
"""
)

MARK = (
    _PRELUDE
    + """
-- KEYS: ending of the hold, accounts. ARGV: now, hold id, 'sent' or 'renew', sent flag or lease, specs
local now, field = time(ARGV[1]), 'h:' .. ARGV[2]
if redis.call('EXISTS', KEYS[1]) == 1 then return 'done' end
local specs, rows = {}, {}
for i = 2, #KEYS do
  specs[i] = numbers(ARGV[3 + i])
  rows[i] = load(KEYS[i], specs[i], now, field)
end
for i = 2, #KEYS do if not rows[i][12] then return 'lapsed' end end
for i = 2, #KEYS do
  local a, spec = rows[i], specs[i]
  local amounts, expires, sent, owner = string.match(a[12], '^(%d+ %d+ %d+) (%d+) (%d) (.*)$')
  if ARGV[3] == 'sent' then sent = ARGV[4] else expires = text(now + tonumber(ARGV[4])) end
  sooner(a, lapse(tonumber(expires), sent, spec[3]))
  local held = amounts .. ' ' .. expires .. ' ' .. sent .. ' ' .. owner
  redis.call('HSET', KEYS[i], field, held, 'n', text(a[10]))
  if spec[2] == 0 then keep(KEYS[i], spec, now) end
end
return 'ok'
"""
)

END = (
    _PRELUDE
    + """
-- KEYS: ending of the hold, accounts. ARGV: now, hold id, 'settled' or 'released', 'nano tokens calls' spent,
-- ms to remember the ending, specs
local now, field, ending = time(ARGV[1]), 'h:' .. ARGV[2], ARGV[3]
local before = redis.call('GET', KEYS[1])
if before == 'settled' or before == ending then return {'done', now} end
redis.call('SET', KEYS[1], ending, 'PX', ARGV[5])
local reply, late, spent = {'ok', now}, 0, numbers(ARGV[4])
for i = 2, #KEYS do
  local spec = numbers(ARGV[4 + i])
  local a = load(KEYS[i], spec, now, field)
  if a[12] then
    local u, t, c = string.match(a[12], '^(%d+) (%d+) (%d+)')
    a[4], a[5], a[6] = a[4] - tonumber(u), a[5] - tonumber(t), a[6] - tonumber(c)
    redis.call('HDEL', KEYS[i], field)
  else
    late = 1
  end
  if ending == 'settled' then
    for unit = 1, 3 do a[unit] = a[unit] + spent[unit] end
    if spec[3] > 0 then
      local index = math.floor(now / spec[4])
      local bucket = 'b:' .. text(index)
      local b = numbers(redis.call('HGET', KEYS[i], bucket) or '0 0 0')
      redis.call('HSET', KEYS[i], bucket, text(b[1] + spent[1]) .. ' ' .. text(b[2] + spent[2])
        .. ' ' .. text(b[3] + spent[3]))
      sooner(a, (index + 1) * spec[4] + spec[3])
    end
  end
  if ending == 'settled' or a[12] then
    redis.call('HSET', KEYS[i], 's1', text(a[1]), 's2', text(a[2]), 's3', text(a[3]),
      'h1', text(a[4]), 'h2', text(a[5]), 'h3', text(a[6]), 'n', text(a[10]), 'c', a[11] or text(now))
    if not a[11] or spec[2] == 0 then keep(KEYS[i], spec, now) end
  end
  for field_index = 1, 9 do reply[#reply + 1] = a[field_index] end
end
reply[#reply + 1] = late
return reply
"""
)

GRANT = (
    _PRELUDE
    + """
-- KEYS: account. ARGV: now, 'nano tokens calls', spec
local now, more, spec = time(ARGV[1]), numbers(ARGV[2]), numbers(ARGV[3])
local a = load(KEYS[1], spec, now, 'c')
redis.call('HSET', KEYS[1], 'g1', text(a[7] + more[1]), 'g2', text(a[8] + more[2]),
  'g3', text(a[9] + more[3]), 'c', a[11] or text(now))
keep(KEYS[1], spec, now)
return 'ok'
"""
)

CLAIM = (
    _PRELUDE
    + """
-- KEYS: account. ARGV: now, name, spec
local now = time(ARGV[1])
redis.call('HSETNX', KEYS[1], 'c', text(now))
local won = redis.call('HSETNX', KEYS[1], 'a:' .. ARGV[2], '1')
keep(KEYS[1], numbers(ARGV[3]), now)
return won
"""
)

READ = (
    _PRELUDE
    + """
-- KEYS: accounts. ARGV: now, specs
local now, reply = time(ARGV[1]), {}
reply[1] = now
for i = 1, #KEYS do
  load(KEYS[i], numbers(ARGV[1 + i]), now, 'c')
  reply[1 + i] = redis.call('HGETALL', KEYS[i])
end
return reply
"""
)
