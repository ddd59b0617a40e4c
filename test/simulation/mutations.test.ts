// A simulation that finds nothing proves nothing: every deliberate mistake in the protocol is caught by it. The search begins
// at the seed that caught it last; `npm run simulate:mistakes` searches from the first one.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { mutations, type Mutation } from "./mutations.ts";
import { triedAll, type Caught } from "./mutations-run.ts";

const SEEDS = 60;
const last = join(import.meta.dirname, "../reliability/results/mistakes.json");
const caughtLast = JSON.parse(readFileSync(last, "utf8")) as readonly Pick<
  Caught,
  "name" | "seed"
>[];

/** Minutes of CPU: on a busy machine they take longer. */
const LIMIT_MS = 900_000;

test("every deliberate mistake in the protocol is caught", { timeout: LIMIT_MS }, async (t) => {
  const seeds = ({ name, near = 1 }: Mutation): string => {
    const from = caughtLast.find((one) => one.name === name)?.seed ?? near;
    return `${String(from)}..${String(from + SEEDS - 1)}`;
  };
  // The others have a file of their own: mutations-of-tests.test.ts.
  const seen = mutations.filter((mutation) => mutation.test === undefined);
  const caught = await triedAll(seen, seeds, 2);
  for (const { name, by, seed } of caught) t.diagnostic(`${name}: ${by ?? "-"}, ${String(seed)}`);
  assert.ok(caught.length >= 15);
  assert.deepEqual(
    caught.filter(({ by }) => by === null).map(({ name }) => name),
    [],
  );
});
