// One case of the simulation as data: a pipeline, the records that are sent to it, and what befalls it meanwhile. A seed
// makes one; a shrunk one is written down as JSON and played again.
import type { Random } from "../../../src/engine/core/ports.ts";
import { seededRandom } from "../../../src/engine/testing/doubles/seeded-random.ts";
import { withJoins } from "./joins.ts";
import { withBounded, withOperator } from "./operators/case.ts";
import { drawFaults, type Fault } from "./plan-of-faults.ts";
import { withReference } from "./reference.ts";
import { withTimes, type TimesSpec } from "./times.ts";
import { withTimers } from "./timers.ts";
import type { Value } from "./values.ts";
import { withWindows } from "./windows.ts";

export type Op =
  | "map"
  | "filter"
  | "flat"
  | "expect"
  | "strict"
  | "split"
  | "distinct"
  | "state"
  | "aggregate"
  | "reduce"
  | "count"
  | "sum"
  | "min"
  | "max"
  | "avg"
  | "timers"
  | "windows"
  | "join"
  | "slides"
  | "calendar"
  | "process"
  | "ordered"
  | "wall"
  | "suppressed"
  | "counted"
  | "bounded"
  | "tail"
  | "group-own"
  | "group-shared"
  | "to"
  | "table";

/** A step of a pipeline and what follows it. */
export interface Node {
  readonly id: string;
  readonly op: Op;
  readonly by: number;
  readonly then: readonly Node[];
}

export interface FlowSpec {
  readonly partitions: number;
  readonly state: "redis" | "memory";
  /** Source topics, merged where there are two. */
  readonly sources: number;
  readonly format: "json" | "avro";
  /** Tables refuse some rows. */
  readonly refuses: boolean;
  readonly roots: readonly Node[];
  /** Brokers refuse some records; left out where they take all. */
  readonly salt?: number;
  /** Steps from the first source straight into a table, in its own part. */
  readonly direct: readonly Node[] | null;
  /** A stream from a source of its own, which hangs together with the others by nothing; left out where there is none. */
  readonly apart?: readonly Node[];
  /** Values tell their times, some of which are no use. */
  readonly times?: TimesSpec;
  /** A reference topic that is loaded first, and one beside it, behind all other sources. */
  readonly hasReference?: true;
}

export interface SourceRecord {
  /** Behind those that are merged comes that of the stream apart. */
  readonly source: number;
  readonly partition: number;
  readonly key: string | null;
  /** Null: a tombstone. */
  readonly value: Value | null;
  readonly isPoison?: boolean;
  readonly timestamp: number;
}

/** Days pass, the log cleaner comes, and perhaps Redis is put back from an old backup. */
export interface Night {
  readonly days: number;
  readonly isRestored: boolean;
}

/** Some records are sent, then time passes; much more if a night follows. */
export interface Stage {
  readonly records: readonly SourceRecord[];
  readonly waitMs: number;
  readonly night?: Night;
}

export interface Sizes {
  readonly workers: number;
  readonly checkpointIntervalMs: number;
  readonly checkpointRecordsMax: number;
  readonly sliceRecordsMax: number;
  readonly batchRecordsMax: number;
  readonly inboxBytesMax: number;
  readonly cacheBytesMax: number;
  /** Share of calls that take time on their way. */
  readonly slowCalls: number;
}

export interface SimulationCase {
  readonly seed: number;
  readonly flow: FlowSpec;
  readonly sizes: Sizes;
  /** Records that are there before the first worker comes. */
  readonly before?: readonly SourceRecord[];
  readonly stages: readonly Stage[];
  readonly faults: readonly Fault[];
}

/** Draws from a seed. */
export class Draw {
  readonly #random: Random;
  constructor(seed: number) {
    this.#random = seededRandom(Math.imul(seed, 0x9e3779b1) ^ 0x5bd1e995);
  }
  below = (most: number): number => Math.floor(this.#random.next() * most);
  between = (least: number, most: number): number => least + this.below(most - least + 1);
  chance = (share: number): boolean => this.#random.next() < share;
  pick = <T>(from: readonly T[]): T => from[this.below(from.length)] as T;
  /** Small numbers more often. */
  few = (most: number): number => Math.floor(this.#random.next() ** 2 * most);
}

const REFUSING_ONE_IN = 5;

export function caseOf(seed: number): SimulationCase {
  const draw = new Draw(seed);
  const drawnFlow = drawFlow(draw);
  // By the seed itself: what is drawn of a seed stays what it was before there were refusals.
  const isRefusing = seed % REFUSING_ONE_IN === 0 && drawnFlow.format === "json";
  const flow = isRefusing ? { ...drawnFlow, salt: seed } : drawnFlow;
  const drawn = { flow, stages: drawStages(draw, flow), sizes: drawSizes(draw) };
  const faults = drawFaults(draw, drawn);
  // Drawn by themselves, so that a seed is what it was where nothing of this is drawn.
  const split = withApart(new Draw(seed ^ 0x0a9a), drawn);
  const timed = withTimes(new Draw(seed ^ 0x7133), split);
  const whole = withTimers(new Draw(seed ^ 0x71e5), timed);
  const windowed = withWindows(new Draw(seed ^ 0x3179), whole);
  const joined = withJoins(new Draw(seed ^ 0x101e), windowed);
  const timing = withOperator(new Draw(seed ^ 0x0b5e), { ...joined, faults });
  const referring = withReference(new Draw(seed ^ 0x10ad), timing);
  const bounded = withBounded(new Draw(seed ^ 0xb005), { ...referring, faults: timing.faults });
  return { seed, ...drawn, ...referring, ...bounded };
}

const APART_SHARE = 0.2;

interface Drawn {
  readonly flow: FlowSpec;
  readonly stages: readonly Stage[];
}

/** The case again, some of them with a stream beside the others and records for it. */
function withApart(draw: Draw, { flow, stages }: Drawn): Drawn {
  if (!draw.chance(APART_SHARE)) return { flow, stages };
  const drawing = new Drawing(draw, flow.partitions, 1, "p");
  // It goes to topics, through no topic of the pipeline's own.
  drawing.groups = drawing.tables = 1;
  const start: Place = { depth: 0, isFree: false, isWrapped: false, isLast: false };
  const apart = [drawing.node(start)];
  let made = 0;
  const record = (timestamp: number): SourceRecord => {
    const partition = draw.below(flow.partitions);
    const [i, v] = [`p${String(made)}`, made++];
    const value = { i, n: draw.below(40), g: `g${String(draw.below(3))}`, v };
    const key = `p${String(draw.below(2))}-${String(partition)}`;
    const at = { source: flow.sources, partition, key, timestamp };
    return draw.chance(0.05) ? { ...at, value, isPoison: true } : { ...at, value };
  };
  const fuller = (stage: Stage): Stage => {
    const timestamp = stage.records.at(-1)?.timestamp ?? START_MS;
    const more = Array.from({ length: draw.between(1, 6) }, () => record(timestamp));
    return { ...stage, records: [...stage.records, ...more] };
  };
  return { flow: { ...flow, apart }, stages: stages.map(fuller) };
}

export function drawSizes(draw: Draw): Sizes {
  return {
    workers: draw.pick([1, 1, 2, 2, 2, 3]),
    checkpointIntervalMs: draw.pick([40, 80, 100]),
    checkpointRecordsMax: draw.pick([4, 20_000, 20_000]),
    sliceRecordsMax: draw.pick([2, 5, 2_000, 2_000]),
    batchRecordsMax: draw.pick([2, 7, 500]),
    inboxBytesMax: draw.pick([150, 4_000_000, 4_000_000]),
    cacheBytesMax: draw.pick([0, 0, 1_200, 64_000_000, 64_000_000]),
    slowCalls: draw.pick([0, 0.1, 0.3, 0.6]),
  };
}

/** What may still be drawn at a place of the pipeline. */
interface Place {
  readonly depth: number;
  /** Several tasks write what lies under one key: its order is free. */
  readonly isFree: boolean;
  /** Values have lost their names. */
  readonly isWrapped: boolean;
  readonly isLast: boolean;
}

const stateless: readonly Op[] = ["map", "filter", "flat", "expect", "strict", "split"];
const commutative: readonly Op[] = ["count", "sum", "min", "max", "avg"];

class Drawing {
  readonly #draw: Draw;
  readonly #partitions: number;
  readonly #sources: number;
  readonly #prefix: string;
  #count = 0;
  groups = 0;
  tables = 0;

  constructor(draw: Draw, partitions: number, sources: number, prefix = "n") {
    this.#prefix = prefix;
    this.#draw = draw;
    this.#partitions = partitions;
    this.#sources = sources;
  }

  node(place: Place): Node {
    const draw = this.#draw;
    const id = `${this.#prefix}${String(++this.#count)}`;
    const by = draw.below(5);
    const op = place.isLast || place.depth >= 4 ? this.#end(place) : this.#step(place);
    const then = op === "to" || op === "table" ? [] : this.#followers(place, op);
    return { id, op, by: op === "table" ? this.#tableBy(place) : by, then };
  }

  /** 1: its rows lie under the shared key, by version. */
  #tableBy({ isFree, isWrapped }: Place): number {
    if (isWrapped) return 0;
    return isFree || this.#draw.chance(0.6) ? 1 : 0;
  }

  #end(_place: Place): Op {
    if (this.tables >= 1 || !this.#draw.chance(0.3)) return "to";
    this.tables++;
    return "table";
  }

  #step(place: Place): Op {
    const draw = this.#draw;
    if (place.depth > 0 && draw.chance(0.15)) return this.#end(place);
    if (this.groups < 1 && draw.chance(0.2)) {
      this.groups++;
      const canShare = !place.isFree && !place.isWrapped;
      return canShare && draw.chance(0.7) ? "group-shared" : "group-own";
    }
    const ordered: readonly Op[] = ["distinct", "state", "aggregate", "reduce", ...commutative];
    if (draw.chance(0.4)) return draw.pick(stateless);
    return draw.pick(place.isFree ? commutative : ordered);
  }

  /** Several tasks write under the new key. */
  #frees(op: Op): boolean {
    return op === "group-shared" && (this.#partitions > 1 || this.#sources > 1);
  }

  #followers(place: Place, op: Op): Node[] {
    const draw = this.#draw;
    const isAggregate = commutative.includes(op) || op === "aggregate";
    const next: Place = {
      depth: place.depth + 1,
      isFree: place.isFree || this.#frees(op),
      isWrapped: place.isWrapped || isAggregate,
      isLast: isAggregate && (place.isFree || draw.chance(0.4)),
    };
    const branches = draw.chance(0.2) && this.#count < 8 ? 2 : 1;
    return Array.from({ length: branches }, () => this.node(next));
  }
}

function drawFlow(draw: Draw): FlowSpec {
  const partitions = draw.pick([1, 2, 2, 2, 3, 4]);
  const sources = draw.chance(0.15) ? 2 : 1;
  const drawing = new Drawing(draw, partitions, sources);
  const start: Place = { depth: 0, isFree: false, isWrapped: false, isLast: false };
  const onlyDirect = draw.chance(0.08);
  const roots = onlyDirect
    ? []
    : Array.from({ length: draw.chance(0.25) ? 2 : 1 }, () => drawing.node(start));
  const hasDirect = onlyDirect || (drawing.tables === 0 && draw.chance(0.2));
  return {
    partitions,
    state: draw.chance(0.8) ? "redis" : "memory",
    sources: onlyDirect ? 1 : sources,
    format: draw.chance(0.1) ? "avro" : "json",
    refuses: draw.chance(0.35),
    roots,
    direct: hasDirect ? drawDirect(draw) : null,
  };
}

function drawDirect(draw: Draw): Node[] {
  const ops: readonly Op[] = ["map", "filter", "flat", "expect", "strict"];
  const steps = Array.from({ length: draw.below(3) }, (_, i): Node => {
    return { id: `d${String(i)}`, op: draw.pick(ops), by: draw.below(5), then: [] };
  });
  return [...steps, { id: "d-rows", op: "table", by: draw.chance(0.6) ? 1 : 0, then: [] }];
}

const START_MS = Date.UTC(2026, 0, 1);

/** Records from first to last: the last stage comes after all faults. */
function drawStages(draw: Draw, flow: FlowSpec): Stage[] {
  const count = draw.between(3, 5);
  const keys = draw.between(1, 4);
  let made = 0;
  let timeMs = START_MS;
  const record = (): SourceRecord => {
    const source = draw.below(flow.sources);
    const partition = draw.below(flow.partitions);
    timeMs += draw.below(900);
    const timestamp = timeMs - (draw.chance(0.3) ? draw.below(6_000) : 0);
    const name = `${source === 0 ? "a" : "b"}${String(draw.below(keys))}-${String(partition)}`;
    const key = draw.chance(0.03) ? null : name;
    const [i, v] = [String(made), made];
    made++;
    const value = { i, n: draw.below(40), g: `g${String(draw.below(3))}`, v };
    const at = { source, partition, key, timestamp };
    if (draw.chance(0.04)) return { ...at, value, isPoison: true };
    return { ...at, value: draw.chance(0.04) ? null : value };
  };
  return Array.from({ length: count }, (_, i): Stage => {
    const records = Array.from({ length: draw.between(3, 13) }, record);
    const waitMs = draw.pick([30, 90, 150, 250, 600]);
    const isNight = i < count - 1 && draw.chance(0.1);
    const night = { days: draw.between(2, 12), isRestored: draw.chance(0.5) };
    return { records, waitMs, ...(isNight ? { night } : {}) };
  });
}
