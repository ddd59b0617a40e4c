// Compares a copy with its changelog, key by key, also while a worker moves both. Keys that the changelog has changed
// since the copy was first looked at are left out; every other key must have the same bytes on both sides.
import { createHash } from "node:crypto";
import { MillraceError } from "../core/errors.ts";
import type { Watermarks } from "../core/kafka.ts";
import type { OperatePorts } from "./choice.ts";
import { readChanges } from "../state/changelog/entries.ts";
import { changelogOf, type StorePartition } from "./stores.ts";

export type Difference = "missing" | "extra" | "different";

export interface StoreComparison {
  readonly store: string;
  readonly partition: number;
  /** Keys that were compared. */
  readonly keys: number;
  readonly counts: Readonly<Record<Difference, number>>;
  /** Changed in the changelog meanwhile, or not yet in the copy: not compared. */
  readonly moving: number;
  /** Changes that the copy lacks, of those that were there when it was first looked at: no fault. */
  readonly behind: number;
  /** The first few. */
  readonly samples: readonly { readonly key: Buffer; readonly is: Difference }[];
  /** The fault of the copy as a whole; null: none. Its keys are compared all the same where it is that of its index alone. */
  readonly problem: string | null;
}

export const isSame = ({ counts, problem }: StoreComparison): boolean =>
  problem === null && counts.missing + counts.extra + counts.different === 0;

const SAMPLES_MAX = 10;
const PAGE = 1_000;

/** The entries of a copy while it was scanned. */
interface Scanned {
  readonly entries: ReadonlyMap<string, string>;
  readonly hasWholeIndex: boolean;
  /** The least and the greatest position of its answers. */
  readonly from: bigint;
  readonly to: bigint;
}

/** All values together may not fit into memory. The due in the index counts like the value. */
const digest = (value: Buffer, dueMs: number | null): string =>
  `${createHash("sha256").update(value).digest("base64")} ${String(dueMs)}`;
const idOf = (key: Buffer): string => key.toString("latin1");

export async function compare(at: StorePartition, ports: OperatePorts): Promise<StoreComparison> {
  const { high: begun } = await markOf(at, ports);
  const scanned = await scan(at);
  const mark = await markOf(at, ports);
  const problem = problemOf(scanned, mark);
  const isEmpty = scanned === "nothing" && mark.low === mark.high;
  if (typeof scanned === "string" || problem !== null)
    return wholly(at, isEmpty ? null : (problem ?? "there is no copy"));
  const truth = await truthAt(at, scanned, { ...mark, begun }, ports);
  if (typeof truth === "string") return wholly(at, truth);
  const found = differences(at, scanned, truth);
  return scanned.hasWholeIndex ? found : { ...found, problem: NO_WHOLE_INDEX };
}

const NO_WHOLE_INDEX =
  "its index of what is due has lost or won members, so a worker makes it anew";

async function markOf(
  { store: { changelog }, partition }: StorePartition,
  { admin }: OperatePorts,
): Promise<Watermarks> {
  const marks = await admin.watermarks(changelog.name);
  const mark = marks.find((one) => one.partition === partition);
  if (mark !== undefined) return mark;
  throw new MillraceError("MILL_TOPIC_PARTITIONS", `${changelog.name} is too narrow`);
}

/** "nothing" without a copy; a message for what is not a copy. */
async function scan(at: StorePartition): Promise<Scanned | string> {
  try {
    return await pages(at);
  } catch (error) {
    const isBroken =
      error instanceof MillraceError && /^MILL_STATE_(TYPE|FORMAT|COPY)$/.test(error.code);
    if (!isBroken) throw error;
    return error.message;
  }
}

async function pages({ copy }: StorePartition): Promise<Scanned | string> {
  const before = await copy.position();
  const entries = new Map<string, string>();
  const positions: bigint[] = [];
  let cursor: string | null = null;
  do {
    const page = await copy.scan(cursor, PAGE);
    if (page.nextOffset === null)
      return positions.length === 0 ? "nothing" : "the copy went away meanwhile";
    positions.push(page.nextOffset);
    for (const { key, value, dueMs } of page.entries) entries.set(idOf(key), digest(value, dueMs));
    cursor = page.cursor;
  } while (cursor !== null);
  positions.sort((a, b) => (a < b ? -1 : 1));
  // A copy that has entries and no position now has no whole index, unless it was made anew meanwhile.
  const hasWholeIndex = before !== null || (await copy.position()) !== null;
  return { entries, hasWholeIndex, from: positions[0] ?? 0n, to: positions.at(-1) ?? 0n };
}

function problemOf(scanned: Scanned | string, { low, high }: Watermarks): string | null {
  if (scanned === "nothing") return null;
  if (typeof scanned === "string") return scanned;
  const range = `the changelog has ${String(low)} to ${String(high)}`;
  if (scanned.from < low) return `the copy stands at ${String(scanned.from)}, ${range}`;
  if (scanned.to > high) return `the copy is ahead, at ${String(scanned.to)}: ${range}`;
  return null;
}

const none: StoreComparison["counts"] = { missing: 0, extra: 0, different: 0 };

const wholly = ({ store, partition }: StorePartition, problem: string | null): StoreComparison => ({
  store: store.name,
  partition,
  keys: 0,
  counts: none,
  moving: 0,
  behind: 0,
  samples: [],
  problem,
});

type Truth = Exclude<Awaited<ReturnType<typeof truthAt>>, string>;

/** To the end, although the copy may be behind it: compaction takes an older value away when there is a newer one. */
async function truthAt(
  at: StorePartition,
  scanned: Scanned,
  mark: Watermarks & { readonly begun: bigint },
  ports: OperatePorts,
) {
  const entries = new Map<string, string>();
  const moving = new Set<string>();
  let behind = 0;
  try {
    for await (const { changes } of readChanges(changelogOf(at, ports), mark.low, mark.high))
      for (const { key, value, offset, dueMs } of changes) {
        const id = idOf(key);
        if (offset >= scanned.to && offset < mark.begun) behind++;
        if (offset >= scanned.from) moving.add(id);
        else if (value === null) entries.delete(id);
        else entries.set(id, digest(value, dueMs));
      }
  } catch (error) {
    if (!(error instanceof MillraceError) || error.code !== "MILL_STATE_CHANGELOG") throw error;
    return error.message;
  }
  return { entries, moving, behind };
}

function differences(
  { store, partition }: StorePartition,
  { entries }: Scanned,
  truth: Truth,
): StoreComparison {
  const counts = { ...none };
  const samples: { key: Buffer; is: Difference }[] = [];
  const ids = new Set([...truth.entries.keys(), ...entries.keys()]);
  for (const id of truth.moving) ids.delete(id);
  for (const id of ids) {
    const is = differenceOf(truth.entries.get(id), entries.get(id));
    if (is === null) continue;
    counts[is]++;
    if (samples.length < SAMPLES_MAX) samples.push({ key: Buffer.from(id, "latin1"), is });
  }
  const { behind, moving } = truth;
  const found = { keys: ids.size, counts, moving: moving.size, behind, samples, problem: null };
  return { store: store.name, partition, ...found };
}

function differenceOf(truth: string | undefined, copy: string | undefined): Difference | null {
  if (truth === copy) return null;
  if (copy === undefined) return "missing";
  return truth === undefined ? "extra" : "different";
}
