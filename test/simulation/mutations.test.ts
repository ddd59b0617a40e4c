// A simulation that finds nothing proves nothing: every deliberate mistake in the protocol is caught by it.
import assert from "node:assert/strict";
import { test } from "node:test";
import { mutations } from "./mutations.ts";
import { triedAll } from "./mutations-run.ts";

const SEEDS = 60;

/** Minutes of CPU: on a busy machine they take longer. */
const LIMIT_MS = 900_000;

test("every deliberate mistake in the protocol is caught", { timeout: LIMIT_MS }, async (t) => {
  const seeds = ({ near = 1 }: { readonly near?: number }): string =>
    `${String(near)}..${String(near + SEEDS - 1)}`;
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
