// State under crashes, rebalances, wipes and zombies, in virtual time: what comes out equals a naive second program.
import assert from "node:assert/strict";
import { test } from "node:test";
import { bytes, days, json, pipeline, seconds, string, topic } from "#engine";
import { advance, crash, pause, rebalance, send, simulate, type SimulatedStep } from "#testing";
import { things } from "../support/plans.ts";

const input = things("in");
const sums = topic("sums", { key: string, value: json<number>(), partitions: 2, owner: "tests" });
const firsts = things("firsts");

const flow = pipeline("flow", ({ from }) => {
  const once = from(input).distinct("once", { by: (t) => t.n, within: days(1) });
  once.to(firsts);
  once
    .groupByKey()
    .sum("total", (t) => t.n)
    .to(sums);
});

const sends = (from: number, to: number): SimulatedStep[] =>
  Array.from({ length: to - from }, (_, i) => {
    const n = from + i;
    return send(input, `k${String(n % 5)}`, { id: "", n: n % 3 === 2 ? n - 2 : n });
  });

function expected(count: number): { sums: Record<string, number>; firsts: number } {
  const totals: Record<string, number> = {};
  const seen = new Set<string>();
  for (const step of sends(0, count)) {
    const { key, value } = step as { key: string; value: { n: number } };
    if (seen.has(`${key}/${String(value.n)}`)) continue;
    seen.add(`${key}/${String(value.n)}`);
    totals[key] = (totals[key] ?? 0) + value.n;
  }
  return { sums: totals, firsts: seen.size };
}

async function check(steps: readonly SimulatedStep[], count: number, seed = 1): Promise<void> {
  const result = await simulate(flow, steps, { seed });
  const want = expected(count);
  const last = Object.fromEntries(result.records(sums).map(({ key, value }) => [key, value]));
  assert.deepEqual(last, want.sums, `seed ${String(seed)}`);
  assert.equal(result.records(firsts).length, want.firsts);
  assert.deepEqual(result.deadLetters, []);
  const ledger = result.ledger("main");
  assert.equal(ledger["consumed"], count);
  assert.equal(ledger["deduplicated"] ?? 0, count - want.firsts);
}

test("a sum and its repeats are right without faults", () => check(sends(0, 100), 100));

test("crashes at any moment change nothing", async () => {
  for (let seed = 1; seed <= 20; seed++)
    await check([...sends(0, 40), crash, ...sends(40, 80), crash, ...sends(80, 100)], 100, seed);
});

test("rebalances and a worker paused past its session change nothing", () =>
  check(
    [
      ...sends(0, 40),
      rebalance,
      ...sends(40, 60),
      pause(seconds(15)),
      ...sends(60, 80),
      advance(seconds(1)),
      rebalance,
    ],
    80,
  ));

test("what `distinct` remembers goes when its span is over, and what it answers stays the same", async () => {
  const spanned = pipeline("spanned", ({ from }) => {
    from(input)
      .distinct("once", { by: (t) => t.n, within: seconds(60) })
      .to(firsts);
  });
  const at = (n: number): SimulatedStep =>
    send(input, "k", { id: "", n: n < 550 ? n : n - 50 }, { at: 1_000_000 + n * 2_000 });
  const steps = Array.from({ length: 600 }, (_, n) => [at(n), advance(seconds(1))]).flat();
  const result = await simulate(spanned, steps, { seed: 1 });
  // The last fifty come again after 100 s, when they are forgotten.
  assert.equal(result.records(firsts).length, 600);
  const changes = result.records(
    topic("spanned-once-changelog", { key: bytes, value: bytes, partitions: 2, owner: "tests" }),
  );
  const kept = new Map(changes.map(({ key, value }) => [Buffer.from(key).toString(), value]));
  const live = [...kept.values()].filter((value) => value !== null).length;
  assert.ok(live < 100, `${String(live)} entries are kept of 31 that count`);
});
