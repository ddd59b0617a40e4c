// The dead letters that must be there: one for each record that has a fate of that kind, with its bytes, or as pointer and
// hash where the topic of the letters took no more of it.
import { createHash } from "node:crypto";
import { headerText, type RawRecord } from "../../../src/engine/core/record.ts";
import type { World } from "../world/world.ts";
import { flowTopics, isClean, laterRefusal, type Fate } from "./fates.ts";
import type { Findings } from "./findings.ts";
import { readOrder } from "./naive.ts";
import type { Input } from "./oracle.ts";

export const factOf = ({ headers }: RawRecord, name: string): string =>
  headerText(headers, `dlq.${name}`) ?? "";

const hashOf = (bytes: Buffer | null): string =>
  createHash("sha256")
    .update(bytes ?? Buffer.alloc(0))
    .digest("hex");

/** Told at a table. */
const isOfTable = (letter: RawRecord): boolean => factOf(letter, "stage") === "sink";
const classOf = (fate: Fate): string => (fate === "refused" ? "sink" : fate);

/** Returns how many there must be. */
export async function compareLetters(
  world: World,
  inputs: readonly Input[],
  to: Findings,
): Promise<number> {
  const { checking, app } = world;
  const own = await checking.raw(checking.plan.deadLetters);
  const clean = new CleanOrders(await checking.raw(app.clean.name));
  const ofStream = own.filter((letter) => !isOfTable(letter));
  const count = compareOwn(ofStream, inputs, { topic: app.orders.name, to });
  const ofTable = compareOfTable(own.filter(isOfTable), { inputs, clean }, to);
  return count + ofTable + (await compareOfSums(world, { inputs, clean }, to));
}

interface Expected {
  readonly inputs: readonly Input[];
  readonly clean: CleanOrders;
}

function compareOwn(
  found: readonly RawRecord[],
  inputs: readonly Input[],
  { topic, to }: { readonly topic: string; readonly to: Findings },
): number {
  const isOf = (letter: RawRecord): string =>
    ["class", "partition", "offset"].map((name) => factOf(letter, name)).join(" ");
  const wanted = inputs.filter(({ fate }) => !isClean(fate));
  to.compare(
    found.map(isOf),
    wanted.map(
      ({ fate, partition, offset }) => `${classOf(fate)} ${String(partition)} ${String(offset)}`,
    ),
    "letter",
  );
  const origin = new Map(
    wanted.map((one) => [`${String(one.partition)} ${String(one.offset)}`, one]),
  );
  for (const letter of found) {
    const place = `${factOf(letter, "partition")} ${factOf(letter, "offset")}`;
    const input = origin.get(place) ?? null;
    if (factOf(letter, "topic") !== topic || input === null || !isOriginal(letter, input))
      to.fault(`letter of ${isOf(letter)} is not what was sent`);
  }
  return wanted.length;
}

type Original = Pick<Input, "key" | "value" | "headers" | "letter">;

/** Key and value byte for byte, or their hashes and the place where they lie. */
function isOriginal(letter: RawRecord, { key, value, headers, letter: form }: Original): boolean {
  if (form === "pointer") {
    const wanted = { value, key: key === null ? null : Buffer.from(key, "latin1") };
    return isPointer(letter, wanted) && factOf(letter, "headers-dropped") === String(headers);
  }
  if (factOf(letter, "pointer") !== "") return false;
  if ((letter.key?.toString("latin1") ?? null) !== key) return false;
  return value === null || letter.value === null
    ? value === letter.value
    : letter.value.equals(value);
}

function isPointer(letter: RawRecord, of: Pick<RawRecord, "key" | "value">): boolean {
  const place = ["topic", "partition", "offset"].map((name) => factOf(letter, name)).join("/");
  const isHashed = (["key", "value"] as const).every(
    (side) =>
      letter[side] === null &&
      factOf(letter, `${side}-sha256`) === hashOf(of[side]) &&
      factOf(letter, `${side}-bytes`) === String(of[side]?.length ?? 0),
  );
  return isHashed && factOf(letter, "pointer") === place;
}

/** From a table a letter may come twice, under one id. */
function compareOfTable(
  found: readonly RawRecord[],
  { inputs, clean }: Expected,
  to: Findings,
): number {
  const letters = new Map(found.map((letter) => [factOf(letter, "id"), letter]));
  const wanted = inputs.filter(({ fate }) => fate === "sink");
  to.compare(
    [...letters.values()].map((letter) => clean.textOf(letter)),
    wanted.map(({ order, letter }) => `${order?.id ?? ""} ${letter}`),
    "letter of the table",
  );
  return letters.size;
}

/** Of what was refused by a topic behind the clean one: each names the topic, and the record at which it was found. */
async function compareOfSums(
  world: World,
  { inputs, clean }: Expected,
  to: Findings,
): Promise<number> {
  const topics = flowTopics(world);
  const wanted = inputs.flatMap(({ fate, order, letter }) => {
    const refusal = laterRefusal(fate);
    if (refusal === null) return [];
    const { part, class: letterClass } = refusal;
    const source = part === "main" ? topics.clean : topics.repartition;
    const step = refusal.topic(topics);
    return [[letterClass, part, source, step, order?.id ?? "", letter].join(" ")];
  });
  const found = (await world.summing.raw(topics.lettersOfSums)).map((letter) => {
    const facts = ["class", "part", "topic", "step"].map((name) => factOf(letter, name));
    return [...facts, clean.textOf(letter)].join(" ");
  });
  to.compare(found, wanted, "letter of sums");
  return wanted.length;
}

/** The orders of the clean topic, known by the hash of their bytes, which go on unchanged from there. */
class CleanOrders {
  readonly #byHash: ReadonlyMap<string, RawRecord>;

  constructor(records: readonly RawRecord[]) {
    this.#byHash = new Map(
      records.filter(({ value }) => value !== null).map((record) => [hashOf(record.value), record]),
    );
  }

  /** The id of the order that a letter stands for, and how it lies there. */
  textOf(letter: RawRecord): string {
    const { value } = letter;
    const record = this.#byHash.get(
      value === null ? factOf(letter, "value-sha256") : hashOf(value),
    );
    if (record === undefined || record.value === null) return "of no order";
    const { id, shop } = readOrder(record.value);
    const key = factOf(letter, "part") === "by-shop" ? Buffer.from(shop) : record.key;
    if (value === null)
      return `${id} ${isPointer(letter, { key, value: record.value }) ? "pointer" : "broken"}`;
    const isSame = String(letter.key) === String(key) && factOf(letter, "pointer") === "";
    return `${id} ${isSame ? "whole" : "broken"}`;
  }
}
