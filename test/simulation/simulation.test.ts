// Seeds of the deterministic simulation: generated pipelines of the real engine against simulated servers, under all that may
// befall them. Ten thousand are in test/long/simulation.ts. By hand: run.ts, whose first lines say how.
import assert from "node:assert/strict";
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import type { SimulationCase } from "../support/simulation/case.ts";
import { play } from "../support/simulation/simulate.ts";
import { holds, played } from "./seeds.ts";

const SEEDS = 300;
/** Minutes of CPU: on a busy machine they take longer. */
const LIMIT_MS = 600_000;

test(
  "whatever befalls workers and servers, everything comes out once, in order, and right",
  { timeout: LIMIT_MS },
  (t) => holds(t, SEEDS, null),
);

test("the same seeds give the same runs", async () => {
  const [one, two] = await Promise.all([played(1, 10), played(1, 10)]);
  assert.equal(one.trace, two.trace);
  const other = await played(2, 11);
  assert.notEqual(one.trace, other.trace);
});

const folder = join(import.meta.dirname, "cases");
for (const file of readdirSync(folder))
  test(`what was found once stays mended: ${file.replace(".json", "").replaceAll("-", " ")}`, async () => {
    const found = JSON.parse(readFileSync(join(folder, file), "utf8")) as SimulationCase;
    assert.equal((await play(found)).failure, null);
  });
