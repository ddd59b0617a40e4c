// The contents of a store for a record's key, where that is several entries: windows, buffers, what waits for its order. The changelog is
// read whole, since such entries have keys of their own, and the copy is asked for those that are found.
import type { Plan, PlanStore } from "../../core/plan.ts";
import { readTopic } from "../../core/read-range.ts";
import type { EntryReader } from "../../core/state-reader.ts";
import type { OperatePorts } from "../choice.ts";
import {
  copiedEntry,
  loggedEntry,
  verdictOf,
  type FoundEntry,
  type LookedUp,
  type Newest,
} from "../lookup.ts";
import { changelogsOf, copyOf, type StoreChangelog } from "../stores.ts";

/** An entry under its own key. */
export interface KeyedEntry extends FoundEntry {
  readonly key: Buffer;
}

export interface EntriesOfKey {
  readonly partition: number;
  readonly changelog: readonly KeyedEntry[];
  /** Null where copies are in the memory of workers. */
  readonly copy: readonly KeyedEntry[] | null;
  readonly verdict: LookedUp["verdict"];
}

/** Null when no partition has anything of the key. Null for `partition` asks all. */
export async function entriesOfKey(
  { plan, store, reader }: { readonly plan: Plan; readonly store: PlanStore; reader: EntryReader },
  key: Buffer,
  partition: number | null,
  ports: OperatePorts,
): Promise<EntriesOfKey | null> {
  for (const at of changelogsOf(plan, { store: store.name, partition })) {
    const found = await entriesAt(at, (entry) => reader.mayBeOf(entry, key), ports);
    const { changelog, copy } = found;
    if (changelog.length + (copy?.length ?? 0) > 0) return { partition: at.partition, ...found };
  }
  return null;
}

async function entriesAt(
  at: StoreChangelog,
  isWanted: (entry: Buffer) => boolean,
  ports: OperatePorts,
): Promise<Omit<EntriesOfKey, "partition">> {
  const newest = await newestOf(at, isWanted, ports);
  const keys = [...newest.keys()].map((id) => Buffer.from(id, "latin1"));
  const truths = [...newest.values()];
  const logged = keys.map((key, i) => loggedEntry(at, key, truths[i] as Newest, ports));
  const changelog = present(keys, logged);
  if (at.plan.options.state === "memory") return { changelog, copy: null, verdict: "unread" };
  const { nextOffset: position, values } = await copyOf(at, ports).read(keys);
  const copied = keys.map((key, i) => copiedEntry(at, key, values[i]));
  const verdicts = truths.map((truth, i) => {
    return verdictOf({ partition: at.partition, position, value: values[i] ?? null }, truth);
  });
  return { changelog, copy: present(keys, copied), verdict: worst(verdicts) };
}

/** Entries that have a value. */
const present = (
  keys: readonly Buffer[],
  entries: readonly (FoundEntry | null)[],
): readonly KeyedEntry[] =>
  entries.flatMap((entry, i) =>
    entry === null || entry.value === null ? [] : [{ ...entry, key: keys[i] as Buffer }],
  );

const RANK: readonly LookedUp["verdict"][] = ["same", "behind", "different"];
const worst = (verdicts: readonly LookedUp["verdict"][]): LookedUp["verdict"] =>
  RANK[Math.max(0, ...verdicts.map((verdict) => RANK.indexOf(verdict)))] ?? "same";

/** The last change of each entry that is wanted. */
async function newestOf(
  { store: { changelog }, partition }: StoreChangelog,
  isWanted: (entry: Buffer) => boolean,
  ports: OperatePorts,
): Promise<Map<string, Newest>> {
  const newest = new Map<string, Newest>();
  for await (const { key, value, offset } of readTopic(changelog.name, ports, partition))
    if (key !== null && isWanted(key)) {
      const own = value === null ? null : Buffer.from(value);
      newest.set(key.toString("latin1"), { offset, value: own });
    }
  return newest;
}
