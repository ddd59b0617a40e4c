// Looks up one key of a store, in its copy and in its changelog.
import { detailOf, MillraceError } from "../core/errors.ts";
import type { Plan, PlanStore } from "../core/plan.ts";
import { readTopic } from "../core/read-range.ts";
import type { Codec, SchemaFormat } from "../core/schema.ts";
import { compileCodec } from "../decode/codec.ts";
import { entryError } from "../state/changelog/entries.ts";
import { entryCodec, isOfEntry } from "../state/entry-codec.ts";
import type { OperatePorts } from "./choice.ts";
import { changelogOf, partitionsOf, type StoreChangelog, type StorePartition } from "./stores.ts";

/** The value is in its codec's bytes; null: the key was deleted, and its time alone is kept. */
export interface FoundEntry {
  readonly timestamp: number;
  /** The last ms at which it is not due; null: it never is. */
  readonly dueMs: number | null;
  readonly value: Buffer | null;
}

export interface LookedUp {
  readonly partition: number;
  readonly copy: FoundEntry | null;
  readonly changelog: FoundEntry | null;
  /** behind: the copy has not come so far yet, which is no fault. unread: copies are in the memory of workers. */
  readonly verdict: "same" | "behind" | "different" | "unread";
}

/** The key's bytes in the store. Keys that are neither text, number nor JSON are named by their bytes. */
export function keyBytes({ name, changelog }: PlanStore, text: string): Buffer {
  const key = changelog.key;
  if (key.kind === "bytes") return Buffer.from(text, "utf8");
  const codec = compileCodec(key, { schemas: { get: () => undefined }, writerId: null });
  const bytes = codec.encode(keyValue(name, key, text));
  if (bytes !== null) return bytes;
  throw new MillraceError("MILL_USAGE", `${name} has no such key`);
}

function keyValue(store: string, format: SchemaFormat, text: string): unknown {
  if (format.kind === "string") return text;
  if (format.kind === "long") return Number(text);
  const expected = `keys of ${store} are ${format.kind}: give the bytes with --key-base64`;
  throw new MillraceError("MILL_USAGE", expected);
}

/** Values as bytes, whatever the store's format. */
const plain: Codec = {
  encode: (value) => value as Buffer,
  decode: (bytes) => bytes,
  unknownId: () => null,
};

/**
 * Null when neither side has the key. A record's partition is its producer's choice, so every one is asked where `partition`
 * is null.
 */
export async function lookUp(
  plan: Plan,
  store: PlanStore,
  key: Buffer,
  partition: number | null,
  ports: OperatePorts,
): Promise<LookedUp | null> {
  // None where they are in the memory of workers.
  const isInMemory = plan.options.state === "memory";
  const found = isInMemory ? [] : partitionsOf(plan, { store: store.name, partition }, ports);
  const copies = await Promise.all(found.map((at) => readCopy(at, key)));
  const only = copies.find(({ value }) => value !== null)?.partition ?? partition;
  const all = Array.from({ length: store.changelog.partitions }, (_, index) => index);
  for (const index of only === null ? all : [only]) {
    const truth = await newest(store, key, index, ports);
    const copy = copies.find((one) => one.partition === index) ?? null;
    const at = { plan, store, partition: index };
    const entries = {
      copy: copiedEntry(at, key, copy?.value),
      changelog: loggedEntry(at, key, truth, ports),
    };
    if (entries.copy !== null || entries.changelog !== null)
      return { partition: index, ...entries, verdict: verdictOf(copy, truth) };
  }
  return null;
}

const entryOf = (
  { name }: PlanStore,
  key: Buffer,
  bytes: Buffer | null | undefined,
): FoundEntry | null => {
  if (!bytes) return null;
  const { timestamp, dueMs, value } = entryCodec(plain, name).decode(key, bytes);
  return { timestamp, dueMs, value: value as Buffer | null };
};

export function copiedEntry(
  { plan, store, partition }: StoreChangelog,
  key: Buffer,
  value: Buffer | null | undefined,
): FoundEntry | null {
  try {
    return entryOf(store, key, value);
  } catch (error) {
    if (!isOfEntry(error)) throw error;
    const mend = `npx millrace state rebuild ${plan.pipeline} ${store.name} --partition ${String(partition)}`;
    throw new MillraceError("MILL_STATE_COPY", `${detailOf(error)}. To make it anew: ${mend}`);
  }
}

export function loggedEntry(
  at: StoreChangelog,
  key: Buffer,
  { value, offset }: Newest,
  ports: OperatePorts,
): FoundEntry | null {
  try {
    return entryOf(at.store, key, value);
  } catch (error) {
    if (!isOfEntry(error)) throw error;
    const source = changelogOf(at, ports);
    const fault = { ...source.changelog, offset, key, why: detailOf(error) };
    throw entryError("MILL_STATE_CHANGELOG", fault, fault.why, source);
  }
}

export interface InCopy {
  readonly partition: number;
  readonly position: bigint | null;
  readonly value: Buffer | null;
}

async function readCopy({ copy, partition }: StorePartition, key: Buffer): Promise<InCopy> {
  const { nextOffset, values } = await copy.read([key]);
  return { partition, position: nextOffset, value: values[0] ?? null };
}

export interface Newest {
  readonly offset: bigint;
  readonly value: Buffer | null;
}

/** The last change of the key in the changelog; offset -1 when there is none. */
async function newest(
  { changelog }: PlanStore,
  key: Buffer,
  partition: number,
  ports: OperatePorts,
): Promise<Newest> {
  let found: Newest = { offset: -1n, value: null };
  for await (const { key: other, value, offset } of readTopic(changelog.name, ports, partition))
    if (other !== null && key.equals(other))
      found = { offset, value: value === null ? null : Buffer.from(value) };
  return found;
}

export function verdictOf(copy: InCopy | null, truth: Newest): LookedUp["verdict"] {
  if (copy === null) return "unread";
  const isSame =
    truth.value === null ? copy.value === null : copy.value?.equals(truth.value) === true;
  if (isSame) return "same";
  return copy.position === null || truth.offset >= copy.position ? "behind" : "different";
}
