// The breaker of a task beside a naive one, which keeps every record.
import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { raised, type LetterLimit } from "../../../src/engine/core/letter-limit.ts";
import { letterLimitOf } from "../../../src/engine/define/plan/halt-when.ts";
import { Breaker } from "../../../src/engine/runtime/task/breaker.ts";

const at = { topic: "t", partition: 0, offset: 7n };

/** Whether a letter now would be too many, after these records: [ms, is a letter]. */
function isTooMany(limit: LetterLimit, past: readonly (readonly [number, boolean])[], now: number) {
  const lettersOf = (of: typeof past): number => of.filter(([, isLetter]) => isLetter).length + 1;
  if (lettersOf(past.slice(-(limit.records - 1))) > limit.letters) return true;
  const { slow } = limit;
  if (slow === undefined || now - (past[0]?.[0] ?? now) < slow.ms) return false;
  const recent = past.filter(([ms]) => ms > now - slow.ms);
  if (recent.length + 1 >= limit.records) return false;
  const letters = lettersOf(recent);
  return letters >= slow.letters && letters > slow.share * (recent.length + 1) + 1e-9;
}

test("property: it refuses exactly the letters that a naive breaker refuses", () => {
  const step = fc.tuple(fc.nat(3), fc.integer({ min: 0, max: 9 }));
  const limit = { letters: 8, records: 40, slow: { ms: 30, share: 0.2, letters: 3 } };
  fc.assert(
    fc.property(fc.array(step, { maxLength: 300 }), fc.boolean(), (steps, isExact) => {
      const { slow, ...exact } = limit;
      const own: LetterLimit = isExact ? exact : { ...exact, slow };
      const breaker = new Breaker("main", own);
      const past: (readonly [number, boolean])[] = [];
      let now = 1_000;
      for (const [ms, kind] of steps) {
        now += ms;
        breaker.tick(now);
        const isLetter = kind < 3;
        const expected = !isLetter || !isTooMany(own, past, now);
        assert.equal(breaker.firstOver([isLetter]) === null, expected);
        assert.equal(breaker.admits(isLetter), expected);
        // What was refused is not consumed.
        if (expected) past.push([now, isLetter]);
      }
    }),
  );
});

test("the default is 5 % of 5,000, or of ten minutes with 20 letters; a limit that is said is exact", () => {
  const { haltWhen } = letterLimitOf("p", undefined);
  assert.deepEqual(haltWhen, {
    letters: 250,
    records: 5_000,
    slow: { ms: 600_000, share: 0.05, letters: 20 },
  });
  assert.deepEqual(raised(haltWhen, 0.2), {
    letters: 1_000,
    records: 5_000,
    slow: { ms: 600_000, share: 0.2, letters: 20 },
  });
  assert.deepEqual(raised({ letters: 25, records: 500 }, 0.01), { letters: 25, records: 500 });
  assert.equal(raised("never", 0.2), "never");
});

test("the 20th letter of a slow task halts it when ten minutes have passed, and not before", () => {
  const { haltWhen } = letterLimitOf("p", undefined);
  const breaker = new Breaker("main", haltWhen);
  for (let minute = 0; minute < 10; minute++) {
    breaker.tick(minute * 60_000);
    for (let i = 0; i < 3; i++) assert.ok(breaker.admits(true));
  }
  breaker.tick(599_999);
  assert.ok(breaker.admits(true));
  breaker.tick(600_000);
  assert.equal(breaker.admits(true), false);
  assert.match(
    breaker.error(at).message,
    /main t-0 at offset 7: 29 of 29 records within 10 minutes/,
  );
});

test("a letter that came late halts a slow task at its next record", () => {
  const { haltWhen } = letterLimitOf("p", undefined);
  const breaker = new Breaker("main", haltWhen);
  breaker.tick(0);
  breaker.tick(700_000);
  for (let i = 0; i < 20; i++) assert.ok(breaker.admits(false));
  for (let i = 0; i < 20; i++) breaker.late();
  assert.equal(breaker.admits(false), false);
});
