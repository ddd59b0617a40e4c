// A run of the reprocessor: its speed beside the live pipeline's best over the same input with as many workers, and how far
// behind a live pipeline gets that reads at a steady rate while a run takes all that it may.
import { readFileSync } from "node:fs";
import { setTimeout as delay } from "node:timers/promises";
import { appCommand } from "../../test/support/app.ts";
import { startProgram, type Program, type Run } from "../contestant.ts";
import { forget, newRun, started } from "../engine.ts";
import { fillInput, paymentsOf, type Input } from "../input.ts";
import { measure } from "../measure.ts";
import { addressesOf, appOf, bin, millrace } from "../millrace.ts";
import { PARTITIONS } from "../pipelines/payments.ts";
import { openWorld, type World } from "../world.ts";

export interface ReprocessOptions {
  readonly records: number;
  readonly rounds: number;
  readonly workers: readonly number[];
  readonly liveRate: number;
  readonly lagLimitMs: number;
}

export interface Speed {
  readonly workers: number;
  readonly round: number;
  /** Records a second. */
  readonly live: number;
  readonly reprocess: number;
  /** Records a second of CPU time, which a busy machine changes less. */
  readonly liveCpu: number;
  readonly reprocessCpu: number;
}

export interface Yielding {
  readonly liveRate: number;
  readonly lagLimitMs: number;
  /** The most, over all looks of the run's controller. */
  readonly liveLagMs: number;
  readonly perSecond: number;
  readonly records: number;
  readonly throttledLooks: number;
  readonly looks: number;
}

export interface ReprocessFigures {
  readonly speeds: readonly Speed[];
  readonly yielding: Yielding;
}

interface Bench {
  readonly world: World;
  readonly input: Input;
  /** Runs of one pipeline are numbered through. */
  runs: number;
}

export async function benchReprocess(
  options: ReprocessOptions,
  say: (line: string) => void,
): Promise<ReprocessFigures> {
  const world = await openWorld(say, true);
  try {
    say(`filling the input with ${options.records.toLocaleString("en")} records`);
    const bench: Bench = { world, input: await fillInput(world, options.records), runs: 0 };
    const speeds: Speed[] = [];
    for (let round = 1; round <= options.rounds; round++)
      for (const workers of options.workers) speeds.push(await speedOf(bench, workers, round));
    return { speeds, yielding: await yieldingOf(bench, options) };
  } finally {
    await world.close();
  }
}

async function speedOf(bench: Bench, workers: number, round: number): Promise<Speed> {
  const { world, input } = bench;
  const live = await newRun(world, input, "map");
  const measured = await started(live, millrace({ workers }), (running) => measure(live, running));
  await forget(live);
  const again = await newRun(world, input, "map");
  const name = `reprocess, ${String(workers)} workers`;
  const start = async () => startProgram(again, await programOf(bench, again, { workers }));
  const contestant = { name, closedShareMin: 1, prepare: () => Promise.resolve(), start };
  const rerun = await started(again, contestant, async (running) => {
    const found = await measure(again, running);
    // It ends by itself; a signal would leave the run to be gone on with.
    while (running.isAlive()) await delay(100);
    return found;
  });
  await forget(again);
  const rateOf = (found: typeof rerun): number => found.records / found.seconds;
  const cpuRateOf = (found: typeof rerun): number => found.records / found.cpuSeconds;
  const rates = { live: rateOf(measured), reprocess: rateOf(rerun) };
  const cpu = { liveCpu: cpuRateOf(measured), reprocessCpu: cpuRateOf(rerun) };
  const speed = { workers, round, ...rates, ...cpu };
  const [l, r] = [speed.live, speed.reprocess].map((n) => Math.round(n).toLocaleString("en"));
  world.say(
    `round ${String(round)}, workers ${String(workers)}: live ${String(l)}/s, reprocess ${String(r)}/s`,
  );
  return speed;
}

interface How {
  readonly workers: number;
  readonly more?: readonly string[];
}

/** `reprocess run`, with everything there that it needs. */
async function programOf(bench: Bench, run: Run, { workers, more = [] }: How): Promise<Program> {
  const app = appOf(run);
  const env = addressesOf(run);
  for (const what of ["topics", "tables"]) {
    const { code, out } = await appCommand(app, [what, "apply"], env);
    if (code !== 0) throw new Error(`${what} apply: ${out}`);
  }
  const { PATH, HOME } = process.env;
  const argv = ["reprocess", "run", "map", "--workers", String(workers), "--json", ...more];
  return {
    command: process.execPath,
    args: [...app.execArgv, bin, ...argv],
    env: { PATH, HOME, ...env, ...app.env },
    group: `${run.id}-map-r${String(++bench.runs)}.main`,
  };
}

const FEED_MS = 50;

/** Live keeps up with a steady rate; then a run over the whole input begins, as fast as it may. */
async function yieldingOf(bench: Bench, options: ReprocessOptions): Promise<Yielding> {
  const { world, input } = bench;
  const { liveRate, lagLimitMs } = options;
  const run = await newRun(world, input, "map");
  return started(run, millrace({ workers: 1 }), async (live) => {
    await measure(run, live);
    const feeding = new AbortController();
    const fed = feed(bench, liveRate, feeding.signal);
    await delay(3_000);
    const more = ["--lag-limit", String(lagLimitMs)];
    const program = await programOf(bench, run, { workers: 1, more });
    const rerun = startProgram({ ...run, id: `${run.id}-again` }, program);
    while (rerun.isAlive()) await delay(100);
    feeding.abort();
    await fed;
    const log = readFileSync(`${world.dir}/${run.id}-again.log`, "utf8");
    return { liveRate, lagLimitMs, ...told(log) };
  });
}

/** So many records a second into the topic that live reads. */
async function feed(
  { world, input }: Bench,
  perSecond: number,
  signal: AbortSignal,
): Promise<void> {
  const producer = world.kafka.producer();
  const payments = [...paymentsOf(1_000)].map((payment) => Buffer.from(JSON.stringify(payment)));
  const startMs = performance.now();
  let sent = 0;
  while (!signal.aborted) {
    const due = Math.floor(((performance.now() - startMs) * perSecond) / 1_000) - sent;
    const records = Array.from({ length: due }, (_, i) => ({
      topic: input.topic,
      partition: (sent + i) % PARTITIONS,
      key: Buffer.from(`k${String(i % 100)}`),
      value: payments[(sent + i) % payments.length] ?? null,
      headers: [],
      timestamp: Date.now(),
    }));
    sent += due;
    if (due > 0) await producer.send(records);
    await delay(FEED_MS);
  }
  await producer.close();
}

interface Report {
  readonly done: number;
  readonly seconds: number;
  readonly liveLagMs: number | null;
  readonly rateLimit: number | null;
}

function told(log: string): Omit<Yielding, "liveRate" | "lagLimitMs"> {
  const reports = log
    .split("\n")
    .filter((line) => line.startsWith('{"pipeline"') && line.includes('"liveLagMs"'))
    .map((line) => JSON.parse(line) as Report);
  const last = reports.at(-1);
  if (last === undefined) throw new Error(`the run told nothing: ${log.slice(-2_000)}`);
  return {
    liveLagMs: Math.max(...reports.map(({ liveLagMs }) => liveLagMs ?? 0)),
    perSecond: last.done / last.seconds,
    records: last.done,
    throttledLooks: reports.filter(({ rateLimit }) => rateLimit !== null).length,
    looks: reports.length,
  };
}
