// Two thousand seeds of the deterministic simulation: generated pipelines of the real engine against simulated servers,
// under all that may befall them. By hand: run.ts, whose first lines say how.
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import type { SimulationCase } from "../support/simulation/case.ts";
import { FORGERIES } from "../support/simulation/forged.ts";
import { REFUSALS } from "../support/simulation/refusals.ts";
import { play } from "../support/simulation/simulate.ts";
import { nodeFlags, type Cost } from "./cost.ts";

const SEEDS = 2_000;
const SEEDS_A_PROCESS = 250;
/** Every kind of fault strikes at least so often in all seeds together. */
const STRUCK_MIN = 10;
/** The limit of a seed's calls to servers and clock: it bounds CPU, on any machine. */
const CALLS_MAX = 5_000;

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
function played(from: number, to: number): Promise<Report> {
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

async function allPlayed(): Promise<Report[]> {
  const starts = Array.from({ length: SEEDS / SEEDS_A_PROCESS }, (_, i) => 1 + i * SEEDS_A_PROCESS);
  const reports: Report[] = [];
  const work = async (): Promise<void> => {
    for (let from = starts.shift(); from !== undefined; from = starts.shift())
      reports.push(await played(from, from + SEEDS_A_PROCESS - 1));
  };
  await Promise.all([work(), work()]);
  return reports;
}

/** Minutes of CPU: on a busy machine they take longer. */
const LIMIT_MS = 900_000;

test(
  "whatever befalls workers and servers, everything comes out once, in order, and right",
  { timeout: LIMIT_MS },
  async (t) => {
    const reports = await allPlayed();
    const seeds = reports.reduce((sum, report) => sum + report.seeds, 0);
    const struck = new Map<string, number>();
    for (const report of reports)
      for (const [kind, count] of Object.entries(report.struck))
        struck.set(kind, (struck.get(kind) ?? 0) + count);
    const mean = reports.reduce((sum, { cpuMs }) => sum + cpuMs.mean, 0) / reports.length;
    const most = (of: (report: Report) => number): number => Math.max(...reports.map(of));
    const [p99, max, own] = (["p99", "max", "own"] as const).map((figure) =>
      String(most(({ cpuMs }) => cpuMs[figure])),
    );
    const calls = most((report) => report.calls.max);
    t.diagnostic(
      `seeds 1 to ${String(seeds)}; CPU a seed: mean ${mean.toFixed(1)} ms, p99 at most ${p99} ms, most ${max} ms in passing, ${own} ms by itself; calls at most ${String(calls)}`,
    );
    t.diagnostic(JSON.stringify(Object.fromEntries([...struck].sort())));
    assert.deepEqual(
      reports.flatMap(({ failures }) => failures),
      [],
    );
    assert.equal(seeds, SEEDS);
    assert.deepEqual(
      REFUSALS.filter((name) => !struck.has(name)),
      [],
      "each code of a broker is met in each kind of topic",
    );
    assert.equal(struck.size, FAULTS + REFUSALS.length + WAYS_OF_REFUSALS + FORGERIES.length);
    const seldom = [...struck].filter(([, count]) => count < STRUCK_MIN);
    assert.deepEqual(seldom, []);
    assert.ok(calls <= CALLS_MAX, `a seed took ${String(calls)} calls`);
  },
);

test("the same seeds give the same runs", async () => {
  const [one, two] = await Promise.all([played(1, 25), played(1, 25)]);
  assert.equal(one.trace, two.trace);
  const other = await played(2, 26);
  assert.notEqual(one.trace, other.trace);
});

const folder = join(import.meta.dirname, "cases");
for (const file of readdirSync(folder))
  test(`what was found once stays mended: ${file.replace(".json", "").replaceAll("-", " ")}`, async () => {
    const found = JSON.parse(readFileSync(join(folder, file), "utf8")) as SimulationCase;
    assert.equal((await play(found)).failure, null);
  });
