// Damage to copies of state in Redis, by somebody who writes there behind everybody's back: what becomes of one entry or of the
// position, and what `millrace state verify` must say of it.
import assert from "node:assert/strict";
import type { Redis } from "ioredis";
import type { StoreComparison } from "../../src/engine/operate/comparison.ts";

/** A copy of a store on a partition, by its key. */
export interface DamagedCopy {
  readonly redis: Redis;
  readonly key: string;
  /** The field of the entry that is damaged. */
  readonly field: Buffer;
}

export interface Damage {
  readonly name: string;
  /** Only entries that are due have a member of the index. */
  readonly ofDue: boolean;
  does(copy: DamagedCopy): Promise<unknown>;
  readonly counts: StoreComparison["counts"];
  readonly problem: RegExp | null;
  /** The copy is behind its changelog then. */
  readonly isBehind?: boolean;
}

const none = { missing: 0, extra: 0, different: 0 };
const missing = { ...none, missing: 1 };
const extra = { ...none, extra: 1 };
const different = { ...none, different: 1 };
const indexOf = ({ key }: DamagedCopy): string => `${key}:due`;
const LAST_BYTE = 0xff;
const DAY_MS = 86_400_000;
const lostMembers = /has lost or won members/;

export const damages: readonly Damage[] = [
  {
    ...{ name: "a value is changed", ofDue: false, counts: different, problem: null },
    does: async ({ redis, key, field }) => {
      const value = (await redis.hgetBuffer(key, field)) ?? assert.fail("the entry is there");
      value[value.length - 1] = (value.at(-1) ?? 0) ^ LAST_BYTE;
      await redis.hset(key, field, value);
    },
  },
  {
    ...{ name: "an entry is gone", ofDue: false, counts: missing, problem: null },
    does: ({ redis, key, field }) => redis.hdel(key, field),
  },
  {
    ...{ name: "an entry is too many", ofDue: false, counts: extra, problem: null },
    does: async ({ redis, key, field }) => {
      const value = (await redis.hgetBuffer(key, field)) ?? assert.fail("the entry is there");
      await redis.hset(key, Buffer.concat([field, Buffer.from("-another")]), value);
    },
  },
  {
    ...{ name: "a due is gone", ofDue: true, counts: different, problem: lostMembers },
    does: (copy) => copy.redis.zrem(indexOf(copy), copy.field),
  },
  {
    ...{ name: "a due is gone and its number too", ofDue: true, counts: different, problem: null },
    does: async (copy) => {
      await copy.redis.zrem(indexOf(copy), copy.field);
      await copy.redis.hincrby(copy.key, "\0d", -1);
    },
  },
  {
    ...{ name: "a due is put off", ofDue: true, counts: different, problem: null },
    does: (copy) => copy.redis.zincrby(indexOf(copy), DAY_MS, copy.field),
  },
  {
    ...{ name: "a due is brought forward", ofDue: true, counts: different, problem: null },
    does: (copy) => copy.redis.zincrby(indexOf(copy), -DAY_MS, copy.field),
  },
  {
    ...{ name: "the index has one more", ofDue: true, counts: none, problem: lostMembers },
    does: (copy) => copy.redis.zadd(indexOf(copy), 1, "nobody"),
  },
  {
    ...{ name: "the position is ahead", ofDue: false, counts: none, problem: /^the copy is ahead/ },
    does: ({ redis, key }) => redis.hset(key, "\0p", "1000000000"),
  },
  {
    ...{ name: "the position is behind", ofDue: false, counts: none, problem: null },
    ...{ isBehind: true },
    does: ({ redis, key }) => redis.hset(key, "\0p", "0"),
  },
  {
    ...{
      name: "the position is none",
      ofDue: false,
      counts: none,
      problem: /position is no offset/,
    },
    does: ({ redis, key }) => redis.hset(key, "\0p", "somewhere"),
  },
  {
    ...{ name: "the time of the position is none", ofDue: false, counts: none },
    ...{ problem: /its time is none/ },
    does: ({ redis, key }) => redis.hset(key, "\0t", "now"),
  },
  {
    ...{ name: "the copy is gone", ofDue: false, counts: none, problem: /there is no copy/ },
    does: (copy) => copy.redis.unlink(copy.key, indexOf(copy)),
  },
];

const RESERVED = /^\0[^k]/;

/** The fields of entries of a copy, in the order of their bytes; of those that are due alone where it is asked for. */
export async function fieldsOf(redis: Redis, key: string, ofDue: boolean): Promise<Buffer[]> {
  const fields = ofDue
    ? await redis.zrangeBuffer(`${key}:due`, 0, -1)
    : (await redis.hkeysBuffer(key)).filter((one) => !RESERVED.test(one.toString("latin1")));
  return fields.sort((a, b) => a.compare(b));
}
