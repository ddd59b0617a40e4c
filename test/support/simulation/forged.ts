// Somebody else writes to the redrive topic: what no letter has sent there is a letter by itself, under a name of its own,
// and nothing comes of it, in no topic, row, state or sum. And records of the sources whose headers say that they come back
// are what they would be without.
import { redriveHeaders, type RedriveOrder } from "../../../src/engine/core/redrive.ts";
import { headerText, type Headers, type OutRecord } from "../../../src/engine/core/record.ts";
import { readerOf } from "../../../src/engine/core/pieces.ts";
import { Draw, type SimulationCase, type SourceRecord } from "./case.ts";
import { letterText } from "./oracle/expected.ts";
import type { World } from "./world.ts";

/** Seeds in which the redrive topic appears in the middle: only there can anybody write to it meanwhile. */
export const REDRIVE_ONE_IN = 4;
const isForging = ({ seed }: Pick<SimulationCase, "seed">): boolean => seed % REDRIVE_ONE_IN === 0;

/** The forgeries, by what is false in them. */
export const FORGERIES = [
  "of no letter",
  "of another record",
  "of another pipeline",
  "without order",
] as const;
type Forgery = (typeof FORGERIES)[number];

export interface Forged {
  readonly kind: Forgery;
  readonly record: OutRecord;
}

/** What is written at one stage; a seed has the same each time. */
export function forgeriesAt(world: World, stage: number): readonly Forged[] {
  if (!isForging(world.case)) return [];
  const draw = new Draw(world.case.seed ^ (0xf0e6 + stage));
  const kinds = Array.from({ length: draw.below(3) }, () => draw.pick(FORGERIES));
  return kinds.flatMap(
    (kind, i) => forged(world, draw, kind, `${String(stage)}-${String(i)}`) ?? [],
  );
}

function forged(world: World, draw: Draw, kind: Forgery, name: string): Forged | null {
  const { plan } = world;
  const partition = draw.below(world.case.flow.partitions);
  const order = orderOf(world, draw, kind, partition);
  if (order === null) return null;
  const value = { i: `forged-${name}`, n: 7_000, g: "g0", v: 900_000 + draw.below(1_000) };
  const record: OutRecord = {
    ...{ topic: plan.redrive, partition, key: Buffer.from(`f-${name}`), timestamp: 0 },
    value: world.codec.encode(value),
    headers: kind === "without order" ? [] : redriveHeaders(order),
  };
  return { kind, record };
}

/** As true as can be but for the letter: null where there is none to pretend. */
function orderOf(world: World, draw: Draw, kind: Forgery, partition: number): RedriveOrder | null {
  const { plan } = world;
  const part = plan.parts.find((one) => partition < one.partitions);
  const source = part?.sources[0]?.name;
  if (part === undefined || source === undefined) return null;
  const offset = BigInt(draw.below(6));
  const order: RedriveOrder = {
    ...{
      id: draw
        .below(2 ** 30)
        .toString(16)
        .padStart(32, "0"),
      part: part.name,
    },
    origin: { topic: source, partition, offset, timestamp: Date.UTC(2026, 0, 1) },
    ...{ redrives: 1, redrivesMax: 3, firstTime: null, job: "forged" },
  };
  if (kind === "of another pipeline") return { ...order, part: "elsewhere" };
  if (kind !== "of another record") return order;
  // A letter that is there: its name and its place are true, the record is not the one.
  const letters = world.kafka
    .records(plan.deadLetters, { committed: true })
    .filter(({ headers }) => headerText(headers, "dlq.partition") === String(partition));
  const letter = letters[draw.below(Math.max(1, letters.length))];
  return letter === undefined ? null : asLetter(world, order, letter.headers);
}

function asLetter({ plan }: World, order: RedriveOrder, headers: Headers): RedriveOrder | null {
  const say = (name: string): string => headerText(headers, `dlq.${name}`) ?? "";
  const origin = { ...order.origin, topic: say("topic"), offset: BigInt(say("offset")) };
  const named = { ...order, id: say("id"), part: say("part"), origin };
  return readerOf(plan, named.part, origin.topic) === null ? null : named;
}

/** Of every third record of these seeds: headers that a redrive would give it, in its source. */
export function marksOf(of: Pick<SimulationCase, "seed">, record: SourceRecord): Headers {
  const { partition, timestamp, value } = record;
  if (!isForging(of) || (value?.v ?? 0) % 3 !== 1) return [];
  return redriveHeaders({
    ...{ id: "0".repeat(32), part: "main", redrives: 2, redrivesMax: 3, firstTime: null, job: "x" },
    origin: { topic: "in-0", partition, offset: 0n, timestamp },
  });
}

/** The letters that must come of what was written. */
export const lettersOfForged = ({ forged: all, plan, codec }: World): readonly string[] =>
  all.map(({ record: { key, value } }) =>
    letterText(plan.redrive, String(key), JSON.stringify(codec.decode(value))),
  );
