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

/**
 * Moves a copy from one position to the next together with its values. Positions are compared as decimal texts: Lua's
 * numbers are exact to 2^53 only. Values before deletions: HDEL is let through without memory, and HSET after it as well.
 * ARGV: format, expected, target, time, time to live in ms or 0; fields with values and fields to delete, both packed.
 */
export const applyScript: Script = script(`
local function unpacked(text)
  local items, count, at = {}, 0, 1
  while at <= #text do
    count = count + 1
    items[count], at = struct.unpack('>I4c0', text, at)
  end
  return items
end
local at = redis.call('HMGET', KEYS[1], '\\0v', '\\0p')
if not at[1] and not at[2] then return 'refused' end
local stored, target = at[2], ARGV[3]
if at[1] ~= ARGV[1] or (stored and stored:find('%D')) then return 'format' end
if not stored then return 'refused' end
if stored ~= ARGV[2] then
  if #stored > #target or (#stored == #target and stored >= target) then return 'already' end
  return 'refused'
end
redis.call('HSET', KEYS[1], '\\0p', target, '\\0t', ARGV[4], unpack(unpacked(ARGV[6])))
if ARGV[7] ~= '' then redis.call('HDEL', KEYS[1], unpack(unpacked(ARGV[7]))) end
if ARGV[5] ~= '0' then redis.call('PEXPIRE', KEYS[1], ARGV[5]) end
return 'applied'
`);

/**
 * An empty copy under a key of its own, whose position counts the pieces put into it. ARGV: format, time to live in ms,
 * the rebuild's token.
 */
export const beginScript: Script = script(`
redis.call('HSET', KEYS[1], '\\0v', ARGV[1], '\\0p', '0', '\\0r', ARGV[3])
redis.call('PEXPIRE', KEYS[1], ARGV[2])
return 'applied'
`);

/**
 * Puts a new copy in the place of the old one, unless pieces are missing. A copy keeps the token of its rebuild, so that
 * this may be tried again. It begins with PERSIST, which is let through without memory: the old copy is what is in excess.
 * KEYS: the copy, the new one. ARGV: format, number of pieces, position, time, token.
 */
export const finishScript: Script = script(`
local at = redis.call('HMGET', KEYS[2], '\\0v', '\\0p')
if at[1] ~= ARGV[1] or at[2] ~= ARGV[2] then
  if redis.call('TYPE', KEYS[1]).ok == 'hash' and redis.call('HGET', KEYS[1], '\\0r') == ARGV[5] then
    return 'already'
  end
  return 'lost'
end
redis.call('PERSIST', KEYS[2])
redis.call('HSET', KEYS[2], '\\0p', ARGV[3], '\\0t', ARGV[4])
redis.call('UNLINK', KEYS[1])
redis.call('RENAME', KEYS[2], KEYS[1])
return 'applied'
`);

/**
 * A page of entries with the position. A cursor means something only within the copy of one rebuild: in another one it
 * begins again. ARGV: token, cursor, entries.
 */
export const scanScript: Script = script(`
local at = redis.call('HMGET', KEYS[1], '\\0v', '\\0p', '\\0r')
if not at[1] and not at[2] then return false end
local token = at[3] or ''
local page = redis.call('HSCAN', KEYS[1], token == ARGV[1] and ARGV[2] or '0', 'COUNT', ARGV[3])
return {at[1], at[2], token, page[1], page[2]}
`);
