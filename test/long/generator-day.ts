// A day of generated records at 2,000 a second, its first hour record by record beside the clock of the moment in which
// each is made: the made-up times of a day are as close as those of its first hour.
import assert from "node:assert/strict";
import { test } from "node:test";
import { generators } from "../../src/demo/generators.ts";
import { furthestAhead } from "../support/made-up-times.ts";

const PER_SECOND = 2_000;
const COUNT = 24 * 3_600 * PER_SECOND;
const FIRST = 3_600 * PER_SECOND;

for (const kind of Object.keys(generators))
  test(`${kind}: no time of a day at 2,000 a second lies in the future`, () => {
    const startMs = Date.now();
    assert.ok(furthestAhead(kind, { count: COUNT, first: FIRST, startMs, perSecond: PER_SECOND }) <= 0);
  });
