// Plays a range of seeds in processes of their own, two at a time, and says what is wrong with all of them together.
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { join } from "node:path";
import type { TestContext } from "node:test";
import { FORGERIES } from "../support/simulation/forged.ts";
import { REFUSALS } from "../support/simulation/refusals.ts";
import { nodeFlags, type Cost } from "./cost.ts";

const SEEDS_A_PROCESS = 150;
/** The limit of a seed's calls to servers and clock: it bounds CPU, on any machine. */
const CALLS_MAX = 8_000;

const FAULTS = 26;
/** By name, in a batch with others; requests that a bad connection spoils; letters that were sent back. */
const WAYS_OF_REFUSALS = 4;

interface Report extends Cost {
  readonly seeds: number;
  readonly failures: readonly {
    readonly seed: number;
    readonly check: string;
    readonly reason: string;
  }[];
  readonly struck: Readonly<Record<string, number>>;
  readonly trace: number;
}

/** In a process of its own, so that each begins alike. */
export function played(from: number, to: number): Promise<Report> {
  const runner = join(import.meta.dirname, "run.ts");
  const args = [...nodeFlags, runner, "--json", "--seeds", `${String(from)}..${String(to)}`];
  return new Promise((resolve, reject) => {
    const child = spawn(process.execPath, args, { stdio: ["ignore", "pipe", "inherit"] });
    let out = "";
    child.stdout.on("data", (chunk: Buffer) => (out += String(chunk)));
    child.on("error", reject);
    child.on("close", (code) => {
      if (out.startsWith("{")) resolve(JSON.parse(out) as Report);
      else reject(new Error(`seeds ${String(from)} to ${String(to)} ended with ${String(code)}`));
    });
  });
}

async function allPlayed(seeds: number): Promise<Report[]> {
  const starts: number[] = [];
  for (let from = 1; from <= seeds; from += SEEDS_A_PROCESS) starts.push(from);
  const reports: Report[] = [];
  const work = async (): Promise<void> => {
    for (let from = starts.shift(); from !== undefined; from = starts.shift())
      reports.push(await played(from, Math.min(from + SEEDS_A_PROCESS - 1, seeds)));
  };
  await Promise.all([work(), work()]);
  return reports;
}

/**
 * Plays seeds 1 to `seeds`: none fails, and every kind of fault strikes in all of them together. `most`: there are enough of them
 * for each refusal of a broker, in each kind of topic, so many times.
 */
export async function holds(t: TestContext, seeds: number, most: number | null): Promise<void> {
  const reports = await allPlayed(seeds);
  const struck = new Map<string, number>();
  for (const report of reports)
    for (const [kind, count] of Object.entries(report.struck))
      struck.set(kind, (struck.get(kind) ?? 0) + count);
  say(t, reports, struck);
  assert.deepEqual(
    reports.flatMap(({ failures }) => failures),
    [],
  );
  assert.equal(
    reports.reduce((sum, report) => sum + report.seeds, 0),
    seeds,
  );
  const refused = [...struck.keys()].filter((kind) => REFUSALS.includes(kind));
  assert.equal(struck.size - refused.length, FAULTS + WAYS_OF_REFUSALS + FORGERIES.length);
  if (most !== null) {
    assert.deepEqual(
      REFUSALS.filter((name) => !struck.has(name)),
      [],
      "each code of a broker is met in each kind of topic",
    );
    const seldom = [...struck].filter(([, count]) => count < most);
    assert.deepEqual(seldom, []);
  }
  const calls = Math.max(...reports.map((report) => report.calls.max));
  assert.ok(calls <= CALLS_MAX, `a seed took ${String(calls)} calls`);
}

function say(
  t: TestContext,
  reports: readonly Report[],
  struck: ReadonlyMap<string, number>,
): void {
  const mean = reports.reduce((sum, { cpuMs }) => sum + cpuMs.mean, 0) / reports.length;
  const most = (of: (report: Report) => number): number => Math.max(...reports.map(of));
  const [p99, max, own] = (["p99", "max", "own"] as const).map((figure) =>
    String(most(({ cpuMs }) => cpuMs[figure])),
  );
  const calls = most((report) => report.calls.max);
  t.diagnostic(
    `CPU a seed: mean ${mean.toFixed(1)} ms, p99 at most ${p99} ms, most ${max} ms in passing, ${own} ms by itself; calls at most ${String(calls)}`,
  );
  t.diagnostic(JSON.stringify(Object.fromEntries([...struck].sort())));
}
