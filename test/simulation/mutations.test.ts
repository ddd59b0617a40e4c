// A simulation that finds nothing proves nothing: every deliberate mistake in the protocol is caught by it. The search begins
// at the seed that caught it last; `npm run simulate:mistakes` searches from the first one. A tenth of them is tried here, which
// MILLRACE_TEST_SEED chooses, and all in test/long/mistakes.ts.
import assert from "node:assert/strict";
import { test } from "node:test";
import { areCaught, mistakes } from "./mistakes.ts";

const PARTS = 10;
const seed = Number(process.env["MILLRACE_TEST_SEED"] ?? Date.now() % 1_000_000);

/** Minutes of CPU: on a busy machine they take longer. */
const LIMIT_MS = 600_000;

test("deliberate mistakes in the protocol are caught", { timeout: LIMIT_MS }, async (t) => {
  t.diagnostic(`MILLRACE_TEST_SEED=${String(seed)}`);
  const tried = mistakes.filter((_mistake, at) => at % PARTS === seed % PARTS);
  assert.ok(tried.length >= 9);
  await areCaught(t, tried);
});
