// Compares what a run has left behind with what the oracle says.
import { createHash } from "node:crypto";
import type { Part } from "../../../src/engine/core/plan.ts";
import { ledgerTotals } from "../../../src/engine/core/ledger.ts";
import { headerText, type RawRecord } from "../../../src/engine/core/record.ts";
import { ledgerOfPart, type TaskProgress } from "../../../src/engine/core/progress.ts";
import { letterId } from "../../../src/engine/letters/letter.ts";
import type { StoreId } from "../../../src/engine/core/state.ts";
import { entryCodec } from "../../../src/engine/state/entry-codec.ts";
import { plainCodec } from "../stores.ts";
import {
  keyText,
  letterText,
  type Expected,
  type ExpectedLedger,
  type ExpectedTopic,
} from "./oracle/expected.ts";
import { lettersOfForged } from "./forged.ts";
import { expectedOf } from "./oracle/oracle.ts";
import { wrongBounded } from "./operators/windows/bounded-check.ts";
import { wrongSequence } from "./operators/sequence.ts";
import { REFERENCE_OUT, wrongAnswer } from "./reference.ts";
import type { Value } from "./values.ts";
import type { World } from "./world.ts";

export type Check =
  "order" | "totals" | "loading" | "rows" | "letters" | "ledger" | "copies" | "locks" | "stuck";

export interface Failure {
  readonly check: Check;
  readonly reason: string;
}

/** The first thing that is wrong, or null. */
export async function checked(
  world: World,
  progress: readonly TaskProgress[],
): Promise<Failure | null> {
  const want = expectedOf(world.case);
  return (
    wrongs(world) ??
    outputs(world, want) ??
    sequences(world, want) ??
    answers(world) ??
    rows(world, want) ??
    bounded(world, want, progress) ??
    letters(world, want) ??
    ledgers(world, want, progress) ??
    locks(world) ??
    (await copies(world, want))
  );
}

const failed = (check: Check, what: string, want: unknown, found: unknown): Failure => ({
  check,
  reason: `${what}: expected ${textOf(want)}, found ${textOf(found)}`,
});
const textOf = (value: unknown): string =>
  JSON.stringify(value, (_, one: unknown) =>
    one instanceof Map ? Object.fromEntries(one) : typeof one === "bigint" ? String(one) : one,
  );
const isSame = (a: unknown, b: unknown): boolean => textOf(a) === textOf(b);

/** Nothing here may stop a task or end a worker, and what the engine writes itself it can read. */
function wrongs({ wrongs: told, living, log }: World): Failure | null {
  const unread = log.lines.find(({ facts }) => /^MILL_STATE_C/.test(String(facts["code"])));
  if (unread !== undefined) return failed("copies", "what is read of state", null, unread);
  const stopped = living.flatMap(({ worker }) =>
    worker.health().filter(({ state }) => state === "stopped"),
  );
  const all = [...told, ...stopped.map(textOf)];
  return all.length === 0 ? null : { check: "stuck", reason: all.join("; ") };
}

type Found = Map<string, (Value | null)[]>;

function foundIn(world: World, topic: string): Found {
  const found: Found = new Map();
  for (const { key, value, partition } of world.kafka.records(topic, { committed: true })) {
    const name = keyText(key === null ? null : String(key), partition);
    const read = value === null ? null : (JSON.parse(String(value)) as Value);
    found.set(name, [...(found.get(name) ?? []), read]);
  }
  return found;
}

/** Nobody who asks is read before what was there to load first. */
function answers(world: World): Failure | null {
  if (world.case.flow.hasReference !== true) return null;
  const wrong = wrongAnswer(world.case, foundIn(world, REFERENCE_OUT));
  return wrong === null ? null : { check: "loading", reason: wrong };
}

function bounded(world: World, want: Expected, progress: readonly TaskProgress[]): Failure | null {
  const wrong = wrongBounded(world, want, progress);
  return wrong === null ? null : { check: "totals", reason: wrong };
}

function sequences({ kafka }: World, want: Expected): Failure | null {
  const wrong = wrongSequence(want, (topic) => kafka.records(topic, { committed: true }));
  return wrong === null ? null : { check: "order", reason: wrong };
}

function outputs(world: World, want: Expected): Failure | null {
  for (const [topic, expected] of want.topics) {
    const found = foundIn(world, topic);
    const keys = new Set([...found.keys(), ...expected.items.keys()]);
    for (const key of [...keys].sort()) {
      const failure = ofKey(`${topic} ${key}`, expected, key, found.get(key) ?? []);
      if (failure !== null) return failure;
    }
  }
  return null;
}

function allInOrder(
  what: string,
  want: readonly unknown[],
  found: readonly unknown[],
): Failure | null {
  if (isSame(want, found)) return null;
  const sorted = (values: readonly unknown[]): string[] => values.map(textOf).sort();
  const isOrder = isSame(sorted(want), sorted(found));
  return failed(isOrder ? "order" : "totals", what, want, found);
}

function ofKey(
  what: string,
  { kind, isHeld, items }: ExpectedTopic,
  key: string,
  found: readonly (Value | null)[],
): Failure | null {
  if (kind === "any") return null;
  const all = items.get(key) ?? [];
  const want = all.map(({ value }) => value);
  if (isHeld) return heldOf(what, want, found, kind === "told");
  // Two topics may have records without a key, and one task reads both.
  if (kind === "ordered" && !key.startsWith("null@")) return allInOrder(what, want, found);
  if (kind === "told") {
    const isRight = want.length === found.length && isSame(want.at(-1), found.at(-1));
    return isRight ? null : failed("totals", what, [want.length, want.at(-1)], found);
  }
  return mixed(what, all, found);
}

/** The last is there, and what is there was told in this order. */
function heldOf(
  what: string,
  want: readonly unknown[],
  found: readonly unknown[],
  isFree: boolean,
): Failure | null {
  if (!isSame(want.at(-1), found.at(-1))) return failed("totals", what, want.at(-1), found);
  if (isFree) return found.length <= want.length ? null : failed("totals", what, want, found);
  let at = 0;
  for (const one of want) if (at < found.length && isSame(one, found[at])) at++;
  return at === found.length ? null : failed("order", what, want, found);
}

/** Each origin's values in their order, and as many tombstones, which have no names. */
function mixed(
  what: string,
  all: readonly { readonly value: Value | null; readonly origin: string }[],
  found: readonly (Value | null)[],
): Failure | null {
  const origins = new Map(all.map(({ value, origin }) => [textOf(value), origin]));
  const byOrigin = (list: readonly (Value | null)[]): unknown => {
    const parts = new Map<string, (Value | null)[]>();
    for (const value of list) {
      const origin = value === null ? "tombstones" : (origins.get(textOf(value)) ?? "nowhere");
      parts.set(origin, [...(parts.get(origin) ?? []), value]);
    }
    return new Map([...parts].sort(([a], [b]) => (a < b ? -1 : 1)));
  };
  const [wanted, is] = [byOrigin(all.map(({ value }) => value)), byOrigin(found)];
  if (isSame(wanted, is)) return null;
  return failed(found.length === all.length ? "order" : "totals", what, wanted, is);
}

function rows(world: World, want: Expected): Failure | null {
  for (const [table, expected] of want.rows) {
    const found = new Map<string, unknown>();
    const prefix = `row "public"."${table}" `;
    for (const [name, row] of world.postgres.committed)
      if (name.startsWith(prefix)) {
        const { id, n, v, i } = row;
        found.set(String(id), { id, n: Number(n), v: Number(v), i });
      }
    const sorted = (of: Map<string, unknown>): unknown => [...of.values()].map(textOf).sort();
    if (!isSame(sorted(expected), sorted(found)))
      return failed("rows", table, sorted(expected), sorted(found));
  }
  return null;
}

/** From a stream part each letter is there once; from a sink at least once, with the same id. */
function letters(world: World, want: Expected): Failure | null {
  const records = world.kafka.records(world.plan.deadLetters, { committed: true });
  const sinks = world.plan.parts.filter(({ table }) => table !== null);
  const seen = new Set<string>();
  const found: string[] = [];
  const ofSources = [...want.letters, ...want.perhaps, ...lettersOfForged(world)].flatMap(hashesOf);
  const hashes = new Map([...ofSources, ...(world.policy?.texts ?? [])]);
  for (const letter of records) {
    const id = headerText(letter.headers, "dlq.id") ?? "";
    const isAgain = seen.has(id);
    seen.add(id);
    const mayRepeat = sinks.some(({ name }) => id === idOf(world, name, letter));
    if (!isAgain || !mayRepeat) found.push(letterOf(world, letter, hashes));
  }
  const forged = lettersOfForged(world);
  // After a failover, a letter that a table's task owes comes with its next owner only.
  const isLate = world.postgres.failovers > 0;
  const all = isLate ? want.letters : [...want.letters, ...forged];
  const missing = without(all, found);
  const more = without(without(found, all), isLate ? [...want.perhaps, ...forged] : want.perhaps);
  if (missing.length + more.length === 0) return null;
  return { check: "letters", reason: `missing ${textOf(missing)}, too many ${textOf(more)}` };
}

/** One list less another, each as often as it is there. */
function without(from: readonly string[], what: readonly string[]): string[] {
  const left = [...from];
  for (const one of what) {
    const at = left.indexOf(one);
    if (at >= 0) left.splice(at, 1);
  }
  return left;
}

/** Different letters of one part. */
function lettersOfPart(world: World, part: string): number {
  const records = world.kafka.records(world.plan.deadLetters, { committed: true });
  // What is read of the redrive topic is in a ledger of its own.
  const own = records.filter(({ headers }) => {
    return headerText(headers, "dlq.topic") !== world.plan.redrive;
  });
  const ids = own.map((letter) => [
    headerText(letter.headers, "dlq.id") ?? "",
    idOf(world, part, letter),
  ]);
  return new Set(ids.filter(([id, named]) => id === named).map(([id]) => id)).size;
}

function idOf({ plan }: World, part: string, { headers }: RawRecord): string {
  const say = (name: string): string => headerText(headers, `dlq.${name}`) ?? "";
  const at = { topic: say("topic"), partition: Number(say("partition")) };
  return letterId({ pipeline: plan.pipeline, part }, { ...at, offset: BigInt(say("offset")) });
}

/** Topics between parts put more in front of a value's JSON. */
function plainText(value: Buffer | null, topic: string): string {
  const text = String(value ?? "-");
  return topic.startsWith("in-") ? text : text.slice(Math.max(0, text.indexOf("{")));
}

/** Keys and values of letters, by their hashes. */
function hashesOf(text: string): [string, string][] {
  const [, key = "", ...value] = text.split(" ");
  return [key, value.join(" ")].map((part) => [
    createHash("sha256")
      .update(part === "-" ? "" : part)
      .digest("hex"),
    part,
  ]);
}

/** A pointer says once more where the record lies. */
function isElsewhere(headers: RawRecord["headers"]): boolean {
  const say = (name: string): string => headerText(headers, `dlq.${name}`) ?? "";
  const place = `${say("topic")}/${say("partition")}/${say("offset")}`;
  return say("pointer") !== "" && say("pointer") !== place;
}

function letterOf(
  world: World,
  { headers, key, value }: RawRecord,
  hashes: ReadonlyMap<string, string>,
): string {
  const topic = headerText(headers, "dlq.topic") ?? "";
  // A letter that its topic refused tells hashes of what it was.
  const known = (side: string): string | undefined =>
    hashes.get(headerText(headers, `dlq.${side}-sha256`) ?? "");
  const [hashedKey, hashedValue] = [known("key"), known("value")];
  if (isElsewhere(headers)) return `a pointer to another record than its own of ${topic}`;
  if (hashedValue !== undefined) return letterText(topic, hashedKey ?? null, hashedValue);
  // No JSON begins so, between parts neither.
  const isAvro = value?.[0] === 0;
  const text = isAvro ? JSON.stringify(world.codec.decode(value)) : plainText(value, topic);
  return letterText(topic, key === null ? null : String(key), text);
}

function ledgers(world: World, want: Expected, progress: readonly TaskProgress[]): Failure | null {
  for (const part of world.plan.parts) {
    const failure =
      ledgerOf(world, part, want.ledgers.get(part.name), progress) ??
      behindTime(world, part, progress);
    if (failure !== null) return failure;
  }
  return null;
}

function ledgerOf(
  world: World,
  { name, table }: Part,
  expected: ExpectedLedger = { counts: {}, isLoose: false, isMixed: false },
  progress: readonly TaskProgress[],
): Failure | null {
  // Keys that go on ahead of their time, and late results, belong to no record.
  const beside = { behind: {}, evicted: {}, "late-results": {} };
  const found = ledgerTotals({ ...ledgerOfPart(progress, name), ...beside });
  const { consumed = 0, ...outcomes } = found;
  const sum = Object.values(outcomes).reduce((a, b) => a + b, 0);
  if (consumed !== sum) return failed("ledger", `${name} balances`, consumed, sum);
  if (expected.isLoose) return null;
  const lettersTold = lettersOfPart(world, name);
  const dead = found["dead-lettered"] ?? 0;
  // A letter may have been sent of what a failover took back, and what then came out otherwise.
  const isRight = world.postgres.failovers > 0 ? dead <= lettersTold : dead === lettersTold;
  if (!isRight) return failed("ledger", `letters of ${name}`, lettersTold, dead);
  const of = certainOf(world, table !== null && expected.isMixed);
  if (isSame(of(expected.counts), of(found))) return null;
  return failed("ledger", name, of(expected.counts), of(found));
}

/** Only letters that come back may be behind the time of an operator (W4): nothing is ever quiet here. */
function behindTime(
  world: World,
  { name }: Part,
  progress: readonly TaskProgress[],
): Failure | null {
  const { behind = {} } = ledgerOfPart(progress, name);
  if (Object.keys(behind).length === 0 || hasRedrives(world)) return null;
  return failed("ledger", `records of ${name} behind their watermarks`, {}, behind);
}

/** Whether letters have come back, also ones that were purged since. */
const hasRedrives = ({ kafka, plan: { redrive: topic, parts } }: World): boolean =>
  kafka.hasTopic(topic) &&
  Array.from(
    { length: Math.max(...parts.map(({ partitions }) => partitions)) },
    (_, partition) => kafka.offsets({ topic, partition }).high,
  ).some((high) => high > 0n);

/** The part of a ledger that is certain. */
const certainOf = ({ case: { flow } }: World, isMixed: boolean): ((counts: Counts) => unknown) =>
  isMixed ? (flow.refuses ? unhidden : unordered) : sorted;

type Counts = Readonly<Record<string, number>>;
/** Which of two tasks' rows comes later is free. */
const unordered = ({ emitted = 0, superseded = 0, ...others }: Counts): unknown =>
  sorted({ ...others, rows: emitted + superseded });
/** A row that would be refused may lie under a newer one of its batch. */
const unhidden = ({ consumed = 0, tombstone = 0, filtered = 0 }: Counts): unknown => [
  consumed,
  tombstone,
  filtered,
];
const sorted = (counts: Counts): unknown =>
  Object.entries(counts).sort(([a], [b]) => (a < b ? -1 : 1));

/** Rows are locked in one order, so nobody waits in a circle; only a second try after a refusal may. */
const locks = ({ postgres, case: { flow } }: World): Failure | null =>
  flow.refuses || postgres.deadlocks === 0
    ? null
    : failed("locks", "circles of transactions that wait for each other", 0, postgres.deadlocks);

/** Each copy, brought up to the end of its changelog, is its changelog; and that is the oracle's state. */
async function copies(world: World, want: Expected): Promise<Failure | null> {
  const codec = entryCodec(plainCodec, "any");
  const stores = world.plan.parts.flatMap((part) => part.stores);
  for (const { name, changelog } of stores) {
    const records = world.kafka.records(changelog.name, { committed: true });
    const truth = new Map<string, string>();
    putAll(truth, records);
    const failure = await copiesOf(world, name, records);
    if (failure !== null) return failure;
    const expected = want.stores.get(name);
    if (expected === undefined) continue;
    const values = [...truth].map(([key, hex]): [string, unknown] => [
      key,
      codec.decode(Buffer.from(key, "latin1"), Buffer.from(hex, "hex")).value,
    ]);
    if (!isSame(inOrder(expected), inOrder(new Map(values))))
      return failed("copies", `changelog of ${name}`, inOrder(expected), inOrder(new Map(values)));
  }
  return null;
}

async function copiesOf(
  world: World,
  store: string,
  records: readonly RawRecord[],
): Promise<Failure | null> {
  for (const id of world.redis.stores().filter((one) => one.store === store)) {
    const { position, entries, dues } = await world.redis.look(id);
    if (position === null) continue;
    const failure = indexOf(id, entries, dues);
    if (failure !== null) return failure;
    const own = records.filter(({ partition }) => partition === id.partition);
    const beyond = own.filter(({ offset }) => offset >= position.nextOffset);
    const copy = new Map([...entries].map(([key, value]) => [key, value.toString("hex")]));
    const truth = new Map<string, string>();
    putAll(truth, own);
    putAll(copy, beyond);
    const what = `copy of ${store} ${String(id.partition)}`;
    if (!isSame(inOrder(truth), inOrder(copy)))
      return failed("copies", what, inOrder(truth), inOrder(copy));
  }
  return null;
}

/** The index of a copy is that of its entries. */
function indexOf(
  { store, partition }: StoreId,
  entries: ReadonlyMap<string, Buffer>,
  dues: ReadonlyMap<string, number>,
): Failure | null {
  const { dueOf } = entryCodec(plainCodec, "any");
  const want = new Map<string, number>();
  for (const [key, bytes] of entries) {
    const dueMs = dueOf(Buffer.from(key, "latin1"), bytes);
    if (dueMs !== null) want.set(key, dueMs);
  }
  if (isSame(inOrder(want), inOrder(dues))) return null;
  return failed("copies", `index of ${store} ${String(partition)}`, inOrder(want), inOrder(dues));
}

function putAll(map: Map<string, string>, changes: readonly RawRecord[]): void {
  for (const { key, value } of changes) put(map, key?.toString("latin1") ?? "", value);
}

const put = (map: Map<string, string>, key: string, value: Buffer | null): void => {
  if (value === null) map.delete(key);
  else map.set(key, value.toString("hex"));
};
const inOrder = (map: ReadonlyMap<string, unknown>): [string, unknown][] =>
  [...map].sort(([a], [b]) => (a < b ? -1 : 1));
