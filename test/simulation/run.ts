// The simulation by hand:
//   node test/simulation/run.ts --seeds 1..2000 [--json]          plays seeds, tells failures, faults and cost
//   node test/simulation/run.ts --seed 7 --plan                   shows what a seed is made of
//   node test/simulation/run.ts --seed 7 --minimise               shrinks it while it fails, and prints it as JSON
//   node test/simulation/run.ts --case test/simulation/cases/x.json
//   node test/simulation/run.ts --seeds 1..2000 --mutation "no epoch" --first    until the first failure
// Exit code 1 when a seed failed.
import { readFileSync } from "node:fs";
import { parseArgs } from "node:util";
import type { SimulationCase } from "../support/simulation/case.ts";
import type { Played } from "../support/simulation/simulate.ts";

const { values: options } = parseArgs({
  options: {
    seeds: { type: "string", default: "1..200" },
    seed: { type: "string" },
    case: { type: "string" },
    mutation: { type: "string" },
    plan: { type: "boolean", default: false },
    minimise: { type: "boolean", default: false },
    first: { type: "boolean", default: false },
    json: { type: "boolean", default: false },
    help: { type: "boolean", default: false },
  },
});

if (options.help) {
  console.log(`Usage: npm run simulate -- [options]
  --seeds <a..b>     plays these seeds (1..200)
  --seed <n>         plays one
  --case <file>      plays a case that was kept
  --plan             prints what is played
  --minimise         shrinks what fails, and prints it as JSON
  --mutation <name>  with a deliberate mistake in the engine
  --first            ends at the first failure
  --json             prints the sum as JSON
Exit codes: 0 every seed holds, 1 one failed.`);
  process.exit(0);
}
if (options.mutation !== undefined) (await import("./mutation-hook.ts")).mutate(options.mutation);
const { play } = await import("../support/simulation/simulate.ts");
const { caseOf } = await import("../support/simulation/case.ts");
const { minimise } = await import("./minimise.ts");
const { costOf, CPU_MS_MAX } = await import("./cost.ts");

const print = (line: string): void => void process.stdout.write(`${line}\n`);

function* cases(): Iterable<SimulationCase> {
  if (options.case !== undefined) {
    yield JSON.parse(readFileSync(options.case, "utf8")) as SimulationCase;
    return;
  }
  const [from = 1, to = from] = (options.seed ?? options.seeds).split("..").map(Number);
  for (let seed = from; seed <= to; seed++) yield caseOf(seed);
}

const all: Played[] = [];
for (const one of cases()) {
  if (options.plan) print(JSON.stringify(one, null, 1));
  const played = await play(one);
  all.push(played);
  if (played.failure === null) continue;
  if (!options.json)
    print(`seed ${String(one.seed)}: ${played.failure.check}: ${played.failure.reason}`);
  if (options.minimise) print(JSON.stringify(await minimise(one)));
  if (options.first) break;
}
await report();
process.exit(all.some(({ failure }) => failure !== null) ? 1 : 0);

async function report(): Promise<void> {
  const struck: Record<string, number> = {};
  for (const played of all)
    for (const [kind, count] of Object.entries(played.struck))
      struck[kind] = (struck[kind] ?? 0) + count;
  const sum = {
    seeds: all.length,
    failures: all.flatMap(({ seed, failure }) => (failure === null ? [] : [{ seed, ...failure }])),
    struck,
    ...(await costOf(options.case === undefined ? all : [])),
    trace: all.reduce((hash, { trace }) => (Math.imul(hash, 31) + trace) | 0, 0),
  };
  if (options.json) return print(JSON.stringify(sum));
  print(
    `${String(sum.seeds)} seeds, ${String(sum.failures.length)} failed, trace ${String(sum.trace)}`,
  );
  const { cpuMs, above, dearest, calls } = sum;
  print(
    `CPU a seed: mean ${String(cpuMs.mean)} ms, p99 ${String(cpuMs.p99)} ms, max ${String(cpuMs.max)} ms`,
  );
  print(
    `${String(above)} above ${String(CPU_MS_MAX)} ms in passing; by itself the dearest takes ${String(cpuMs.own)} ms (seed ${String(dearest)})`,
  );
  print(`calls a seed: mean ${String(calls.mean)}, max ${String(calls.max)}`);
  for (const [kind, count] of Object.entries(struck).sort(([a], [b]) => (a < b ? -1 : 1)))
    print(`${String(count).padStart(8)} ${kind}`);
}
