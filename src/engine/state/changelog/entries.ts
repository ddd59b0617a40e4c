// The entries of a changelog as they are read. Whoever may write the topic may write anything there, so each is checked. An
// entry that cannot be read is passed over where a later one of its key can be; where it is the last of its key, nobody
// knows the key's state, and the reader stops before it has taken anything from there on. An entry without key is the state
// of nothing, so it is passed over too. Nothing is passed over in silence.
import { createHash } from "node:crypto";
import { detailOf, isRetriable, MillraceError } from "../../core/errors.ts";
import type { AdminPort, KafkaPort } from "../../core/kafka.ts";
import { readRange, readTopic } from "../../core/read-range.ts";
import { addressOf, type RawRecord, type TopicPartition } from "../../core/record.ts";
import type { StateChange } from "../../core/state.ts";
import type { EntryCodec } from "../entry-codec.ts";

/** An entry that cannot be read. */
export interface EntryFault extends TopicPartition {
  readonly offset: bigint;
  /** Null: it has none. */
  readonly key: Buffer | null;
  readonly why: string;
}

/** A change at its place in the changelog. */
export interface LoggedChange extends StateChange {
  readonly offset: bigint;
  readonly timestamp: number;
}

export interface ChangelogSource {
  readonly changelog: TopicPartition;
  readonly dueOf: EntryCodec["dueOf"];
  readonly kafka: Pick<KafkaPort, "reader">;
  readonly signal?: AbortSignal;
  /** The command that shows and repairs entries that cannot be read. */
  readonly repairCommand: string;
  /** Called for each entry that is passed over. */
  onPassedOver(fault: EntryFault): void;
}

interface ChangesRead {
  readonly changes: readonly LoggedChange[];
  readonly nextOffset: bigint;
}

/** Every partition of a worker may be read at once, and a small change is ten times its bytes in memory. */
const READ_BYTES = 500_000;

const recordsOf = (
  { kafka, changelog, signal }: ChangelogSource,
  from: bigint,
  to: bigint,
): ReturnType<typeof readRange> =>
  readRange(kafka, { ...changelog, from, to }, { signal, maxBytes: READ_BYTES });

/** Throws MILL_STATE_CHANGELOG before anything is handed out of a read whose entries would be missed. */
export async function* readChanges(
  source: ChangelogSource,
  from: bigint,
  to: bigint,
): AsyncGenerator<ChangesRead> {
  let isLooked = false;
  for await (const { records, nextOffset } of recordsOf(source, from, to)) {
    const { changes, faults } = checked(source, records);
    const [first] = faults;
    if (first !== undefined && !isLooked) {
      // Once for all that is left: each look reads to the end.
      refuseLost(source, await lostEntries(source, first.offset, to));
      isLooked = true;
    }
    for (const fault of faults) source.onPassedOver(fault);
    yield { changes, nextOffset };
  }
}

function checked(
  source: ChangelogSource,
  records: readonly RawRecord[],
): { readonly changes: readonly LoggedChange[]; readonly faults: readonly EntryFault[] } {
  const changes: LoggedChange[] = [];
  const faults: EntryFault[] = [];
  for (const record of records) {
    const change = changeOf(source, record);
    if ("why" in change) faults.push(change);
    else changes.push(change);
  }
  return { changes, faults };
}

function changeOf(source: ChangelogSource, record: RawRecord): LoggedChange | EntryFault {
  const { key, value, offset, timestamp } = record;
  if (key === null) return { ...source.changelog, offset, key, why: "it has no key" };
  try {
    // mistake: rebuilt without index
    return { key, value, offset, timestamp, dueMs: dueIn(source, key, value) };
  } catch (error) {
    if (isRetriable(error)) throw error;
    return { ...source.changelog, offset, key: Buffer.from(key), why: whyOf(error) };
  }
}

const dueIn = (source: ChangelogSource, key: Buffer, value: Buffer | null): number | null =>
  value === null ? null : source.dueOf(key, value);

/** The text of a foreign error may quote the value. */
const whyOf = (error: unknown): string =>
  error instanceof MillraceError ? detailOf(error) : "its bytes cannot be read";

/** An entry that cannot be read, and is the newest of its key. */
export interface LostEntry extends EntryFault {
  readonly key: Buffer;
}

export interface LostEntries {
  /** In the order of their offsets. */
  readonly entries: readonly LostEntry[];
  /** There may be more than are kept in memory. */
  readonly isMore: boolean;
  /** Others that cannot be read: they are the state of no key. */
  readonly passedOver: number;
}

/** More than an operator looks at; more is found when these are repaired. */
const LOST_MAX = 10_000;
const LOST_BYTES_MAX = 32_000_000;

export async function lostEntries(
  source: ChangelogSource,
  from: bigint,
  to: bigint,
): Promise<LostEntries> {
  const lost = new Map<string, LostEntry>();
  let [bytes, found] = [0, 0];
  const all = (isMore: boolean): LostEntries => {
    return { entries: inOrder(lost.values()), isMore, passedOver: found - lost.size };
  };
  for await (const { records } of recordsOf(source, from, to))
    for (const record of records) {
      const fault = changeOf(source, record);
      const isFault = "why" in fault;
      if (isFault) found++;
      const { key } = record;
      if (key === null) continue;
      const id = idOf(key);
      if (lost.delete(id)) bytes -= key.length;
      if (!isFault) continue;
      lost.set(id, { ...fault, key: Buffer.from(key) });
      bytes += key.length;
      if (lost.size > LOST_MAX || bytes > LOST_BYTES_MAX) return all(true);
    }
  return all(false);
}

/** The offset of the last entry in front of each that can be read, as far as the changelog still has one, by its own offset. */
export async function lastGoodOf(
  source: ChangelogSource,
  entries: readonly LostEntry[],
  from: bigint,
): Promise<ReadonlyMap<bigint, bigint>> {
  const lost = new Map(entries.map((entry) => [idOf(entry.key), entry.offset]));
  const found = new Map<bigint, bigint>();
  const to = entries.at(-1)?.offset ?? from;
  for await (const { records } of recordsOf(source, from, to))
    for (const record of records) {
      const at = record.key === null ? undefined : lost.get(idOf(record.key));
      if (at === undefined || record.offset >= at) continue;
      if (!("why" in changeOf(source, record))) found.set(at, record.offset);
    }
  return found;
}

const inOrder = <T extends EntryFault>(faults: Iterable<T>): T[] =>
  [...faults].sort((a, b) => (a.offset < b.offset ? -1 : 1));

/** A long key is known by its hash. */
const idOf = (key: Buffer): string =>
  key.length <= 64 ? key.toString("latin1") : createHash("sha256").update(key).digest("base64");

function refuseLost(source: ChangelogSource, { entries, isMore }: LostEntries): void {
  const [first, ...others] = entries;
  if (first === undefined) return;
  const more = others.length === 0 ? "" : `, and ${String(others.length)}${isMore ? "+" : ""} more`;
  throw entryError("MILL_STATE_CHANGELOG", first, `${first.why}${more}`, source);
}

/** Names the entry by its place and the hash of its key, which may be personal data. */
export function entryError(
  code: "MILL_STATE_CHANGELOG" | "MILL_STATE_ENTRY",
  fault: EntryFault,
  why: string,
  { repairCommand }: Pick<ChangelogSource, "repairCommand">,
): MillraceError {
  const { topic, partition, offset } = fault;
  const next = `To see and to repair it: ${repairCommand}`;
  return new MillraceError(code, `${faultPlace(fault)}: ${why}. ${next}`, {
    where: { topic, partition, offset },
  });
}

export const faultPlace = ({ key, offset, ...at }: EntryFault): string =>
  `${addressOf(at)} at ${String(offset)}, key ${key === null ? "none" : hashOf(key)}`;

const hashOf = (key: Buffer): string =>
  `sha256:${createHash("sha256").update(key).digest("hex").slice(0, 16)}`;

/**
 * Whether the changelog says what a copy says of a key. Throws what is wrong with the value, at its place, when it does; returns
 * when it says something else, so that the copy is at fault.
 */
export async function blame(
  source: ChangelogSource & { readonly admin: Pick<AdminPort, "watermarks"> },
  key: Buffer,
  value: Buffer,
  why: MillraceError,
): Promise<void> {
  const { changelog, admin, kafka } = source;
  let newest: { readonly offset: bigint; readonly isSame: boolean } | null = null;
  for await (const record of readTopic(changelog.topic, { kafka, admin }, changelog.partition))
    if (record.key?.equals(key) === true)
      newest = { offset: record.offset, isSame: record.value?.equals(value) === true };
  if (newest?.isSame !== true) return;
  const fault = { ...changelog, offset: newest.offset, key, why: detailOf(why) };
  throw entryError("MILL_STATE_ENTRY", fault, fault.why, source);
}
