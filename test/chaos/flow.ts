// One long flow among faults: workers ready, one fault after another in an order that the seed gives, each followed by a
// look at how fast work went on; then everything is examined.
import { setTimeout as delay } from "node:timers/promises";
import type { Random } from "../../src/engine/core/ports.ts";
import { seededRandom } from "../../src/engine/testing/doubles/seeded-random.ts";
import type { Fault, Struck } from "./faults/fault.ts";
import { partOf, textOfError, type Part, type RunContext } from "./part.ts";
import { timesOf, type RowResult } from "./result.ts";
import { examine } from "./workload/examination.ts";
import type { Servers } from "./world/servers.ts";
import { World, type Recovery } from "./world/world.ts";

interface Strike extends Struck {
  readonly fault: Fault;
  readonly recovery: Recovery | null;
  /** Due entries that fired from its beginning until after its end. */
  readonly due: number;
}

/** Whole rounds over all faults, each in an order of its own. */
export class Plan {
  readonly #random: Random;
  readonly #faults: readonly Fault[];
  #left: Fault[] = [];

  constructor(faults: readonly Fault[], seed: number) {
    this.#faults = faults;
    this.#random = seededRandom(seed);
  }

  next(): Fault {
    if (this.#left.length === 0) this.#left = shuffled(this.#faults, this.#random);
    return this.#left.shift() as Fault;
  }

  /** The rows of the first round, for people. */
  static text(faults: readonly Fault[], seed: number): string {
    const plan = new Plan(faults, seed);
    return faults.map(() => plan.next().row).join(" ");
  }
}

function shuffled<T>(all: readonly T[], random: Random): T[] {
  const left = [...all];
  return all.map(() => left.splice(Math.floor(random.next() * left.length), 1)[0] as T);
}

export async function runFlow(
  servers: Servers,
  faults: readonly Fault[],
  context: RunContext,
): Promise<Part> {
  const { seed, say } = context;
  const startedMs = performance.now();
  const world = await World.open(servers, context);
  for (let i = 0; i < 2; i++) await world.crew.start();
  await world.crew.whole();
  await world.recovery(performance.now());
  say(`warm after ${String(Math.round((performance.now() - startedMs) / 1_000))} s`);
  const strikes: Strike[] = [];
  const problems: string[] = [];
  // Two streams of randomness: what a fault draws does not change which comes next.
  const plan = new Plan(faults, seed);
  const random = seededRandom(seed + 1);
  const until = startedMs + context.minutes * 60_000;
  while (strikes.length < faults.length || performance.now() < until) {
    const { strike, problem } = await strikeOnce(world, plan.next(), random);
    strikes.push(strike);
    say(problem ?? wordsOf(strike));
    if (problem === null) continue;
    problems.push(problem);
    break;
  }
  const exam = await examine(world);
  return partOf(world, exam, {
    rows: rowsOf(strikes, exam.findings),
    order: strikes.map(({ fault }) => fault.row),
    problems: [...problems, ...missed(strikes)],
  });
}

async function strikeOnce(
  world: World,
  fault: Fault,
  random: Random,
): Promise<{ readonly strike: Strike; readonly problem: string | null }> {
  await delay(1_000 + random.next() * 2_000);
  let struck: Struck = { planned: 1, fired: 0, note: "did not come to its end" };
  const before = world.watcher.fired;
  try {
    struck = await fault.inject(world, random);
    const recovery = await world.recovery(struck.endedMs ?? performance.now());
    await world.crew.whole();
    const due = await world.firedSince(before);
    return { strike: { ...struck, fault, recovery, due }, problem: null };
  } catch (error) {
    const problem = `${String(fault.row)} ${fault.name}: ${textOfError(error)}`;
    const due = world.watcher.fired - before;
    return { strike: { ...struck, fault, recovery: null, due }, problem };
  }
}

function wordsOf({ fault, planned, fired, note, recovery, due }: Strike): string {
  const { firstCommitMs = 0, caughtUpMs = 0 } = recovery ?? {};
  const what = `${String(fault.row)} ${fault.name}: fired ${String(fired)} of ${String(planned)}`;
  return `${what} (${note}); ${String(due)} due entries fired; next commit after ${String(firstCommitMs)} ms, caught up after ${String(caughtUpMs)} ms`;
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
  return [...byFault].map(([fault, all]): RowResult => {
    const sum = (of: (strike: Strike) => number): number => all.reduce((n, one) => n + of(one), 0);
    const recoveries = all.flatMap(({ recovery }) => recovery ?? []);
    return {
      row: fault.row,
      name: fault.name,
      injected: fault.how,
      runs: all.length,
      planned: sum(({ planned }) => planned),
      fired: sum(({ fired }) => fired),
      due: sum(({ due }) => due),
      lost,
      doubled,
      firstCommit: timesOf(recoveries.map(({ firstCommitMs }) => firstCommitMs)),
      caughtUp: timesOf(recoveries.map(({ caughtUpMs }) => caughtUpMs)),
      notes: [...new Set(all.map(({ note }) => note))].slice(0, 5),
    };
  });
}
