// One case of schedule independence: a graph, the contents of its sources, and a schedule, all drawn from a seed. The
// schedule is the simulation's: batches, one to three workers, crashes, rebalances, a wiped Redis, partitions that are late.
import { isRetriable } from "../../../src/engine/core/errors.ts";
import { ledgerOfPart, type TaskProgress } from "../../../src/engine/core/progress.ts";
import { SimulatedEnd } from "../../../src/engine/testing/doubles/simulated-end.ts";
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
import { drawChange, narrowed, readBefore, shifted, withDirect, type Change } from "./changes.ts";
import { drawContents, type Contents } from "./contents.ts";
import { flowOf, outputName } from "./flow.ts";
import { drawGraph, type Graph } from "./graph.ts";
import { expectedOf, textOf } from "./oracle.ts";

export interface ScheduleCase {
  readonly seed: number;
  readonly graph: Graph;
  readonly contents: Contents;
  readonly schedule: SimulationCase;
  readonly change: Change | null;
}

export interface PlayedCase {
  readonly seed: number;
  readonly shape: Graph["shape"];
  /** Null: every row is as it must be. */
  readonly failure: string | null;
  readonly rows: number;
  readonly struck: Readonly<Record<string, number>>;
}

type Grown = Extract<Change, { kind: "grown" }>;

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
  const drawn = drawGraph(draw, seed);
  const filled = drawContents(draw, drawn);
  const apart = new Draw(seed ^ 0x6b0e5);
  const graph = withDirect(apart, drawn);
  const change = drawChange(apart, graph, filled);
  const contents = change?.kind === "grown" ? shifted(filled, change) : filled;
  const of = new Draw(seed ^ 0x5c4ed);
  const stages = stagesOf(of, contents, change);
  const sizes = drawSizes(of);
  const faults = drawFaults(of, { flow: FLOW, sizes, stages });
  const schedule = { seed, flow: FLOW, sizes, stages, faults };
  return { seed, graph, contents, schedule, change };
}

function stagesOf(draw: Draw, contents: Contents, change: Change | null): Stage[] {
  if (change?.kind === "grown") return drawGrown(draw, contents, change);
  const stages = drawStages(draw, contents);
  if (change === null) return stages;
  const records = stages.flatMap((stage) => stage.records);
  return stages.map(({ waitMs }, i) => ({ records: i === 0 ? records : [], waitMs }));
}

/** Of each partition, in their order. */
const queuesOf = (contents: Contents): SourceRecord[][] =>
  contents.flatMap((partitions, source) =>
    partitions.map((own, partition) =>
      own.map(({ key, t, n }): SourceRecord => ({
        ...{ source, partition, key, timestamp: t },
        value: { n } as never,
      })),
    ),
  );

/** The queues one into the other, each in its order. */
function mixedOf(draw: Draw, queues: readonly SourceRecord[][]): SourceRecord[] {
  const mixed: SourceRecord[] = [];
  for (let left = queues.filter(isLeft); left.length > 0; left = left.filter(isLeft))
    mixed.push(...draw.pick(left).splice(0, draw.between(1, 4)));
  return mixed;
}

/** The new partition comes in the last stage. */
function drawGrown(draw: Draw, contents: Contents, { topic }: Grown): Stage[] {
  const queues = queuesOf(contents);
  const last = (contents[topic]?.length ?? 1) - 1;
  const before = queues.map((queue) => {
    const isNew = queue[0]?.source === topic && queue[0].partition === last;
    return isNew ? [] : queue.splice(0, readBefore(queue));
  });
  const early = mixedOf(draw, before);
  const half = Math.ceil(early.length / 2);
  const all = [early.slice(0, half), early.slice(half), mixedOf(draw, queues)];
  return all.map((records) => ({ records, waitMs: draw.pick([30, 90, 250, 600]) }));
}

/** All of them mixed; one partition may come when all the others have been read. */
function drawStages(draw: Draw, contents: Contents): Stage[] {
  const queues = queuesOf(contents);
  const late = draw.chance(0.35) ? (queues.splice(draw.below(queues.length), 1)[0] ?? []) : [];
  const mixed = mixedOf(draw, queues);
  const each = Math.ceil(mixed.length / STAGES);
  return Array.from({ length: STAGES }, (_, i): Stage => {
    const records = mixed.slice(i * each, (i + 1) * each);
    const waitMs = draw.pick([30, 90, 250, 600]);
    return { records: i === STAGES - 1 ? [...records, ...late] : records, waitMs };
  });
}

const isLeft = (queue: readonly unknown[]): boolean => queue.length > 0;

export async function play(of: ScheduleCase): Promise<PlayedCase> {
  const { graph, change } = of;
  const isGrown = change?.kind === "grown";
  const world = new World(of.schedule, flowOf(isGrown ? narrowed(graph, change) : graph));
  const faults = new Faults(world);
  const expected = expectedOf(graph, of.contents, change?.kind === "bounded");
  const failure = await failureOf(world, { faults, of, expected });
  const rows = [...expected.values()].reduce((sum, { length }) => sum + length, 0);
  const struck = Object.fromEntries(faults.struck);
  if (change !== null) struck[change.kind] = 1;
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

async function stages(world: World, { faults, of }: Pick<Playing, "faults" | "of">): Promise<void> {
  const { change, schedule } = of;
  const join = (): void => {
    for (let i = 0; i < schedule.sizes.workers; i++) world.join();
  };
  const begin = (): void => {
    faults.begin(0);
    join();
  };
  if (change?.kind === "bounded") return bounded(world, { faults, of }, begin);
  begin();
  for (const [i, stage] of schedule.stages.entries()) {
    const isLast = i === schedule.stages.length - 1;
    await next(world, faults, i, isLast);
    if (isLast && change !== null) await world.deploy(flowOf(of.graph)).then(join);
    await sent(world, stage);
    await world.clock.advance(stage.waitMs);
  }
  if (change !== null) crashOne(world);
}

async function next(world: World, faults: Faults, stage: number, isLast: boolean): Promise<void> {
  if (isLast) {
    faults.calm();
    await world.clock.advance(CALM_MS);
  } else if (stage > 0) faults.begin(stage);
}

/** Everything is there before the workers come, and the run ends where it ends. */
async function bounded(
  world: World,
  { faults, of }: Pick<Playing, "faults" | "of">,
  begin: () => void,
): Promise<void> {
  const { stages: all } = of.schedule;
  const end = new SimulatedEnd([world.plan]);
  await sent(world, all[0] as Stage);
  world.bounds = end;
  begin();
  const ended = reached(world, end);
  for (const [i, { waitMs }] of all.entries()) {
    await next(world, faults, i, i === all.length - 1);
    await world.clock.advance(waitMs);
  }
  await world.during(ended);
}

/** What was heard of a new partition outlives its task. */
function crashOne(world: World): void {
  const [member] = world.living;
  if (member !== undefined) world.kafka.crash(member.port);
  world.join();
}

async function sent(world: World, { records }: Stage): Promise<void> {
  // Kafka may be away just then.
  while (records.length > 0 && !(await world.send(records))) await world.clock.advance(50);
}

/** The controller of a run looks until everything is done, also while Kafka is away now and then. */
async function reached(world: World, end: SimulatedEnd): Promise<void> {
  for (;;)
    try {
      return await end.reach(world.outsidePorts(), world.clock, () => false);
    } catch (error) {
      if (!isRetriable(error)) throw error;
      await world.clock.sleep(STEP_MS);
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
