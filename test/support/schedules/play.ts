// One case of schedule independence: a graph, the contents of its sources, and a schedule, all drawn from a seed. The
// schedule is the simulation's: batches, one to three workers, crashes, rebalances, a wiped Redis, partitions that are late.
import { ledgerOfPart, type TaskProgress } from "../../../src/engine/core/progress.ts";
import {
  Draw,
  drawSizes,
  type FlowSpec,
  type SimulationCase,
  type SourceRecord,
  type Stage,
} from "../simulation/case.ts";
import { Faults } from "../simulation/faults.ts";
import { drawFaults } from "../simulation/plan-of-faults.ts";
import { Stuck, World } from "../simulation/world.ts";
import { drawContents, type Contents } from "./contents.ts";
import { flowOf, outputName } from "./flow.ts";
import { drawGraph, type Graph } from "./graph.ts";
import { expectedOf, textOf } from "./oracle.ts";

export interface ScheduleCase {
  readonly seed: number;
  readonly graph: Graph;
  readonly contents: Contents;
  readonly schedule: SimulationCase;
}

export interface PlayedCase {
  readonly seed: number;
  readonly shape: Graph["shape"];
  /** Null: every row is as it must be. */
  readonly failure: string | null;
  readonly rows: number;
  readonly struck: Readonly<Record<string, number>>;
}

const STAGES = 3;
const CALM_MS = 1_000;
const REST_LIMIT_MS = 60_000;
const STEP_MS = 250;
/** Steps; markers go out every 300 ms. */
const STILL = 4;
/** Of the simulation: it decides which faults are drawn. */
const FLOW: FlowSpec = {
  ...{ partitions: 2, state: "redis", sources: 1, format: "json", refuses: false, direct: null },
  roots: [{ id: "n", op: "sum", by: 0, then: [] }],
};

export function caseOf(seed: number): ScheduleCase {
  const draw = new Draw(seed);
  const graph = drawGraph(draw, seed);
  const contents = drawContents(draw, graph);
  const of = new Draw(seed ^ 0x5c4ed);
  const stages = drawStages(of, contents);
  const sizes = drawSizes(of);
  const faults = drawFaults(of, { flow: FLOW, sizes, stages });
  return { seed, graph, contents, schedule: { seed, flow: FLOW, sizes, stages, faults } };
}

/** Each partition in its order, all of them mixed; one of them may come when all the others have been read. */
function drawStages(draw: Draw, contents: Contents): Stage[] {
  const queues = contents.flatMap((partitions, source) =>
    partitions.map((own, partition) =>
      own.map(({ key, t, n }): SourceRecord => ({
        ...{ source, partition, key, timestamp: t },
        value: { n } as never,
      })),
    ),
  );
  const late = draw.chance(0.35) ? (queues.splice(draw.below(queues.length), 1)[0] ?? []) : [];
  const mixed: SourceRecord[] = [];
  for (let left = queues.filter(isLeft); left.length > 0; left = left.filter(isLeft))
    mixed.push(...draw.pick(left).splice(0, draw.between(1, 4)));
  const each = Math.ceil(mixed.length / STAGES);
  return Array.from({ length: STAGES }, (_, i): Stage => {
    const records = mixed.slice(i * each, (i + 1) * each);
    const waitMs = draw.pick([30, 90, 250, 600]);
    return { records: i === STAGES - 1 ? [...records, ...late] : records, waitMs };
  });
}

const isLeft = (queue: readonly unknown[]): boolean => queue.length > 0;

export async function play(of: ScheduleCase): Promise<PlayedCase> {
  const world = new World(of.schedule, flowOf(of.graph));
  const faults = new Faults(world);
  const expected = expectedOf(of.graph, of.contents);
  const failure = await failureOf(world, { faults, of, expected });
  const rows = [...expected.values()].reduce((sum, { length }) => sum + length, 0);
  const struck = Object.fromEntries(faults.struck);
  return { seed: of.seed, shape: of.graph.shape, failure, rows, struck };
}

interface Playing {
  readonly faults: Faults;
  readonly of: ScheduleCase;
  readonly expected: ReadonlyMap<number, readonly string[]>;
}

async function failureOf(world: World, playing: Playing): Promise<string | null> {
  try {
    await stages(world, playing);
    const progress = await atRest(world);
    const whys = [
      ...world.wrongs,
      ...wrongRows(world, playing.expected),
      ...behind(world, progress),
    ];
    return whys.length === 0 ? null : whys.slice(0, 3).join("; ");
  } catch (error) {
    if (!(error instanceof Stuck)) throw error;
    return [error.message, ...world.wrongs].join("; ");
  }
}

/** Until every task is at the end of its topics, and nothing has come for several rounds of markers. */
async function atRest(world: World): Promise<readonly TaskProgress[]> {
  let [before, still] = ["", 0];
  for (let spentMs = 0; spentMs < REST_LIMIT_MS; spentMs += STEP_MS) {
    await world.clock.advance(STEP_MS);
    const progress = await world.progress();
    const isDone = progress.every((task) => task.nextOffset === world.kafka.offsets(task).high);
    const written = writtenIn(world);
    still = isDone && written === before ? still + 1 : 0;
    before = written;
    if (still === STILL) return progress;
  }
  const states = world.living.flatMap(({ name, worker }) =>
    worker.health().map((task) => `${name} ${JSON.stringify(task)}`),
  );
  throw new Stuck(`it does not come to rest: ${states.join(" ")}`);
}

async function stages(world: World, { faults, of }: Playing): Promise<void> {
  const { stages: all, sizes } = of.schedule;
  faults.begin(0);
  for (let i = 0; i < sizes.workers; i++) world.join();
  for (const [i, { records, waitMs }] of all.entries()) {
    if (i === all.length - 1) {
      faults.calm();
      await world.clock.advance(CALM_MS);
    } else if (i > 0) faults.begin(i);
    // Kafka may be away just then.
    while (records.length > 0 && !(await world.send(records))) await world.clock.advance(50);
    await world.clock.advance(waitMs);
  }
}

/** The ends of all topics: what is due may be worked for long, without anything that is read. */
function writtenIn({ kafka, plan }: World): string {
  const changelogs = plan.parts.flatMap(({ stores, partitions }) =>
    stores.map(({ changelog }) => ({ name: changelog.name, partitions })),
  );
  const ends = [...plan.topics.all, ...changelogs].flatMap(({ name: topic, partitions }) =>
    Array.from({ length: partitions }, (_, partition) => kafka.offsets({ topic, partition }).high),
  );
  return ends.map(String).join();
}

/** The first row of each output that is missing or too many. */
function wrongRows(world: World, expected: Playing["expected"]): string[] {
  return [...expected].flatMap(([node, wanted]) => {
    const name = outputName(node);
    const found = world.kafka.records(name, { committed: true }).map(({ key, value, timestamp }) =>
      textOf({
        key: String(key),
        t: timestamp,
        n: (JSON.parse(String(value)) as { n: number }).n,
      }),
    );
    const [missing] = without(wanted, found);
    const [extra] = without(found, wanted);
    if (missing === undefined && extra === undefined) return [];
    return [`${name}: missing ${missing ?? "-"}, too many ${extra ?? "-"}`];
  });
}

function without(from: readonly string[], what: readonly string[]): string[] {
  const left = [...from];
  for (const one of what) {
    const at = left.indexOf(one);
    if (at >= 0) left.splice(at, 1);
  }
  return left;
}

/** Without idleness no record is ever behind the watermark of its edge (W4), and nothing is late by that. */
function behind({ plan }: World, progress: readonly TaskProgress[]): string[] {
  return plan.parts.flatMap(({ name }) => {
    const { late, behind: counts = {}, ...others } = ledgerOfPart(progress, name);
    const records = Object.values(counts).reduce((sum, count) => sum + count, 0);
    const closed = (late.closed ?? 0) + (others["late-results"]?.["closed"] ?? 0);
    if (records + closed === 0) return [];
    return [
      `${name}: ${String(records)} records behind their watermark, ${String(closed)} late by it`,
    ];
  });
}
