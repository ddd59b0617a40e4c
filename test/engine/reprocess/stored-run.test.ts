// Rows of `millrace.runs` that something else has written are refused by name, and end in no other error.
import assert from "node:assert/strict";
import { test } from "node:test";
import { MillraceError } from "../../../src/engine/core/errors.ts";
import { detailOf } from "../../../src/engine/reprocess/words/steps.ts";
import { runOf, type StoredRun } from "../../../src/engine/reprocess/words/stored-run.ts";
import { storedRun } from "../../support/stored-run.ts";

const place = (from: unknown): string =>
  JSON.stringify({
    places: [{ part: "main", topic: "in", partition: 0, from, to: { offset: "9" } }],
    ...{ own: [], pins: { in: [{ offset: "9" }] } },
  });

test("a row that a run has written comes back, offsets beyond a double included", () => {
  const stand = { part: "main", topic: "in", partition: 0, nextOffset: "9007199254740993" };
  const stands = [{ ...stand, isForeign: true, metadata: null, ledger: null }];
  const promote = { hold: false, corrections: true, storesBefore: null, corrected: 0, stands };
  const run = runOf({
    ...{ ...storedRun, range: place({ offset: "9007199254740993" }), rate_limit: "1000" },
    ...{ detail: { promote }, finished: "1700000000001" },
  });
  assert.equal(run.range.places[0]?.from, 9_007_199_254_740_993n);
  assert.deepEqual(run.range.pins, { in: [9n] });
  assert.deepEqual([run.rateLimit, run.finishedMs], [1_000, 1_700_000_000_001]);
  assert.equal(detailOf(run)?.positions?.[0]?.nextOffset, 9_007_199_254_740_993n);
});

const wrong = (changes: Readonly<Record<string, unknown>>): StoredRun =>
  ({ ...storedRun, ...changes }) as StoredRun;

const wrongs: Readonly<Record<string, StoredRun>> = {
  state: wrong({ state: "gone" }),
  target: wrong({ target: "live" }),
  step: wrong({ step: 7 }),
  "range, no JSON": wrong({ range: "{garbage" }),
  "range, no object": wrong({ range: "[]" }),
  "offset, no number": wrong({ range: place({ offset: "x" }) }),
  "offset, too large": wrong({ range: place({ offset: "9".repeat(19) }) }),
  "offset, plain": wrong({ range: place(7) }),
  pins: wrong({ range: '{"places":[],"own":[],"pins":{"in":[1]}}' }),
  prototype: wrong({ range: '{"places":[],"own":[],"pins":{"__proto__":[{"offset":"1"}]}}' }),
  options: wrong({ options: null }),
  source: wrong({ options: { ...storedRun.options, source: { kind: "shell" } } }),
  workers: wrong({ options: { ...storedRun.options, workers: 1e9 } }),
  counts: wrong({ counts: { ...storedRun.counts, done: "1" } }),
  detail: wrong({ detail: [] }),
  promote: wrong({ detail: { promote: { stands: [{ nextOffset: "x" }] } } }),
  rate: wrong({ rate_limit: "NaN" }),
  time: wrong({ created: "soon" }),
};

for (const [what, row] of Object.entries(wrongs))
  test(`a row with a wrong ${what} is refused by name`, () => {
    assert.throws(
      () => runOf(row),
      (error: unknown) => {
        assert.ok(error instanceof MillraceError, String(error));
        assert.equal(error.code, "MILL_RUN_INVALID");
        assert.match(error.message, /: run 3 of shop: /);
        return true;
      },
    );
  });
