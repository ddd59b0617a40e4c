// Plays one case from beginning to end and says what is wrong, what struck, and what it cost.
import { caseOf, type SimulationCase, type Stage } from "./case.ts";
import { checked, type Failure } from "./checks.ts";
import { Faults } from "./faults.ts";
import { forgeriesAt, REDRIVE_ONE_IN } from "./forged.ts";
import { areLettersGoingBack, lettersThatGoBack } from "./going-back.ts";
import { Stuck, World } from "./world.ts";

export interface Played {
  readonly seed: number;
  /** Null: everything came out right. */
  readonly failure: Failure | null;
  readonly struck: Readonly<Record<string, number>>;
  readonly trace: number;
  readonly calls: number;
  readonly cpuMs: number;
}

export const playSeed = (seed: number): Promise<Played> => play(caseOf(seed));

const CALM_MS = 1_500;
const REST_LIMIT_MS = 60_000;

export async function play(of: SimulationCase): Promise<Played> {
  const before = process.cpuUsage();
  const world = new World(of);
  const faults = new Faults(world);
  const failure = await run(world, faults);
  const { user, system } = process.cpuUsage(before);
  const { trace, calls } = world;
  const struck = Object.fromEntries([...faults.struck, ...world.refusals]);
  return { seed: of.seed, failure, struck, trace, calls, cpuMs: (user + system) / 1_000 };
}

async function run(world: World, faults: Faults): Promise<Failure | null> {
  try {
    await stages(world, faults);
    await world.forgedTaken();
    const failure = await checked(world, await world.drained(REST_LIMIT_MS));
    if (failure !== null || !areLettersGoingBack(world)) return failure;
    return await lettersThatGoBack(world, REST_LIMIT_MS);
  } catch (error) {
    if (!(error instanceof Stuck)) throw error;
    return { check: "stuck", reason: [error.message, ...world.wrongs].join("; ") };
  }
}

/** The last stage comes when all is calm: it shows that what is left in memory is right. */
async function stages(world: World, faults: Faults): Promise<void> {
  const { stages: all, sizes } = world.case;
  if (world.case.before !== undefined) await send(world, world.case.before);
  faults.begin(0);
  for (let i = 0; i < sizes.workers; i++) world.join();
  for (const [i, { records, waitMs, night }] of all.entries()) {
    if (i === all.length - 1) {
      faults.calm();
      await world.clock.advance(CALM_MS);
    } else if (i > 0) faults.begin(i);
    if (i > 0) await redrives(world, i);
    if (records.length > 0) await send(world, records);
    await world.clock.advance(waitMs);
    if (night !== undefined) await faults.night(night);
  }
}

/** In other seeds the redrive topic comes with the first letters that go back. */
async function redrives(world: World, stage: number): Promise<void> {
  if (world.case.seed % REDRIVE_ONE_IN !== 0) return;
  if (await world.makeRedriveTopics()) await world.forge(forgeriesAt(world, stage));
}

/** The senders' side has no part in what is tested: it waits for Kafka. */
async function send(world: World, records: Stage["records"]): Promise<void> {
  for (let spentMs = 0; spentMs < REST_LIMIT_MS; spentMs += 50) {
    if (await world.send(records)) return;
    await world.clock.advance(50);
  }
  throw new Stuck("Kafka does not come back");
}
