// One long flow among faults: servers up, workers ready, one fault after another in an order that the seed gives, each
// followed by a look at how fast work went on; then everything is examined.
import { setTimeout as delay } from "node:timers/promises";
import type { Random } from "../../src/engine/core/ports.ts";
import { seededRandom } from "../../src/engine/testing/doubles/seeded-random.ts";
import type { Fault, Struck } from "./faults/fault.ts";
import { timesOf, type ChaosResult, type RowResult } from "./result.ts";
import { examine } from "./workload/examination.ts";
import type { Home } from "./world/home.ts";
import { startServers } from "./world/servers.ts";
import { World, type Recovery } from "./world/world.ts";

export interface RunOptions {
  readonly seed: number;
  readonly minutes: number;
  readonly faults: readonly Fault[];
  readonly perSecond: number;
  readonly say: (line: string) => void;
  readonly home: Home;
}

export interface Strike extends Struck {
  readonly fault: Fault;
  readonly recovery: Recovery | null;
}

/** Whole rounds over all faults, each in an order of its own, until the time is over. */
export class Plan {
  readonly #random: Random;
  readonly #faults: readonly Fault[];
  #left: Fault[] = [];

  constructor(faults: readonly Fault[], random: Random) {
    this.#faults = faults;
    this.#random = random;
  }

  get isAtRoundEnd(): boolean {
    return this.#left.length === 0;
  }

  next(): Fault {
    if (this.#left.length === 0) this.#left = shuffled(this.#faults, this.#random);
    return this.#left.shift() as Fault;
  }
}

function shuffled<T>(all: readonly T[], random: Random): T[] {
  const left = [...all];
  return all.map(() => left.splice(Math.floor(random.next() * left.length), 1)[0] as T);
}

export async function chaosRun(options: RunOptions): Promise<ChaosResult> {
  const { seed, minutes, faults, say, home } = options;
  const started = { at: new Date(), ms: performance.now() };
  const brokers = faults.some((fault) => fault.brokers === 3) ? 3 : 1;
  // Two streams of randomness: what a fault draws does not change which comes next.
  const plan = new Plan(faults, seededRandom(seed));
  say(`seed ${String(seed)}, ${String(brokers)} brokers; first round: ${planText(faults, seed)}`);
  const servers = await startServers(home, brokers);
  const world = await World.open(servers, options.perSecond);
  for (let i = 0; i < 2; i++) await world.crew.start();
  await world.crew.whole();
  await world.recovery(performance.now());
  say(`warm after ${String(Math.round((performance.now() - started.ms) / 1_000))} s`);
  const strikes: Strike[] = [];
  const problems: string[] = [];
  const random = seededRandom(seed + 1);
  const until = started.ms + minutes * 60_000;
  while (strikes.length < faults.length || performance.now() < until) {
    const strike = await strikeOnce(world, plan.next(), { random, say });
    strikes.push(strike.done);
    problems.push(...strike.problems);
    if (strike.isOver) break;
  }
  const exam = await examine(world);
  const { findings } = exam;
  problems.push(...exam.problems, ...missed(strikes), ...world.crew.troubles);
  return {
    version: 1,
    seed,
    minutes,
    brokers,
    startedAt: started.at.toISOString(),
    seconds: Math.round((performance.now() - started.ms) / 1_000),
    plan: strikes.map(({ fault }) => fault.row),
    rows: rowsOf(strikes, findings),
    records: exam.records,
    letters: exam.letters,
    seenByReader: exam.seenByReader,
    lost: findings.lost,
    doubled: findings.doubled,
    wrong: findings.wrong,
    workersStarted: world.crew.started,
    rssBytesMax: world.crew.bounds.rssBytes,
    filesMax: world.crew.bounds.files,
    problems,
    ok: problems.length === 0 && findings.isClean,
  };
}

const planText = (faults: readonly Fault[], seed: number): string =>
  shuffled(faults, seededRandom(seed))
    .map(({ row }) => row)
    .join(" ");

interface Outcome {
  readonly done: Strike;
  readonly problems: readonly string[];
  /** Nothing more can be learnt from this flow. */
  readonly isOver: boolean;
}

async function strikeOnce(
  world: World,
  fault: Fault,
  { random, say }: { readonly random: Random; readonly say: RunOptions["say"] },
): Promise<Outcome> {
  await delay(1_000 + random.next() * 2_000);
  const name = `${String(fault.row)} ${fault.name}`;
  let struck: Struck = { planned: 1, fired: 0, note: "did not come to its end" };
  try {
    struck = await fault.inject(world, random);
    const recovery = await world.recovery(struck.endedMs ?? performance.now());
    await world.crew.whole();
    say(
      `${name}: fired ${String(struck.fired)} of ${String(struck.planned)} (${struck.note}); next commit after ${String(recovery.firstCommitMs)} ms, caught up after ${String(recovery.caughtUpMs)} ms`,
    );
    return { done: { ...struck, fault, recovery }, problems: [], isOver: false };
  } catch (error) {
    const problem = `${name}: ${error instanceof Error ? (error.stack ?? error.message) : String(error)}`;
    say(problem);
    return { done: { ...struck, fault, recovery: null }, problems: [problem], isOver: true };
  }
}

const missed = (strikes: readonly Strike[]): readonly string[] =>
  strikes
    .filter(({ planned, fired }) => fired !== planned)
    .map(
      ({ fault, planned, fired, note }) =>
        `row ${String(fault.row)} fired ${String(fired)} times of ${String(planned)}: ${note}`,
    );

function rowsOf(
  strikes: readonly Strike[],
  { lost, doubled }: { readonly lost: number; readonly doubled: number },
): RowResult[] {
  const byFault = Map.groupBy(strikes, ({ fault }) => fault);
  return [...byFault]
    .map(([fault, all]): RowResult => {
      const sum = (of: (strike: Strike) => number): number =>
        all.reduce((n, one) => n + of(one), 0);
      const recoveries = all.flatMap(({ recovery }) => recovery ?? []);
      return {
        row: fault.row,
        name: fault.name,
        injected: fault.how,
        runs: all.length,
        planned: sum(({ planned }) => planned),
        fired: sum(({ fired }) => fired),
        lost,
        doubled,
        firstCommit: timesOf(recoveries.map(({ firstCommitMs }) => firstCommitMs)),
        caughtUp: timesOf(recoveries.map(({ caughtUpMs }) => caughtUpMs)),
        notes: [...new Set(all.map(({ note }) => note))].slice(0, 5),
      };
    })
    .sort((a, b) => a.row - b.row);
}
