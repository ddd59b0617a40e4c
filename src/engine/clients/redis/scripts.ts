// The scripts whose work must happen at once in Redis. Each touches the keys of one slot, reads before it writes, and
// runs on 6.2. Out of memory, a script changes nothing: its first write is the one that Redis may refuse.
import { createHash } from "node:crypto";

export interface Script {
  readonly lua: string;
  readonly sha: string;
}

const script = (lua: string): Script => ({
  lua,
  sha: createHash("sha1").update(lua).digest("hex"),
});

/** The number of members of a copy's index. Something else in its place is an index that is not whole. */
const INDEX_SIZE = `
local size = redis.pcall('ZCARD', KEYS[2])
if type(size) == 'table' and not size.err:find('WRONGTYPE', 1, true) then return size end
`;

/**
 * Moves a copy from one position to the next together with its values and its index. Positions are compared as decimal
 * texts: Lua's numbers are exact to 2^53 only. Values before everything else: HDEL and ZREM are let through without memory,
 * and HSET after them as well. The hash counts the members of its index, so that an index which somebody removed is noticed.
 * KEYS: the copy, its index. ARGV: format, expected, target, time, time to live in ms or 0; fields with values, fields to
 * delete and dues, each as a list in MessagePack; the format without index.
 */
export const applyScript: Script = script(`
local at = redis.call('HMGET', KEYS[1], '\\0v', '\\0p', '\\0d')
if not at[1] and not at[2] then return 'refused' end
if at[1] == ARGV[9] then return 'refused' end
local stored, target = at[2], ARGV[3]
if at[1] ~= ARGV[1] or (stored and (stored:find('%D') or stored:find('^0.') or #stored > 19)) then return 'format' end
if not stored then return 'refused' end
${INDEX_SIZE}
if tostring(size) ~= at[3] then return 'refused' end
if stored ~= ARGV[2] then
  if #stored > #target or (#stored == #target and stored >= target) then return 'already' end
  return 'refused'
end
local pairs, gone, dues = cmsgpack.unpack(ARGV[6]), cmsgpack.unpack(ARGV[7]), cmsgpack.unpack(ARGV[8])
redis.call('HSET', KEYS[1], '\\0p', target, '\\0t', ARGV[4], unpack(pairs))
if #gone > 0 then redis.call('HDEL', KEYS[1], unpack(gone)) end
if #dues > 0 or size > 0 then
  local due, never, count = {}, gone, 0
  for i = 1, #pairs, 2 do
    local score = dues[(i + 1) / 2]
    if score and score ~= '' then
      due[count + 1], due[count + 2] = score, pairs[i]
      count = count + 2
    else
      never[#never + 1] = pairs[i]
    end
  end
  if count > 0 then redis.call('ZADD', KEYS[2], unpack(due)) end
  if size > 0 and #never > 0 then redis.call('ZREM', KEYS[2], unpack(never)) end
  redis.call('HSET', KEYS[1], '\\0d', redis.call('ZCARD', KEYS[2]))
end
if ARGV[5] ~= '0' then
  redis.call('PEXPIRE', KEYS[1], ARGV[5])
  redis.call('PEXPIRE', KEYS[2], ARGV[5])
end
return 'applied'
`);

/**
 * An empty copy under a key of its own, whose position counts the pieces put into it. ARGV: format, time to live in ms,
 * the rebuild's token.
 */
export const beginScript: Script = script(`
redis.call('HSET', KEYS[1], '\\0v', ARGV[1], '\\0p', '0', '\\0d', '0', '\\0r', ARGV[3])
redis.call('PEXPIRE', KEYS[1], ARGV[2])
return 'applied'
`);

/**
 * Puts a new copy and its index in the place of the old ones, unless pieces are missing. A copy keeps the token of its
 * rebuild, so that this may be tried again. It begins with PERSIST, which is let through without memory: the old copy is what
 * is in excess. KEYS: the copy, its index, the new ones. ARGV: format, number of pieces, position, time, token.
 */
export const finishScript: Script = script(`
local at = redis.call('HMGET', KEYS[3], '\\0v', '\\0p', '\\0d')
local size = redis.call('ZCARD', KEYS[4])
if at[1] ~= ARGV[1] or at[2] ~= ARGV[2] or at[3] ~= tostring(size) then
  if redis.call('TYPE', KEYS[1]).ok == 'hash' and redis.call('HGET', KEYS[1], '\\0r') == ARGV[5] then
    return 'already'
  end
  return 'lost'
end
redis.call('PERSIST', KEYS[3])
redis.call('HSET', KEYS[3], '\\0p', ARGV[3], '\\0t', ARGV[4])
redis.call('UNLINK', KEYS[1], KEYS[2])
redis.call('RENAME', KEYS[3], KEYS[1])
if size > 0 then
  redis.call('PERSIST', KEYS[4])
  redis.call('RENAME', KEYS[4], KEYS[2])
end
return 'applied'
`);

/** The position, with whether the index is whole. KEYS: the copy, its index. */
export const positionScript: Script = script(`
local at = redis.call('HMGET', KEYS[1], '\\0v', '\\0p', '\\0t', '\\0d')
${INDEX_SIZE}
return {at[1], at[2], at[3], at[4] == tostring(size) and 1 or 0}
`);

/**
 * Fields that are due, with the position and the due of the field behind them. KEYS: the copy, its index. ARGV: the due before
 * which they lie, fields, and the number of those in front of them that are left out. Of no fields, and -1: the last one lies
 * behind.
 */
export const dueScript: Script = script(`
local at = redis.call('HMGET', KEYS[1], '\\0v', '\\0p', '\\0d')
${INDEX_SIZE}
if at[3] ~= tostring(size) then return {at[1], at[2], 0, {}, {}} end
local found = redis.call('ZRANGEBYSCORE', KEYS[2], '-inf', ARGV[1], 'WITHSCORES', 'LIMIT', ARGV[3], ARGV[2])
local next = ARGV[3] + #found / 2
return {at[1], at[2], 1, found, redis.call('ZRANGE', KEYS[2], next, next, 'WITHSCORES')}
`);

/**
 * A page of entries with the position, and the due of each in the index. A cursor means something only within the copy of one
 * rebuild: in another one it begins again. KEYS: the copy, its index. ARGV: token, cursor, entries.
 */
export const scanScript: Script = script(`
local at = redis.call('HMGET', KEYS[1], '\\0v', '\\0p', '\\0r')
if not at[1] and not at[2] then return false end
local token = at[3] or ''
${INDEX_SIZE}
local page = redis.call('HSCAN', KEYS[1], token == ARGV[1] and ARGV[2] or '0', 'COUNT', ARGV[3])
local dues = {}
if type(size) == 'number' and size > 0 then
  for i = 1, #page[2], 2 do dues[(i + 1) / 2] = redis.call('ZSCORE', KEYS[2], page[2][i]) end
end
return {at[1], at[2], token, page[1], page[2], dues}
`);
