// Deliberate mistakes that the simulation cannot see are caught by the test that each of them names. A tenth of them is tried here,
// which MILLRACE_TEST_SEED chooses, and all in test/long/mistakes.ts.
import assert from "node:assert/strict";
import { test } from "node:test";
import { areCaught, ofTests } from "./mistakes.ts";

const PARTS = 10;
const seed = Number(process.env["MILLRACE_TEST_SEED"] ?? Date.now() % 1_000_000);

/** Minutes of CPU: on a busy machine they take longer. */
const LIMIT_MS = 900_000;

test(
  "deliberate mistakes beside the simulation are caught by their tests",
  { timeout: LIMIT_MS },
  async (t) => {
    t.diagnostic(`MILLRACE_TEST_SEED=${String(seed)}`);
    const tried = ofTests.filter((_mistake, at) => at % PARTS === seed % PARTS);
    assert.ok(tried.length >= 4);
    await areCaught(t, tried);
  },
);
