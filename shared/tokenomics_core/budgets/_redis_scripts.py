"""What runs inside the Redis server: one script per step, in the Lua that Redis 6.2, 7, 8 and Valkey share.

An account is one hash. Field `v` holds its twelve numbers: what is spent, held and granted in each of three
units, when next something lapses (0: nothing does), when the account was created, and until when its key is
kept, in ms. `hID` is a hold: its three amounts, when it expires, whether it was sent, then its owner.
`bINDEX` is a step of a rolling window: three amounts. `aNAME` is a claim. How a hold ended stands for a while
under a key of its own. Every key is passed in KEYS and carries the same hash tag.

All numbers, stored, asked and answered, are doubles of eight bytes, the low one first: Lua counts in doubles,
and `struct` writes a dozen of them in the time in which it formats or matches one as text. The layout has a
number that is part of every key.
"""

from __future__ import annotations

__all__ = ["CLAIM", "END", "GRANT", "LAYOUT", "MARK", "READ", "RESERVE", "SUMS"]

LAYOUT = 2
"""Goes up with every change of what is stored, so that no client misreads what another one wrote."""

_PRELUDE = """
local call, pack, unpack_from = redis.call, struct.pack, struct.unpack
local V = '<dddddddddddd'
local function server_time()
  local t = call('TIME')
  return t[1] * 1000000 + t[2]
end
-- Of an account that nobody has used.
local NEW = pack(V, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0)
-- a: end, length, step of its window and how long to keep its key (in ms after the end of a window, or after
-- now where there is none) at 1..4, as its spec in ARGV says; then what is stored: spent at 5..7, held at
-- 8..10, granted at 11..13, next lapse at 14, created at 15, kept until at 16
local function value_of(a)
  return pack(V, a[5], a[6], a[7], a[8], a[9], a[10], a[11], a[12], a[13], a[14], a[15], a[16])
end
-- The end of the key moves at most once in half a day: the first call of a key sets it, few later ones do.
local function keep(a, now)
  if a[16] > 0 and a[1] > 0 then return end
  if a[15] == 0 then a[15] = now end
  if a[4] < 0 then return end
  local now_ms = math.floor(now / 1000)
  local till = math.max(now_ms, math.floor(a[1] / 1000)) + a[4]
  if a[16] == 0 or till - a[16] > 43200000 or a[16] > till then
    a[16] = till
    return string.format('%.0f', till - now_ms)
  end
end
"""

_SWEEP = """
local function lapse(expires, sent, length)
  if sent == 0 then return expires end
  if length > 0 then return expires + length end
  return 0
end
local function sooner(a, at) if at > 0 and (a[14] == 0 or at < a[14]) then a[14] = at end end
local function sweep(key, a, now)
  local flat, gone, following = call('HGETALL', key), {}, 0
  for i = 1, #flat, 2 do
    local kind, at, base, u, t, c = string.byte(flat[i]), 0, 0, nil, nil, nil
    if kind == 104 then -- h
      local expires, sent
      u, t, c, expires, sent = unpack_from('<ddddd', flat[i + 1])
      at, base = lapse(expires, sent, a[2]), 3
    elseif kind == 98 then -- b
      u, t, c = unpack_from('<ddd', flat[i + 1])
      at = (unpack_from('<d', flat[i], 2) + 1) * a[3] + a[2]
    end
    if at > 0 and at <= now then
      gone[#gone + 1] = flat[i]
      a[base + 5], a[base + 6], a[base + 7] = a[base + 5] - u, a[base + 6] - t, a[base + 7] - c
    elseif at > 0 and (following == 0 or at < following) then
      following = at
    end
  end
  a[14] = following
  call('HSET', key, 'v', value_of(a))
  for i = 1, #gone, 1000 do call('HDEL', key, unpack(gone, i, math.min(i + 999, #gone))) end
end
"""

RESERVE = (
    _PRELUDE
    + _SWEEP
    + """
-- KEYS: accounts. ARGV: now (below 0: the server's), nano, tokens, calls, lease, sent, start, end, of which
-- the last two are those of the time that lies in all windows; hold; owner; specs, then account, unit, limit
-- and soft of every check
local now, u, t, c, lease, sent, from, till = unpack_from('<dddddddd', ARGV[1])
if now < 0 then now = server_time() end
if now < from or now >= till then return pack('<dd', 0, now) end
local field, plan, at, rows = 'h' .. ARGV[2], ARGV[4], 1, {}
for i = 1, #KEYS do
  local value, there
  if i == 1 then
    local found = call('HMGET', KEYS[1], 'v', field)
    value, there = found[1], found[2]
  else
    value = call('HGET', KEYS[i], 'v')
  end
  local e, l, s, k
  e, l, s, k, at = unpack_from('<dddd', plan, at)
  local a = {e, l, s, k, unpack_from(V, value or NEW)}
  if a[14] > 0 and a[14] <= now then
    sweep(KEYS[i], a, now)
    there = there and call('HGET', KEYS[i], field)
  end
  if there then
    local _, _, _, expires = unpack_from('<dddd', there)
    return pack('<ddd', 1, now, expires)
  end
  rows[i] = a
end
local amounts, soft, index = {u, t, c}, '', -1
while at <= #plan do
  local account, unit, limit, is_soft
  account, unit, limit, is_soft, at = unpack_from('<dddd', plan, at)
  local a = rows[account]
  local committed, granted = a[4 + unit] + a[7 + unit], a[10 + unit]
  index = index + 1
  if committed + amounts[unit] > limit + granted then
    if is_soft == 0 then return pack('<ddddd', 2, now, index, committed, granted) end
    soft = soft .. pack('<d', index)
  end
end
local expires = now + lease
local held = pack('<ddddd', u, t, c, expires, sent) .. ARGV[3]
for i = 1, #KEYS do
  local a = rows[i]
  sooner(a, lapse(expires, sent, a[2]))
  a[8], a[9], a[10] = a[8] + u, a[9] + t, a[10] + c
  local ttl = keep(a, now)
  call('HSET', KEYS[i], 'v', value_of(a), field, held)
  if ttl then call('PEXPIRE', KEYS[i], ttl) end
end
return pack('<ddd', 1, now, expires) .. soft
"""
)

MARK = (
    _PRELUDE
    + _SWEEP
    + """
-- KEYS: accounts, ending of the hold. ARGV: now, what, value, of which what is 1 to note that it was sent,
-- with a flag for value, and 2 to renew, with a lease; hold; specs
local now, what, value = unpack_from('<ddd', ARGV[1])
if now < 0 then now = server_time() end
if call('EXISTS', KEYS[#KEYS]) == 1 then return 'done' end
local field, at, rows, holds = 'h' .. ARGV[2], 1, {}, {}
for i = 1, #KEYS - 1 do
  local e, l, s, k
  e, l, s, k, at = unpack_from('<dddd', ARGV[3], at)
  local a = {e, l, s, k, unpack_from(V, call('HGET', KEYS[i], 'v') or NEW)}
  if a[14] > 0 and a[14] <= now then sweep(KEYS[i], a, now) end
  rows[i], holds[i] = a, call('HGET', KEYS[i], field)
  if not holds[i] then return 'lapsed' end
end
for i = 1, #KEYS - 1 do
  local a, u, t, c, expires, sent, owner = rows[i], unpack_from('<ddddd', holds[i])
  if what == 1 then sent = value else expires = now + value end
  sooner(a, lapse(expires, sent, a[2]))
  local ttl = keep(a, now)
  local held = pack('<ddddd', u, t, c, expires, sent) .. string.sub(holds[i], owner)
  call('HSET', KEYS[i], 'v', value_of(a), field, held)
  if ttl then call('PEXPIRE', KEYS[i], ttl) end
end
return 'ok'
"""
)

END = (
    _PRELUDE
    + _SWEEP
    + """
-- KEYS: accounts, ending of the hold. ARGV: now, whether it is settled rather than released, nano, tokens and
-- calls that were spent; hold; how long to remember the ending, in ms; specs
local now, settled, u, t, c = unpack_from('<ddddd', ARGV[1])
if now < 0 then now = server_time() end
local ending, how = KEYS[#KEYS], settled == 1 and 's' or 'r'
if not call('SET', ending, how, 'PX', ARGV[3], 'NX') then
  if how == 'r' or call('GET', ending) == 's' then return pack('<dd', 0, now) end
  call('SET', ending, how, 'PX', ARGV[3])
end
local field, specs, at, late, sums = 'h' .. ARGV[2], ARGV[4], 1, 0, {}
for i = 1, #KEYS - 1 do
  local key, found = KEYS[i], call('HMGET', KEYS[i], 'v', field)
  local held = found[2]
  local e, l, s, k
  e, l, s, k, at = unpack_from('<dddd', specs, at)
  local a = {e, l, s, k, unpack_from(V, found[1] or NEW)}
  if a[14] > 0 and a[14] <= now then
    sweep(key, a, now)
    held = held and call('HGET', key, field)
  end
  if held then
    local held_u, held_t, held_c = unpack_from('<ddd', held)
    a[8], a[9], a[10] = a[8] - held_u, a[9] - held_t, a[10] - held_c
    call('HDEL', key, field)
  else
    late = 1
  end
  if settled == 1 then a[5], a[6], a[7] = a[5] + u, a[6] + t, a[7] + c end
  if settled == 1 and l > 0 then
    local index = math.floor(now / s)
    local bucket = 'b' .. pack('<d', index)
    local b_u, b_t, b_c = unpack_from('<ddd', call('HGET', key, bucket) or NEW)
    sooner(a, (index + 1) * s + l)
    local ttl = keep(a, now)
    call('HSET', key, 'v', value_of(a), bucket, pack('<ddd', b_u + u, b_t + t, b_c + c))
    if ttl then call('PEXPIRE', key, ttl) end
  elseif settled == 1 or held then
    local ttl = keep(a, now)
    call('HSET', key, 'v', value_of(a))
    if ttl then call('PEXPIRE', key, ttl) end
  end
  sums[i] = pack('<dddddd', a[5], a[6], a[7], a[11], a[12], a[13])
end
return pack('<ddd', 1, now, late) .. table.concat(sums)
"""
)

GRANT = (
    _PRELUDE
    + """
-- KEYS: account. ARGV: now, nano, tokens, calls; spec
local now, u, t, c = unpack_from('<dddd', ARGV[1])
if now < 0 then now = server_time() end
local e, l, s, k = unpack_from('<dddd', ARGV[2])
local a = {e, l, s, k, unpack_from(V, call('HGET', KEYS[1], 'v') or NEW)}
a[11], a[12], a[13] = a[11] + u, a[12] + t, a[13] + c
local ttl = keep(a, now)
call('HSET', KEYS[1], 'v', value_of(a))
if ttl then call('PEXPIRE', KEYS[1], ttl) end
return 'ok'
"""
)

CLAIM = (
    _PRELUDE
    + """
-- KEYS: account. ARGV: now; name; spec
local now = unpack_from('<d', ARGV[1])
if now < 0 then now = server_time() end
local e, l, s, k = unpack_from('<dddd', ARGV[3])
local a = {e, l, s, k, unpack_from(V, call('HGET', KEYS[1], 'v') or NEW)}
local won, ttl = call('HSETNX', KEYS[1], 'a' .. ARGV[2], '1'), keep(a, now)
call('HSET', KEYS[1], 'v', value_of(a))
if ttl then call('PEXPIRE', KEYS[1], ttl) end
return won
"""
)

SUMS = (
    _PRELUDE
    + _SWEEP
    + """
-- KEYS: accounts. ARGV: now; specs. It answers the time, then each account's nine sums.
local now, at, sums = unpack_from('<d', ARGV[1]), 1, {}
if now < 0 then now = server_time() end
for i = 1, #KEYS do
  local e, l, s, k
  e, l, s, k, at = unpack_from('<dddd', ARGV[2], at)
  local a = {e, l, s, k, unpack_from(V, call('HGET', KEYS[i], 'v') or NEW)}
  if a[14] > 0 and a[14] <= now then sweep(KEYS[i], a, now) end
  sums[i] = pack('<ddddddddd', a[5], a[6], a[7], a[8], a[9], a[10], a[11], a[12], a[13])
end
return pack('<d', now) .. table.concat(sums)
"""
)

READ = (
    _PRELUDE
    + _SWEEP
    + """
-- KEYS: accounts. ARGV: now; specs. It answers the time, then for each account its numbers and its holds.
local now, at = unpack_from('<d', ARGV[1]), 1
if now < 0 then now = server_time() end
local reply = {pack('<d', now)}
for i = 1, #KEYS do
  local value, e, l, s, k = call('HGET', KEYS[i], 'v')
  e, l, s, k, at = unpack_from('<dddd', ARGV[2], at)
  local a = {e, l, s, k, unpack_from(V, value or NEW)}
  if a[14] > 0 and a[14] <= now then sweep(KEYS[i], a, now) end
  local found = {pack('<ddddddd', a[5], a[6], a[7], a[11], a[12], a[13], a[15])}
  local flat = value and call('HGETALL', KEYS[i]) or {}
  for j = 1, #flat, 2 do
    if string.byte(flat[j]) == 104 then -- h
      found[#found + 1] = string.sub(flat[j], 2)
      found[#found + 1] = flat[j + 1]
    end
  end
  reply[1 + i] = found
end
return reply
"""
)
