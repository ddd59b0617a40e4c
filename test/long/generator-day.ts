// A day of generated records at 2,000 a second, its first hours beside the clock of the moment in which each is made: time
// moves fastest there, since later ones are bounded by the generators' span.
import assert from "node:assert/strict";
import { test } from "node:test";
import { generators } from "../../src/demo/generators.ts";
import { furthestAhead } from "../support/made-up-times.ts";

const PER_SECOND = 2_000;
const COUNT = 24 * 3_600 * PER_SECOND;
const LOOKED_AT = 2 * 3_600 * PER_SECOND;

for (const kind of Object.keys(generators))
  test(`${kind}: no time of a day at 2,000 a second lies in the future`, () => {
    const startMs = Date.now();
    const paced = { count: COUNT, first: LOOKED_AT, startMs, perSecond: PER_SECOND };
    assert.ok(furthestAhead(kind, paced) <= 0);
  });
