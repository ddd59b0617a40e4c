// Cases of schedule independence by hand: generated graphs of windows under drawn schedules, each against what their sources
// hold as sets.
//   node test/schedules/run.ts --seeds 1..500 [--json]
//   node test/schedules/run.ts --seed 7 --plan                    shows what a case is made of
//   node test/schedules/run.ts --seeds 1..100 --mutation "one time a task" --first
// Exit code 1 when a case failed.
import { parseArgs } from "node:util";
import type { PlayedCase } from "../support/schedules/play.ts";

const { values: options } = parseArgs({
  options: {
    seeds: { type: "string", default: "1..200" },
    seed: { type: "string" },
    mutation: { type: "string" },
    plan: { type: "boolean", default: false },
    first: { type: "boolean", default: false },
    json: { type: "boolean", default: false },
  },
});
if (options.mutation !== undefined)
  (await import("../simulation/mutation-hook.ts")).mutate(options.mutation);
const { caseOf, play } = await import("../support/schedules/play.ts");

const print = (line: string): void => void process.stdout.write(`${line}\n`);
const [from = 1, to = from] = (options.seed ?? options.seeds).split("..").map(Number);
const all: PlayedCase[] = [];
for (let seed = from; seed <= to; seed++) {
  const of = caseOf(seed);
  if (options.plan) print(JSON.stringify(of, null, 1));
  const played = await play(of);
  all.push(played);
  if (played.failure === null) continue;
  if (!options.json) print(`seed ${String(seed)}, ${played.shape}: ${played.failure}`);
  if (options.first) break;
}

const sums = (
  of: (one: PlayedCase) => Readonly<Record<string, number>>,
): Record<string, number> => {
  const sum: Record<string, number> = {};
  for (const one of all)
    for (const [name, count] of Object.entries(of(one))) sum[name] = (sum[name] ?? 0) + count;
  return sum;
};
const report = {
  cases: all.length,
  rows: all.reduce((sum, { rows }) => sum + rows, 0),
  shapes: sums(({ shape }) => ({ [shape]: 1 })),
  struck: sums(({ struck }) => struck),
  failures: all.flatMap(({ seed, failure }) =>
    failure === null ? [] : [{ seed, check: "schedule", reason: failure }],
  ),
};
if (options.json) print(JSON.stringify(report));
else
  print(
    `${String(report.cases)} cases, ${String(report.rows)} rows, ${String(report.failures.length)} failed`,
  );
process.exit(report.failures.length > 0 ? 1 : 0);
