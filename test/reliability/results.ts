// What runs have found, as files beside this one: chaos runs as `npm run chaos -- --out` writes them, sums of simulation
// seeds, and what caught each deliberate mistake.
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import type { CpuMs } from "../simulation/cost.ts";
import type { ChaosResult, RowResult, Times } from "../chaos/result.ts";

const folder = join(import.meta.dirname, "results");

/** CPU a seed, over so many; `above` of them took more than 40 ms in passing. */
export interface SeedCost {
  readonly seeds: number;
  readonly cpuMs: CpuMs;
  readonly above: number;
}

export interface SimulationResult {
  readonly seeds: number;
  readonly failures: number;
  /** How often each kind of fault struck. */
  readonly struck: Readonly<Record<string, number>>;
  readonly cost: SeedCost;
}

export interface CaughtMistake {
  readonly name: string;
  readonly by: string | null;
  readonly seed: number | null;
}

export interface Results {
  readonly chaos: readonly ChaosResult[];
  readonly simulation: SimulationResult;
  readonly mistakes: readonly CaughtMistake[];
}

const read = (file: string): unknown => JSON.parse(readFileSync(join(folder, file), "utf8"));

export function readResults(): Results {
  const chaos = readdirSync(folder).filter((name) => name.startsWith("chaos-"));
  return {
    chaos: chaos.sort().map((name) => read(name) as ChaosResult),
    simulation: read("simulation.json") as SimulationResult,
    mistakes: read("mistakes.json") as CaughtMistake[],
  };
}

/** One row of the matrix over all runs. */
export interface RowSum {
  readonly row: number;
  readonly name: string;
  readonly injected: string;
  readonly runs: number;
  readonly fired: number;
  readonly planned: number;
  readonly lost: number;
  readonly doubled: number;
  readonly firstCommit: Times | null;
}

export function rowSums(chaos: readonly ChaosResult[]): RowSum[] {
  const byRow = Map.groupBy(
    chaos.flatMap(({ rows }) => rows),
    ({ row }) => row,
  );
  return [...byRow.values()].map(sumOf).sort((a, b) => a.row - b.row);
}

function sumOf(rows: readonly RowResult[]): RowSum {
  const [first] = rows as [RowResult];
  const total = (of: (row: RowResult) => number): number =>
    rows.reduce((sum, row) => sum + of(row), 0);
  return {
    row: first.row,
    name: first.name,
    injected: first.injected,
    runs: total(({ runs }) => runs),
    fired: total(({ fired }) => fired),
    planned: total(({ planned }) => planned),
    lost: total(({ lost }) => lost),
    doubled: total(({ doubled }) => doubled),
    firstCommit: timesOf(rows.flatMap(({ firstCommit }) => firstCommit ?? [])),
  };
}

/** The least, the median of medians and the most. */
function timesOf(all: readonly Times[]): Times | null {
  if (all.length === 0) return null;
  const medians = all.map(({ median }) => median).sort((a, b) => a - b);
  return {
    min: Math.min(...all.map(({ min }) => min)),
    median: medians[Math.floor(medians.length / 2)] ?? 0,
    max: Math.max(...all.map(({ max }) => max)),
  };
}
