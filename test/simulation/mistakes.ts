// Tries deliberate mistakes by the simulation, each from the seed on that caught it last.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import type { TestContext } from "node:test";
import { mutations, type Mutation } from "./mutations.ts";
import { triedAll, type Caught } from "./mutations-run.ts";

const SEEDS = 60;
const last = join(import.meta.dirname, "../reliability/results/mistakes.json");
const caughtLast = JSON.parse(readFileSync(last, "utf8")) as readonly Pick<
  Caught,
  "name" | "seed"
>[];

/** Those that a test sees, which they name. */
export const ofTests: readonly Mutation[] = mutations.filter(({ test }) => test !== undefined);
/** Those of the simulation. */
export const mistakes: readonly Mutation[] = mutations.filter(({ test }) => test === undefined);

export async function areCaught(t: TestContext, tried: readonly Mutation[]): Promise<void> {
  const seeds = ({ name, near = 1 }: Mutation): string => {
    const from = caughtLast.find((one) => one.name === name)?.seed ?? near;
    return `${String(from)}..${String(from + SEEDS - 1)}`;
  };
  const caught = await triedAll(tried, seeds, 2);
  for (const { name, by, seed } of caught) t.diagnostic(`${name}: ${by ?? "-"}, ${String(seed)}`);
  assert.equal(caught.length, tried.length);
  assert.deepEqual(
    caught.filter(({ by }) => by === null).map(({ name }) => name),
    [],
  );
}
