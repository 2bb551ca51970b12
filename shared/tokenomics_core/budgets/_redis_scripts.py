"""What runs inside the Redis server: one script per step, in the Lua that Redis 6.2, 7, 8 and Valkey share.

An account is one hash. Field `v` holds its twelve numbers: what is spent, held and granted in each of three
units, when next something lapses (0: nothing does), when the account was created, and until when its key is
kept, in ms. `hID` is a hold: its three amounts, when it expires, whether it was sent, then its owner.
`bINDEX` is a step of a rolling window: three amounts. `aNAME` is a claim. How a hold ended stands for a while
under a key of its own. Every key is passed in KEYS and carries the same hash tag.

All numbers, stored, asked and answered, are doubles of eight bytes, the low one first: Lua counts in doubles,
and `struct` writes a dozen of them in the time in which it formats or matches one as text. What few steps
need, such as the sweep, is written out where it is needed, as making a Lua function costs every step.
"""

from __future__ import annotations

__all__ = ["CLAIM", "END", "GRANT", "LAYOUT", "MARK", "READ", "RESERVE", "SUMS"]

LAYOUT = 2
"""Part of every key; goes up with every change of what is stored, so that no client misreads another's."""

# The first argument is numbers, of which the first is the time, or -1 for the server's, and then the spec of
# each account, read from `at` on.
_PRELUDE = """
local call, pack, read = redis.call, struct.pack, struct.unpack
local V = '<dddddddddddd'
local {names}, at = read('<{doubles}', ARGV[1])
if now < 0 then
  local t = call('TIME')
  now = t[1] * 1000000 + t[2]
end
-- a: end, length, step of its window and how long to keep its key (in ms after the end of a window, or after
-- now where there is none) at 1..4, as its spec says; then what is stored: spent at 5..7, held at 8..10,
-- granted at 11..13, next lapse at 14, created at 15, kept until at 16
local function account(value, e, l, s, k)
  if value then return {{e, l, s, k, read(V, value)}} end
  return {{e, l, s, k, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, now, 0}}
end
"""

_WRITE = """
-- The end of the key moves at most once in half a day: the first step on a key sets it, few later ones do.
local function write(key, a, ...)
  local ttl, kept = nil, a[16]
  if (kept == 0 or a[1] == 0) and a[4] >= 0 then
    local now_ms = now / 1000
    local till = (a[1] > now and a[1] / 1000 or now_ms) + a[4]
    if kept == 0 or till - kept > 43200000 or kept > till then a[16], ttl = till, till - now_ms end
  end
  local value = pack(V, a[5], a[6], a[7], a[8], a[9], a[10], a[11], a[12], a[13], a[14], a[15], a[16])
  call('HSET', key, 'v', value, ...)
  if ttl then call('PEXPIRE', key, string.format('%.0f', ttl)) end
end
"""

# Drops from account `a` under `key` what has lapsed.
_SWEEP = """
  if a[14] > 0 and a[14] <= now then
    local flat, gone, following = call('HGETALL', key), {}, 0
    for j = 1, #flat, 2 do
      local kind, due, base, u, t, c = string.byte(flat[j]), 0, 0, nil, nil, nil
      if kind == 104 then -- h
        local expires, sent
        u, t, c, expires, sent = read('<ddddd', flat[j + 1])
        due, base = expires, 3
        if sent == 1 then due = a[2] > 0 and expires + a[2] or 0 end
      elseif kind == 98 then -- b
        u, t, c = read('<ddd', flat[j + 1])
        due = (read('<d', flat[j], 2) + 1) * a[3] + a[2]
      end
      if due > 0 and due <= now then
        gone[#gone + 1] = flat[j]
        a[base + 5], a[base + 6], a[base + 7] = a[base + 5] - u, a[base + 6] - t, a[base + 7] - c
      elseif due > 0 and (following == 0 or due < following) then
        following = due
      end
    end
    a[14] = following
    call('HSET', key, 'v',
      pack(V, a[5], a[6], a[7], a[8], a[9], a[10], a[11], a[12], a[13], a[14], a[15], a[16]))
    for j = 1, #gone, 1000 do call('HDEL', key, unpack(gone, j, math.min(j + 999, #gone))) end
  end
"""


def _script(numbers: str, body: str) -> str:
    """Put a script together; `numbers` names those of its first argument after the time."""
    names = ["now", *numbers.split()]
    prelude = _PRELUDE.format(names=", ".join(names), doubles="d" * len(names))
    write = _WRITE if "write(" in body else ""
    return prelude + write + body.replace("  --SWEEP--\n", _SWEEP)


# KEYS: accounts. ARGV: numbers, of which `first` and `last` are those of the time that lies in all windows,
# and after the specs account, unit, limit and soft of every check; hold; owner.
RESERVE = _script(
    "u t c lease sent first last",
    """
if now < first or now >= last then return pack('<dd', 0, now) end
local field, plan, rows, count = 'h' .. ARGV[2], ARGV[1], {}, #KEYS
for i = 1, count do
  local key, value, there, e, l, s, k = KEYS[i], nil, nil, nil, nil, nil, nil
  if i == 1 then
    local found = call('HMGET', key, 'v', field)
    value, there = found[1], found[2]
  else
    value = call('HGET', key, 'v')
  end
  e, l, s, k, at = read('<dddd', plan, at)
  local a = account(value, e, l, s, k)
  --SWEEP--
  if there then there = call('HGET', key, field) end
  if there then return pack('<dd', 1, now) .. string.sub(there, 25, 32) end
  rows[i] = a
end
local soft, index, size = '', -1, #plan
while at <= size do
  local number, unit, limit, is_soft
  number, unit, limit, is_soft, at = read('<dddd', plan, at)
  local a = rows[number]
  local committed, granted = a[4 + unit] + a[7 + unit], a[10 + unit]
  index = index + 1
  if committed + (unit == 1 and u or unit == 2 and t or c) > limit + granted then
    if is_soft == 0 then return pack('<ddddd', 2, now, index, committed, granted) end
    soft = soft .. pack('<d', index)
  end
end
local expires = now + lease
local held = pack('<ddddd', u, t, c, expires, sent) .. ARGV[3]
for i = 1, count do
  local a, due = rows[i], expires
  if sent == 1 then due = a[2] > 0 and expires + a[2] or 0 end
  if due > 0 and (a[14] == 0 or due < a[14]) then a[14] = due end
  a[8], a[9], a[10] = a[8] + u, a[9] + t, a[10] + c
  write(KEYS[i], a, field, held)
end
return pack('<ddd', 1, now, expires) .. soft
""",
)

# KEYS: accounts, ending of the hold. ARGV: numbers, of which `what` is 1 to note that it was sent, with a
# flag for `value`, and 2 to renew, with a lease; hold.
MARK = _script(
    "what value",
    """
if call('EXISTS', KEYS[#KEYS]) == 1 then return 'done' end
local field, rows, holds = 'h' .. ARGV[2], {}, {}
for i = 1, #KEYS - 1 do
  local key, e, l, s, k = KEYS[i], nil, nil, nil, nil
  e, l, s, k, at = read('<dddd', ARGV[1], at)
  local a = account(call('HGET', key, 'v'), e, l, s, k)
  --SWEEP--
  rows[i], holds[i] = a, call('HGET', key, field)
  if not holds[i] then return 'lapsed' end
end
for i = 1, #KEYS - 1 do
  local a, u, t, c, expires, sent, owner = rows[i], read('<ddddd', holds[i])
  if what == 1 then sent = value else expires = now + value end
  local due = expires
  if sent == 1 then due = a[2] > 0 and expires + a[2] or 0 end
  if due > 0 and (a[14] == 0 or due < a[14]) then a[14] = due end
  write(KEYS[i], a, field, pack('<ddddd', u, t, c, expires, sent) .. string.sub(holds[i], owner))
end
return 'ok'
""",
)

# KEYS: accounts, ending of the hold. ARGV: numbers, of which `settled` is 0 for a release, and the rest what
# was spent; hold; how long to remember the ending, in ms. It answers three numbers, what each account
# has spent, and what was granted on each, unless on none.
END = _script(
    "settled u t c",
    """
local count = #KEYS - 1
local ending, how = KEYS[count + 1], settled == 1 and 's' or 'r'
if not call('SET', ending, how, 'PX', ARGV[3], 'NX') then
  if how == 'r' or call('GET', ending) == 's' then return pack('<dd', 0, now) end
  call('SET', ending, how, 'PX', ARGV[3])
end
local field, specs, late, any, spent, rows = 'h' .. ARGV[2], ARGV[1], 0, false, {}, {}
for i = 1, count do
  local key, e, l, s, k, found, index, bucket = KEYS[i], nil, nil, nil, nil, nil, nil, nil
  e, l, s, k, at = read('<dddd', specs, at)
  if l > 0 and settled == 1 then
    index = math.floor(now / s)
    bucket = 'b' .. pack('<d', index)
    found = call('HMGET', key, 'v', field, bucket)
  else
    found = call('HMGET', key, 'v', field)
  end
  local held, a = found[2], account(found[1], e, l, s, k)
  --SWEEP--
  if held and call('HDEL', key, field) == 1 then
    local held_u, held_t, held_c = read('<ddd', held)
    a[8], a[9], a[10] = a[8] - held_u, a[9] - held_t, a[10] - held_c
  else
    held, late = nil, 1
  end
  if settled == 1 then
    a[5], a[6], a[7] = a[5] + u, a[6] + t, a[7] + c
    if bucket then
      -- The step of now has not been swept: it leaves later than now.
      local b_u, b_t, b_c, due = 0, 0, 0, (index + 1) * s + l
      if found[3] then b_u, b_t, b_c = read('<ddd', found[3]) end
      if a[14] == 0 or due < a[14] then a[14] = due end
      write(key, a, bucket, pack('<ddd', b_u + u, b_t + t, b_c + c))
    else
      write(key, a)
    end
  elseif held then
    write(key, a)
  end
  spent[i], rows[i] = pack('<ddd', a[5], a[6], a[7]), a
  any = any or a[11] > 0 or a[12] > 0 or a[13] > 0
end
if any then
  for i = 1, count do
    local a = rows[i]
    spent[count + i] = pack('<ddd', a[11], a[12], a[13])
  end
end
return pack('<ddd', 1, now, late) .. table.concat(spent)
""",
)

# KEYS: account. ARGV: numbers.
GRANT = _script(
    "u t c",
    """
local a = account(call('HGET', KEYS[1], 'v'), read('<dddd', ARGV[1], at))
a[11], a[12], a[13] = a[11] + u, a[12] + t, a[13] + c
write(KEYS[1], a)
return 'ok'
""",
)

# KEYS: account. ARGV: numbers; name.
CLAIM = _script(
    "",
    """
local won = call('HSETNX', KEYS[1], 'a' .. ARGV[2], '1')
write(KEYS[1], account(call('HGET', KEYS[1], 'v'), read('<dddd', ARGV[1], at)))
return won
""",
)

# KEYS: accounts. ARGV: numbers. It answers the time, then nine sums of each account.
SUMS = _script(
    "",
    """
local sums = {}
for i = 1, #KEYS do
  local key, e, l, s, k = KEYS[i], nil, nil, nil, nil
  e, l, s, k, at = read('<dddd', ARGV[1], at)
  local a = account(call('HGET', key, 'v'), e, l, s, k)
  --SWEEP--
  sums[i] = pack('<ddddddddd', a[5], a[6], a[7], a[8], a[9], a[10], a[11], a[12], a[13])
end
return pack('<d', now) .. table.concat(sums)
""",
)

# KEYS: accounts. ARGV: numbers. It answers the time, then for each account its numbers and its holds.
READ = _script(
    "",
    """
local reply = {pack('<d', now)}
for i = 1, #KEYS do
  local key, e, l, s, k = KEYS[i], nil, nil, nil, nil
  local value = call('HGET', key, 'v')
  e, l, s, k, at = read('<dddd', ARGV[1], at)
  local a = account(value, e, l, s, k)
  --SWEEP--
  local found = {pack('<ddddddd', a[5], a[6], a[7], a[11], a[12], a[13], value and a[15] or 0)}
  local flat = value and call('HGETALL', key) or {}
  for j = 1, #flat, 2 do
    if string.byte(flat[j]) == 104 then -- h
      found[#found + 1] = string.sub(flat[j], 2)
      found[#found + 1] = flat[j + 1]
    end
  end
  reply[1 + i] = found
end
return reply
""",
)
