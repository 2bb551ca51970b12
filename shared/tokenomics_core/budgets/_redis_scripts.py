"""What runs inside the Redis server: one script per step, in the Lua that Redis 6.2, 7, 8 and Valkey share.

An account is one hash. Field `v` holds its twelve numbers as MessagePack: what is spent, held and granted
in each of three units, when next something lapses (0: nothing does), when the account was created, and
until when its key is kept, in ms. `h:ID` is a hold as `nano tokens calls expires sent owner`, `b:INDEX` a
step of a rolling window as `nano tokens calls`, `a:NAME` a claim. How a hold ended stands for a while under
a key of its own. Every key is passed in KEYS and carries the same hash tag.

Arguments and answers are lines of words: clients write and read a few long ones faster than many short
ones. Numbers are written with `%d`, or `%.0f` where that has 32 bits only: Lua by itself keeps just 14
digits.
"""

from __future__ import annotations

__all__ = ["CLAIM", "END", "GRANT", "MARK", "READ", "RESERVE"]

_PRELUDE = """
local call, format, match, byte = redis.call, string.format, string.match, string.byte
local unpack_numbers, pack_numbers = cmsgpack.unpack, cmsgpack.pack
local INT = format('%d', 4503599627370496) == '4503599627370496' and '%d' or '%.0f'
local function lines(pattern) return INT == '%d' and pattern or string.gsub(pattern, '%%d', INT) end
local function time(given)
  if given ~= '' then return tonumber(given) end
  local t = call('TIME')
  return t[1] * 1000000 + t[2]
end
-- spec: 'kind end length bucket keep_ms'; kind is c for a calendar window, r for a rolling one, t for none;
-- keep_ms counts from the end of a window, or from now where there is none
local function split(specs)
  local out = {}
  for spec in string.gmatch(specs, '[^;]+') do out[#out + 1] = spec end
  return out
end
local function is_rolling(spec) return byte(spec) == 114 end
local function read_spec(spec)
  local e, l, b, k = match(spec, '^%l (%d+) (%d+) (%d+) (%-?%d+)$')
  return tonumber(e), tonumber(l), tonumber(b), tonumber(k)
end
-- a: spent at 1..3, held at 4..6, granted at 7..9, next lapse at 10, created at 11, kept until at 12
local function read(value)
  if value then return {unpack_numbers(value)} end
  return {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0}
end
local function value_of(a)
  return pack_numbers(a[1], a[2], a[3], a[4], a[5], a[6], a[7], a[8], a[9], a[10], a[11], a[12])
end
-- The end of the key moves at most once in half a day: the first call of a key sets it, few later ones do.
local function keep(a, spec, now)
  if a[12] > 0 and byte(spec) == 99 then return end
  local window_end, _, _, keep_ms = read_spec(spec)
  if a[11] == 0 then a[11] = now end
  if keep_ms < 0 then return end
  local now_ms = math.floor(now / 1000)
  local till = math.max(now_ms, math.floor(window_end / 1000)) + keep_ms
  if a[12] == 0 or till - a[12] > 43200000 or a[12] > till then
    a[12] = till
    return till - now_ms
  end
end
local function lapse(expires, sent, length)
  if sent ~= '1' then return expires end
  if length > 0 then return expires + length end
  return nil
end
local function sooner(a, at) if at and (a[10] == 0 or at < a[10]) then a[10] = at end end
local function sweep(key, spec, a, now)
  local _, length, bucket = read_spec(spec)
  local flat, gone, following = call('HGETALL', key), {}, 0
  for i = 1, #flat, 2 do
    local kind, at, base, u, t, c = string.sub(flat[i], 1, 2), nil, 0, nil, nil, nil
    if kind == 'h:' then
      local expires, sent
      u, t, c, expires, sent = match(flat[i + 1], '^(%d+) (%d+) (%d+) (%d+) (%d)')
      at, base = lapse(tonumber(expires), sent, length), 3
    elseif kind == 'b:' then
      u, t, c = match(flat[i + 1], '^(%d+) (%d+) (%d+)')
      at = (tonumber(string.sub(flat[i], 3)) + 1) * bucket + length
    end
    if at and at <= now then
      gone[#gone + 1] = flat[i]
      a[base + 1], a[base + 2], a[base + 3] = a[base + 1] - u, a[base + 2] - t, a[base + 3] - c
    elseif at and (following == 0 or at < following) then
      following = at
    end
  end
  a[10] = following
  call('HSET', key, 'v', value_of(a))
  for i = 1, #gone, 1000 do call('HDEL', key, unpack(gone, i, math.min(i + 999, #gone))) end
end
"""

RESERVE = (
    _PRELUDE
    + """
-- KEYS: accounts. ARGV: 'now hold nano tokens calls lease sent start end owner', of which start and end are
-- those of the time that lies in all windows; 'account unit limit soft' of every check; specs
local given, id, u, t, c, lease, sent, from, till, owner =
  match(ARGV[1], '^(%d*) (%S+) (%d+) (%d+) (%d+) (%d+) (%d) (%d+) (%d+) (.*)$')
local now = time(given)
if now < tonumber(from) or now >= tonumber(till) then return format(lines('stale %d'), now) end
local field, amounts, rows, specs = 'h:' .. id, {tonumber(u), tonumber(t), tonumber(c)}, {}, split(ARGV[3])
for i = 1, #KEYS do
  local a = read(call('HGET', KEYS[i], 'v'))
  if a[10] > 0 and a[10] <= now then sweep(KEYS[i], specs[i], a, now) end
  rows[i] = a
end
if rows[1][11] > 0 then
  local there = call('HGET', KEYS[1], field)
  if there then return format(lines('granted %d %s'), now, match(there, '^%d+ %d+ %d+ (%d+)')) end
end
local soft, index = '', 0
for account, unit, limit, is_soft in string.gmatch(ARGV[2], '(%d+) (%d) (%d+) (%d)') do
  index, unit = index + 1, tonumber(unit)
  local a = rows[tonumber(account)]
  local committed = a[unit] + a[3 + unit]
  if committed + amounts[unit] > limit + a[6 + unit] then
    if is_soft == '0' then
      return format(lines('refused %d %d %d %d'), now, index, committed, a[6 + unit])
    end
    soft = soft .. ' ' .. index
  end
end
local expires = now + lease
local held = format(lines('%s %s %s %d %s %s'), u, t, c, expires, sent, owner)
for i = 1, #KEYS do
  local a, spec, at = rows[i], specs[i], expires
  if sent == '1' then
    at = nil
    if is_rolling(spec) then
      local _, length = read_spec(spec)
      at = expires + length
    end
  end
  if at then sooner(a, at) end
  a[4], a[5], a[6] = a[4] + amounts[1], a[5] + amounts[2], a[6] + amounts[3]
  local ttl = keep(a, spec, now)
  call('HSET', KEYS[i], 'v', value_of(a), field, held)
  if ttl then call('PEXPIRE', KEYS[i], format(INT, ttl)) end
end
return format(lines('granted %d %d%s'), now, expires, soft)
"""
)

MARK = (
    _PRELUDE
    + """
-- KEYS: ending of the hold, accounts. ARGV: 'now hold what value', of which the value of 'sent' is a flag and
-- that of 'renew' a lease; specs
local given, id, what, value = match(ARGV[1], '^(%d*) (%S+) (%l+) (%d+)$')
local now, field, specs = time(given), 'h:' .. id, split(ARGV[2])
if call('EXISTS', KEYS[1]) == 1 then return 'done' end
local rows, holds = {}, {}
for i = 2, #KEYS do
  rows[i] = read(call('HGET', KEYS[i], 'v'))
  if rows[i][10] > 0 and rows[i][10] <= now then sweep(KEYS[i], specs[i - 1], rows[i], now) end
  holds[i] = call('HGET', KEYS[i], field)
  if not holds[i] then return 'lapsed' end
end
for i = 2, #KEYS do
  local a, _, length = rows[i], read_spec(specs[i - 1])
  local amounts, expires, sent, owner = match(holds[i], '^(%d+ %d+ %d+) (%d+) (%d) (.*)$')
  expires = tonumber(expires)
  if what == 'sent' then sent = value else expires = now + value end
  sooner(a, lapse(expires, sent, length))
  local ttl = keep(a, specs[i - 1], now)
  call('HSET', KEYS[i], 'v', value_of(a), field, format(lines('%s %d %s %s'), amounts, expires, sent, owner))
  if ttl then call('PEXPIRE', KEYS[i], format(INT, ttl)) end
end
return 'ok'
"""
)

END = (
    _PRELUDE
    + """
-- KEYS: ending of the hold, accounts. ARGV: 'now hold ending nano tokens calls nano tokens calls ms', of
-- which ending is 'settled' or 'released', the amounts are what was held and what was spent, and ms is how
-- long to remember the ending; specs
local given, id, ending, held_u, held_t, held_c, u, t, c, ms =
  match(ARGV[1], '^(%d*) (%S+) (%l+) (%d+) (%d+) (%d+) (%d+) (%d+) (%d+) (%d+)$')
local now, field, specs = time(given), 'h:' .. id, split(ARGV[2])
if not call('SET', KEYS[1], ending, 'PX', ms, 'NX') then
  if ending == 'released' or call('GET', KEYS[1]) == 'settled' then return format(lines('done %d'), now) end
  call('SET', KEYS[1], ending, 'PX', ms)
end
local late, sums = '0', {}
for i = 2, #KEYS do
  local key, spec = KEYS[i], specs[i - 1]
  local a = read(call('HGET', key, 'v'))
  if a[10] > 0 and a[10] <= now then sweep(key, spec, a, now) end
  local held = call('HDEL', key, field) == 1
  if held then
    a[4], a[5], a[6] = a[4] - held_u, a[5] - held_t, a[6] - held_c
  else
    late = '1'
  end
  local bucket, step
  if ending == 'settled' then
    a[1], a[2], a[3] = a[1] + u, a[2] + t, a[3] + c
    if is_rolling(spec) then
      local _, length, width = read_spec(spec)
      local index = math.floor(now / width)
      bucket = format(lines('b:%d'), index)
      local b_u, b_t, b_c = match(call('HGET', key, bucket) or '0 0 0', '^(%d+) (%d+) (%d+)')
      step = format(lines('%d %d %d'), b_u + u, b_t + t, b_c + c)
      sooner(a, (index + 1) * width + length)
    end
  end
  if held or ending == 'settled' then
    local ttl = keep(a, spec, now)
    call('HSET', key, 'v', value_of(a))
    if bucket then call('HSET', key, bucket, step) end
    if ttl then call('PEXPIRE', key, format(INT, ttl)) end
  end
  sums[#sums + 1] = format(lines(' %d %d %d %d %d %d'), a[1], a[2], a[3], a[7], a[8], a[9])
end
return format(lines('ok %d %s'), now, late) .. table.concat(sums)
"""
)

GRANT = (
    _PRELUDE
    + """
-- KEYS: account. ARGV: now, nano, tokens, calls, spec
local now, a = time(ARGV[1]), read(call('HGET', KEYS[1], 'v'))
a[7], a[8], a[9] = a[7] + ARGV[2], a[8] + ARGV[3], a[9] + ARGV[4]
local ttl = keep(a, ARGV[5], now)
call('HSET', KEYS[1], 'v', value_of(a))
if ttl then call('PEXPIRE', KEYS[1], format(INT, ttl)) end
return 'ok'
"""
)

CLAIM = (
    _PRELUDE
    + """
-- KEYS: account. ARGV: now, name, spec
local now, a = time(ARGV[1]), read(call('HGET', KEYS[1], 'v'))
local won, ttl = call('HSETNX', KEYS[1], 'a:' .. ARGV[2], '1'), keep(a, ARGV[3], now)
call('HSET', KEYS[1], 'v', value_of(a))
if ttl then call('PEXPIRE', KEYS[1], format(INT, ttl)) end
return won
"""
)

READ = (
    _PRELUDE
    + """
-- KEYS: accounts. ARGV: now, specs. It answers the time, then for each account its numbers and its holds.
local now, specs = time(ARGV[1]), split(ARGV[2])
local reply = {format(INT, now)}
for i = 1, #KEYS do
  local value, found = call('HGET', KEYS[i], 'v'), {}
  local a = read(value)
  if a[10] > 0 and a[10] <= now then sweep(KEYS[i], specs[i], a, now) end
  found[1] = format(lines('%d %d %d %d %d %d %d'), a[1], a[2], a[3], a[7], a[8], a[9], a[11])
  local flat = value and call('HGETALL', KEYS[i]) or {}
  for j = 1, #flat, 2 do
    local id = match(flat[j], '^h:(.*)$')
    if id then found[#found + 1] = id .. ' ' .. flat[j + 1] end
  end
  reply[1 + i] = found
end
return reply
"""
)
