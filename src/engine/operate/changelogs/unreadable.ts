// Entries of a store's changelog that cannot be read, as an operator sees them, and their repair: the last good entry of each
// key is written again, or the key is deleted where none is left. While no worker runs, since one that runs writes the same keys.
import { untilEmpty } from "../../core/empty-groups.ts";
import { assert } from "../../core/errors.ts";
import { learnAll } from "../../core/learn-all.ts";
import { readRange, watermarksOf } from "../../core/read-range.ts";
import { addressOf, type OutRecord } from "../../core/record.ts";
import type { WriterSchemas } from "../../core/schema.ts";
import { sendOnce } from "../../core/send-once.ts";
import type { StateCopy } from "../../core/state.ts";
import { compileCodec } from "../../decode/codec.ts";
import {
  lastGoodOf,
  lostEntries,
  type ChangelogSource,
  type LostEntry,
} from "../../state/changelog/entries.ts";
import { entryCodec } from "../../state/entry-codec.ts";
import type { OperatePorts } from "../choice.ts";
import { changelogOf, type StoreChangelog } from "../stores.ts";

export interface UnreadableEntry extends LostEntry {
  /** The value that a repair writes: that of this offset in the changelog, the copy's, or none. */
  readonly cure: { readonly offset: bigint } | "copy" | "tombstone";
}

export interface Unreadable {
  readonly entries: readonly UnreadableEntry[];
  /** There are more, which are found when these are repaired. */
  readonly isMore: boolean;
  /** Others that cannot be read, which nothing depends on: a later one replaces them, or they have no key. */
  readonly passedOver: number;
}

/** The schemas of writers, for a look into the values too. */
export interface ValueSchemas {
  get: WriterSchemas["get"];
  learn(ids: Iterable<number>): Promise<void>;
}

export interface UnreadableRequest extends StoreChangelog {
  /** Null where copies are in the memory of workers. */
  readonly copy: StateCopy | null;
  /** Null: only what lies in front of the values is looked at. */
  readonly values: ValueSchemas | null;
}

export async function unreadableEntries(
  at: UnreadableRequest,
  ports: OperatePorts,
): Promise<Unreadable> {
  const source = await sourceOf(at, ports);
  const { low, high } = await markOf(at, ports);
  const { entries, ...found } = await lostEntries(source, low, high);
  const good = entries.length === 0 ? new Map() : await lastGoodOf(source, entries, low);
  const cured: UnreadableEntry[] = [];
  for (const entry of entries) {
    const offset = good.get(entry.offset) as bigint | undefined;
    const isInCopy = offset === undefined && (await inCopy(at.copy, source, entry)) !== null;
    cured.push({
      ...entry,
      cure: offset !== undefined ? { offset } : isInCopy ? "copy" : "tombstone",
    });
  }
  return { entries: cured, ...found };
}

async function sourceOf(
  { values, ...at }: UnreadableRequest,
  ports: OperatePorts,
): Promise<ChangelogSource> {
  const source = changelogOf(at, ports);
  if (values === null) return source;
  const { name, changelog, ...rules } = at.store;
  const options = { schemas: values, writerId: null };
  const codec = entryCodec(compileCodec(changelog.value, options), name, rules);
  const { low, high } = await markOf(at, ports);
  for await (const { records } of readRange(ports.kafka, {
    ...source.changelog,
    from: low,
    to: high,
  }))
    await learnAll(
      () => records.flatMap(({ value }) => (value === null ? [] : (codec.unknownId(value) ?? []))),
      (ids) => values.learn(ids),
    );
  return { ...source, dueOf: (key, bytes) => codec.decode(key, bytes).dueMs };
}

async function markOf(
  { store, partition }: StoreChangelog,
  { admin }: Pick<OperatePorts, "admin">,
): Promise<{ readonly low: bigint; readonly high: bigint }> {
  const marks = await watermarksOf(admin, [store.changelog.name]);
  return marks.get(addressOf({ topic: store.changelog.name, partition })) ?? { low: 0n, high: 0n };
}

/** The value of a copy that has come as far as the entry: that of the entry before, which is in the log no longer. */
async function inCopy(
  copy: StateCopy | null,
  source: ChangelogSource,
  { key, offset }: LostEntry,
): Promise<Buffer | null> {
  if (copy === null) return null;
  try {
    const { nextOffset, values } = await copy.read([key]);
    const [value = null] = values;
    if (nextOffset === null || value === null) return null;
    source.dueOf(key, value);
    return (await isAsNew(source, nextOffset, offset)) ? value : null;
  } catch {
    // A copy that cannot be asked, or whose value is no better, has nothing to give.
    return null;
  }
}

/** A copy that is further behind is not looked at. */
const BEHIND_MAX = 100_000n;

/**
 * Whether nothing of the key can have been in the log between the copy's position and the entry. A copy stands in front of the
 * marker of the last transaction, which is no record; an offset more than that may be of a record that compaction has taken.
 */
async function isAsNew(
  { kafka, changelog }: ChangelogSource,
  from: bigint,
  to: bigint,
): Promise<boolean> {
  if (from >= to || to - from > BEHIND_MAX) return from >= to;
  let others = to - from;
  for await (const { records } of readRange(kafka, { ...changelog, from, to }))
    others -= BigInt(records.length);
  return others <= 1n;
}

const ENTRIES_A_SEND = 100;

/**
 * Waits until the store's part has no member. An entry that is not the newest of its key any more is left alone. Returns how many
 * were written.
 */
export async function repairUnreadable(
  at: UnreadableRequest,
  wrong: readonly UnreadableEntry[],
  ports: OperatePorts,
): Promise<number> {
  const part = at.plan.parts.find(({ stores }) =>
    stores.some(({ name }) => name === at.store.name),
  );
  assert(part !== undefined, "a store belongs to a part");
  await untilEmpty([part.group], ports);
  const now = new Set((await unreadableEntries(at, ports)).entries.map(({ offset }) => offset));
  const still = wrong.filter(({ offset }) => now.has(offset));
  const source = await sourceOf(at, ports);
  for (let from = 0; from < still.length; from += ENTRIES_A_SEND) {
    const records: OutRecord[] = [];
    for (const entry of still.slice(from, from + ENTRIES_A_SEND)) {
      const value = await curedValue(at, source, entry, ports);
      const { topic, partition, key } = entry;
      records.push({ topic, partition, key, value, headers: [], timestamp: ports.clock.now() });
    }
    await sendOnce(ports.kafka, records);
  }
  return still.length;
}

async function curedValue(
  { copy }: UnreadableRequest,
  source: ChangelogSource,
  entry: UnreadableEntry,
  { kafka }: OperatePorts,
): Promise<Buffer | null> {
  const { cure } = entry;
  if (cure === "tombstone") return null;
  if (cure === "copy") return inCopy(copy, source, entry);
  const { offset } = cure;
  const range = { ...source.changelog, from: offset, to: offset + 1n };
  for await (const { records } of readRange(kafka, range))
    for (const record of records) if (record.key?.equals(entry.key) === true) return record.value;
  return null;
}
