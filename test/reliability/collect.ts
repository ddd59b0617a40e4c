// Adds up what `npm run simulate -- --json` has printed for several ranges of seeds:
//   node test/reliability/collect.ts a.json b.json > test/reliability/results/simulation.json
import { readFileSync } from "node:fs";
import type { CpuMs } from "../simulation/cost.ts";
import type { SimulationResult } from "./results.ts";

interface Printed {
  readonly seeds: number;
  readonly failures: readonly unknown[];
  readonly struck: Readonly<Record<string, number>>;
  readonly cpuMs: CpuMs;
  readonly above: number;
}

const runs = process.argv.slice(2).map((file) => JSON.parse(readFileSync(file, "utf8")) as Printed);
const total = (of: (run: Printed) => number): number => runs.reduce((sum, run) => sum + of(run), 0);
const most = (of: (run: Printed) => number): number => Math.max(...runs.map(of));
const seeds = total((run) => run.seeds);
const kinds = [...new Set(runs.flatMap(({ struck }) => Object.keys(struck)))].sort();
const sum: SimulationResult = {
  seeds,
  failures: total(({ failures }) => failures.length),
  struck: Object.fromEntries(kinds.map((kind) => [kind, total(({ struck }) => struck[kind] ?? 0)])),
  cost: {
    seeds,
    cpuMs: {
      mean: Number((total((run) => run.cpuMs.mean * run.seeds) / seeds).toFixed(1)),
      // Of several runs the largest: theirs together is not more.
      p99: most(({ cpuMs }) => cpuMs.p99),
      max: most(({ cpuMs }) => cpuMs.max),
      own: most(({ cpuMs }) => cpuMs.own),
    },
    above: total((run) => run.above),
  },
};
console.log(JSON.stringify(sum, null, 2));
