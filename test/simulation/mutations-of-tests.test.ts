// Deliberate mistakes that the simulation cannot see are caught by the test that each of them names.
import assert from "node:assert/strict";
import { test } from "node:test";
import { mutations } from "./mutations.ts";
import { triedAll } from "./mutations-run.ts";

/** Minutes of CPU: on a busy machine they take longer. */
const LIMIT_MS = 900_000;

test(
  "every deliberate mistake beside the simulation is caught by its test",
  { timeout: LIMIT_MS },
  async (t) => {
    const named = mutations.filter((mutation) => mutation.test !== undefined);
    const caught = await triedAll(named, () => "", 2);
    for (const { name, by } of caught) t.diagnostic(`${name}: ${by ?? "-"}`);
    assert.ok(caught.length >= 7);
    assert.deepEqual(
      caught.filter(({ by }) => by === null).map(({ name }) => name),
      [],
    );
  },
);
