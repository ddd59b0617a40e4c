// The benchmark of the engine: every contestant runs every workload over the same input, several rounds in one go, in an
// order that alternates, since a machine's mood changes while one measures.
import { resolve } from "node:path";
import { checkAnswers } from "./answers.ts";
import { workloads, type Contestant, type Run, type Workload } from "./contestant.ts";
import { fillInput, type Input } from "./input.ts";
import { kafkaStreams } from "./kafka-streams.ts";
import { measure, type Measurement } from "./measure.ts";
import { millrace } from "./millrace.ts";
import { PARTITIONS } from "./pipelines/payments.ts";
import { profileOf, type Profile } from "./profile.ts";
import { openWorld, type World } from "./world.ts";

export interface EngineOptions {
  readonly records: number;
  readonly rounds: number;
  readonly only?: "millrace" | "kafka-streams" | undefined;
  /** Left out: map and sum. */
  readonly workloads?: readonly Workload[] | undefined;
  /** The directory of another checkout of Millrace, which runs as a contestant too. */
  readonly beside?: string | undefined;
  /** Numbers of worker processes to run Millrace with. */
  readonly workers: readonly number[];
  /** Whether to show where Millrace's time goes, by one more run that is not measured. */
  readonly profile: boolean;
}

export interface Result extends Measurement {
  readonly workload: Workload;
  readonly contestant: string;
  readonly round: number;
  /** Records in the output topic, all of them checked. */
  readonly written: number;
}

export interface EngineReport {
  readonly input: { readonly records: number; readonly valueBytes: number };
  readonly results: readonly Result[];
  readonly profiles: Readonly<Partial<Record<Workload, Profile>>>;
}

export async function benchEngine(
  options: EngineOptions,
  say: (line: string) => void,
): Promise<EngineReport> {
  const world = await openWorld(say);
  try {
    const contestants = contestantsOf(options);
    await Promise.all(contestants.map((contestant) => contestant.prepare(world)));
    say(`filling the input with ${options.records.toLocaleString("en")} records`);
    const input = await fillInput(world, options.records);
    const chosen = options.workloads ?? workloads;
    const results = await runRounds({ world, input, contestants }, chosen, options.rounds);
    const profiles: Partial<Record<Workload, Profile>> = {};
    if (options.profile && options.only !== "kafka-streams")
      for (const workload of chosen) profiles[workload] = await profileRun(world, input, workload);
    const { records, valueBytes } = input;
    return { input: { records, valueBytes }, results, profiles };
  } finally {
    await world.close();
  }
}

function contestantsOf({ only, workers, beside }: EngineOptions): readonly Contestant[] {
  const checkouts = beside === undefined ? [{}] : [{}, { checkout: resolve(beside) }];
  const ours = checkouts.flatMap((own) =>
    workers.map((count) => millrace({ workers: count, ...own })),
  );
  if (only === undefined) return [...ours, kafkaStreams];
  return only === "millrace" ? ours : [kafkaStreams];
}

interface Setup {
  readonly world: World;
  readonly input: Input;
  readonly contestants: readonly Contestant[];
}

async function runRounds(
  { world, input, contestants }: Setup,
  chosen: readonly Workload[],
  rounds: number,
): Promise<Result[]> {
  const results: Result[] = [];
  for (let round = 1; round <= rounds; round++)
    for (const workload of chosen)
      for (const contestant of round % 2 === 1 ? contestants : contestants.toReversed()) {
        const run = await newRun(world, input, workload);
        const result = await runOnce(run, contestant, round);
        const rate = Math.round(result.records / result.seconds).toLocaleString("en");
        world.say(`round ${String(round)}, ${workload}, ${contestant.name}: ${rate} records/s`);
        results.push(result);
      }
  return results;
}

async function runOnce(run: Run, contestant: Contestant, round: number): Promise<Result> {
  const measurement = await started(run, contestant, (running) => measure(run, running));
  const written = await checkAnswers(run, contestant.closedShareMin);
  await forget(run);
  return {
    workload: run.workload,
    contestant: contestant.name,
    round,
    written,
    ...measurement,
  };
}

async function profileRun(world: World, input: Input, workload: Workload): Promise<Profile> {
  const run = await newRun(world, input, workload);
  const dir = `${world.dir}/profile-${workload}`;
  const execArgv = ["--cpu-prof", `--cpu-prof-dir=${dir}`];
  const { spanMs } = await started(run, millrace({ workers: 1, execArgv }), (running) =>
    measure(run, running),
  );
  await forget(run);
  return profileOf(dir, spanMs);
}

/** Work beside a running contestant, which is stopped whatever becomes of it. */
export async function started<T>(
  run: Run,
  contestant: Contestant,
  work: (running: Awaited<ReturnType<Contestant["start"]>>) => Promise<T>,
): Promise<T> {
  const running = await contestant.start(run);
  try {
    return await work(running);
  } finally {
    await running.stop();
  }
}

let runs = 0;

export async function newRun(world: World, input: Input, workload: Workload): Promise<Run> {
  const id = `run${String(++runs)}`;
  const output = `${id}-output`;
  // Rows are as old as their windows.
  const config = { "retention.ms": "-1" };
  const spec = { topic: output, partitions: PARTITIONS, replicationFactor: -1, config };
  await world.admin.createTopics([spec]);
  return { world, workload, input, id, output };
}

/** Its topics go, so that the tenth run meets the same disk as the first. */
export async function forget({ world, id }: Run): Promise<void> {
  const topics = await world.admin.listTopics();
  await world.admin.deleteTopics(topics.filter((topic) => topic.startsWith(`${id}-`)));
}
