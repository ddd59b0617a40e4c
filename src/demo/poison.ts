// Records that no consumer can read, five kinds of them: a good record whose bytes are damaged on the way out.
// Each has a key of its own, so it never replaces a good record.
import type { GeneratedRecord } from "./generated-record.ts";
import { randomNumbers, type RandomNumbers } from "./random-numbers.ts";

/** A registry id that no registry gives out: ids count up from 1. */
const UNKNOWN_SCHEMA_ID = 0x7fff_fff0;
const HEADER_BYTES = 5;

type Damage = (bytes: Buffer, random: RandomNumbers) => Buffer;

const damages: Readonly<Record<string, Damage>> = {
  "wrong-magic": (bytes) => Buffer.concat([Buffer.of(1), bytes.subarray(1)]),
  "unknown-schema": (bytes) => {
    const copy = Buffer.from(bytes);
    copy.writeInt32BE(UNKNOWN_SCHEMA_ID, 1);
    return copy;
  },
  truncated: (bytes, random) => bytes.subarray(0, random.whole(HEADER_BYTES, bytes.length - 1)),
  empty: () => Buffer.alloc(0),
  // Never 0 first: that would be the magic byte.
  random: (_, random) =>
    Buffer.from(
      Array.from({ length: random.whole(1, 64) }, (_, i) => random.whole(i === 0 ? 1 : 0, 255)),
    ),
};

export const POISON_KINDS: readonly string[] = Object.keys(damages);

/** `poison` records of each kind, the kinds in turn. */
export function poisonOf<V>(
  topic: string,
  value: V,
  options: { readonly seed: number; readonly poison: number },
): readonly GeneratedRecord<V>[] {
  const all = Array.from({ length: options.poison }, (_, n) =>
    Object.entries(damages).map(([kind, damage], k) => {
      const place = n * POISON_KINDS.length + k;
      const key = `poison-${kind}-${String(n + 1)}`;
      // Its own sequence, made at each call: encoding a record twice gives the same bytes.
      const apply = (bytes: Buffer): Buffer => damage(bytes, randomNumbers(~options.seed, place));
      return { topic, key, value, damage: apply };
    }),
  );
  return all.flat();
}

/** `others` at even distances among `total` records. */
export function* interleave<T>(
  records: Iterable<T>,
  total: number,
  others: readonly T[],
): Iterable<T> {
  let given = 0;
  let seen = 0;
  for (const record of records) {
    const due = Math.floor((seen * others.length) / Math.max(total, 1));
    while (given < due) yield others[given++] as T;
    seen++;
    yield record;
  }
  yield* others.slice(given);
}
