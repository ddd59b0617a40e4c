// The redrive of a pipeline's own unit tests: simulate() with a rule that is mended on the way, over seeds.
import assert from "node:assert/strict";
import { beforeEach, test } from "node:test";
import { crash, rebalance, redrive, send, simulate, type SimulatedStep } from "#testing";
import { everyFifth, flow, input, keyOf, output, right, rows, rule } from "../support/redriving.ts";

beforeEach(() => void (rule.refuses = right));

const sends = (from: number, to: number): SimulatedStep[] =>
  Array.from({ length: to - from }, (_, i) => {
    const n = from + i;
    return send(input, keyOf(n), { id: keyOf(n), n }, { at: 1_000 + n });
  });

/** The rule is mended as soon as a number has passed that only comes after the letters. */
const MENDED = 1_000;
const untilMended = (): void => {
  let isMended = false;
  rule.refuses = (thing) => {
    isMended ||= thing.n === MENDED;
    return !isMended && everyFifth(thing);
  };
};
const mending = send(input, keyOf(MENDED), { id: keyOf(MENDED), n: MENDED }, { at: 900 });

test("a simulated redrive makes of a mended rule what the right one would have made, through crashes", async () => {
  for (let seed = 1; seed <= 15; seed++) {
    rule.refuses = right;
    const want = await simulate(flow, [...sends(0, 60), mending], { seed });
    untilMended();
    const letters = [...sends(0, 30), crash, ...sends(30, 60), rebalance];
    const back = [redrive, crash, redrive, rebalance, crash];
    // Between them the simulation comes to rest, so that no letter is made with the mended rule.
    const steps = [...letters, redrive, mending, ...back];
    const got = await simulate(flow, steps, { seed });
    assert.deepEqual(got.rows(rows), want.rows(rows), `seed ${String(seed)}`);
    const numbers = ({ records }: typeof got): number[] =>
      records(output)
        .map(({ value }) => value?.n ?? NaN)
        .sort((a, b) => a - b);
    assert.deepEqual(numbers(got), numbers(want), `seed ${String(seed)}`);
    assert.deepEqual(got.letterStates, { resolved: 12 });
    assert.equal(got.ledger("main")["emitted"], 61);
  }
});

test("what fails every time is parked after as many redrives as the pipeline allows", async () => {
  rule.refuses = everyFifth;
  const steps = [...sends(0, 10), redrive, redrive, redrive, redrive, redrive];
  const { letterStates, deadLetters, ledger } = await simulate(flow, steps);
  assert.deepEqual(letterStates, { open: 2 });
  // Once at first, and again after three redrives, of which the last one parks.
  assert.equal(deadLetters.length, 8);
  assert.deepEqual(ledger("main"), { consumed: 16, emitted: 8, "dead-lettered": 8 });
});
