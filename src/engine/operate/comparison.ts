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
  /** The first few. */
  readonly samples: readonly { readonly key: Buffer; readonly is: Difference }[];
  /** The fault of the copy as a whole, which was then not compared; null: none. */
  readonly problem: string | null;
}

export const isSame = ({ counts, problem }: StoreComparison): boolean =>
  problem === null && counts.missing + counts.extra + counts.different === 0;

const SAMPLES_MAX = 10;
const PAGE = 1_000;

/** The entries of a copy while it was scanned. */
interface Scanned {
  readonly entries: ReadonlyMap<string, string>;
  /** The least and the greatest position of its answers. */
  readonly from: bigint;
  readonly to: bigint;
}

/** All values together may not fit into memory. The due in the index counts like the value. */
const digest = (value: Buffer, dueMs: number | null): string =>
  `${createHash("sha256").update(value).digest("base64")} ${String(dueMs)}`;
const idOf = (key: Buffer): string => key.toString("latin1");

export async function compare(at: StorePartition, ports: OperatePorts): Promise<StoreComparison> {
  const scanned = await scan(at);
  const marks = await ports.admin.watermarks(at.store.changelog.name);
  const mark = marks.find(({ partition }) => partition === at.partition);
  if (mark === undefined)
    throw new MillraceError("MILL_TOPIC_PARTITIONS", `${at.store.changelog.name} is too narrow`);
  const problem = problemOf(scanned, mark);
  const isEmpty = scanned === "nothing" && mark.low === mark.high;
  if (typeof scanned === "string" || problem !== null)
    return wholly(at, isEmpty ? null : (problem ?? "there is no copy"));
  const truth = await truthAt(at, scanned, mark, ports);
  return typeof truth === "string" ? wholly(at, truth) : differences(at, scanned, truth);
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
  return { entries, from: positions[0] ?? 0n, to: positions.at(-1) ?? 0n };
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
  samples: [],
  problem,
});

type Truth = Exclude<Awaited<ReturnType<typeof truthAt>>, string>;

/** To the end, although the copy may be behind it: compaction takes an older value away when there is a newer one. */
async function truthAt(
  at: StorePartition,
  scanned: Scanned,
  mark: Watermarks,
  ports: OperatePorts,
) {
  const entries = new Map<string, string>();
  const moving = new Set<string>();
  try {
    for await (const { changes } of readChanges(changelogOf(at, ports), mark.low, mark.high))
      for (const { key, value, offset, dueMs } of changes) {
        const id = idOf(key);
        if (offset >= scanned.from) moving.add(id);
        else if (value === null) entries.delete(id);
        else entries.set(id, digest(value, dueMs));
      }
  } catch (error) {
    if (!(error instanceof MillraceError) || error.code !== "MILL_STATE_CHANGELOG") throw error;
    return error.message;
  }
  return { entries, moving };
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
  const { size: moving } = truth.moving;
  return { store: store.name, partition, keys: ids.size, counts, moving, samples, problem: null };
}

function differenceOf(truth: string | undefined, copy: string | undefined): Difference | null {
  if (truth === copy) return null;
  if (copy === undefined) return "missing";
  return truth === undefined ? "extra" : "different";
}
