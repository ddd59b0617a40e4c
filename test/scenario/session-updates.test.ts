// Sessions that are emitted before they close: each change, with those that are windows no more withdrawn in front of it.
import assert from "node:assert/strict";
import { test } from "node:test";
import { json, pipeline, seconds, session, string, topic } from "#engine";
import { crash, rebalance, send, simulate, type Simulated, type SimulatedStep } from "#testing";
import { seededRandom } from "../../src/engine/testing/doubles/seeded-random.ts";
import { planData } from "../../src/cli/plan-text.ts";

interface Line {
  readonly at: number;
}
interface Row {
  readonly from: number;
  readonly to: number;
  /** Null: withdrawn. */
  readonly lines: number | null;
}
const BEGIN = Date.UTC(2025, 5, 1);
const input = topic("lines", {
  ...{ key: string, value: json<Line>(), partitions: 1, owner: "tests" },
  timestamp: (line) => line.at,
});
const rows = topic("rows", { key: string, value: json<Row>(), partitions: 1, owner: "tests" });
const window = session({ gap: seconds(10), grace: seconds(60) });
const since = (time: Date | number): number => (Number(time) - BEGIN) / 1_000;
const line = (second: number, key = "k"): SimulatedStep =>
  send(input, key, { at: BEGIN + second * 1_000 });

const flowOf = (emit: "update" | "checkpoint" | "close", refused: readonly number[] = []) =>
  pipeline("counting", { haltWhen: "never" }, ({ from }) => {
    from(input)
      .groupByKey()
      .windowedBy(window)
      .count("lines-by-key", { emit })
      .toStream("row", (lines, { start, end }): Row => {
        if (lines !== null && refused.includes(lines)) throw new Error("refused");
        return { from: since(start), to: since(end), lines };
      })
      .to(rows);
  });
const shown = (done: Simulated): string[] =>
  done
    .records(rows)
    .map(
      ({ value, timestamp }) =>
        `[${String(value?.from)},${String(value?.to)}] ${String(value?.lines)} at ${String(since(timestamp))}`,
    );

test("a session that grows is withdrawn under its old window, in front of the new one", async () => {
  for (const between of [[], [crash], [rebalance]]) {
    const steps = [line(10), ...between, line(15), line(12), ...between, line(10)];
    assert.deepEqual(shown(await simulate(flowOf("update"), steps)), [
      "[10,10] 1 at 10",
      "[10,10] null at 15",
      "[10,15] 2 at 15",
      // Its window stays what it was.
      "[10,15] 3 at 15",
      "[10,15] 4 at 15",
    ]);
  }
});

test("two sessions that one record joins are both withdrawn, the earlier one first", async () => {
  for (const between of [[], [crash], [rebalance]]) {
    const steps = [line(10), line(30), line(12), ...between, line(21), ...between, line(50)];
    const done = await simulate(flowOf("update"), steps);
    assert.deepEqual(shown(done), [
      "[10,10] 1 at 10",
      "[30,30] 1 at 30",
      "[10,10] null at 12",
      "[10,12] 2 at 12",
      "[10,12] null at 30",
      "[30,30] null at 30",
      "[10,30] 4 at 30",
      "[50,50] 1 at 50",
    ]);
    assert.deepEqual(done.ledger("main"), { consumed: 5, emitted: 5 });
  }
});

test("nothing more is emitted when a session closes, and what is late changes none", async () => {
  const done = await simulate(flowOf("update"), [line(10), line(100), line(12), line(200)]);
  assert.deepEqual(shown(done), ["[10,10] 1 at 10", "[100,100] 1 at 100", "[200,200] 1 at 200"]);
  assert.deepEqual(done.ledger("main"), { consumed: 4, emitted: 3, late: 1 });
});

/** The last value of each window, without those that are withdrawn. */
function lastOf(done: Simulated): readonly string[] {
  const windows = new Map<string, number>();
  for (const { key, value } of done.records(rows)) {
    const id = `${key} [${String(value?.from)},${String(value?.to)}]`;
    if (value?.lines === null) windows.delete(id);
    else windows.set(id, value?.lines ?? -1);
  }
  return [...windows].map(([id, lines]) => `${id} ${String(lines)}`).sort();
}

for (const emit of ["update", "checkpoint"] as const)
  test(`what is left of drawn lines on ${emit} is what is emitted on close, in every schedule`, async () => {
    const { next: random } = seededRandom(11);
    for (let round = 1; round <= 8; round++) {
      let now = 100;
      const steps: SimulatedStep[] = [];
      for (let i = 0; i < 40; i++) {
        now += Math.floor(random() * 9);
        steps.push(line(Math.max(0, now - Math.floor(random() * 50)), random() < 0.5 ? "a" : "b"));
        if (random() < 0.1) steps.push(random() < 0.5 ? crash : rebalance);
      }
      const closed = await simulate(flowOf("close"), steps, { end: "close", seed: round });
      const changed = await simulate(flowOf(emit), steps, { seed: round });
      assert.deepEqual(lastOf(changed), lastOf(closed), `round ${String(round)}`);
    }
  });

test("a record whose session cannot be written withdraws none", async () => {
  const steps = [line(10), line(30), line(20), crash, line(32)];
  const done = await simulate(flowOf("update", [3]), steps);
  assert.deepEqual(lastOf(done), ["k [10,10] 1", "k [30,32] 2"]);
  assert.equal(done.deadLetters.length, 1);
  assert.deepEqual(done.ledger("main"), { consumed: 4, emitted: 3, "dead-lettered": 1 });
});

test("of changes of sessions the last counts", () => {
  const { parts } = planData(flowOf("update").plan()) as unknown as {
    parts: readonly { operators: readonly { name: string; class: string }[] }[];
  };
  const found = parts
    .flatMap(({ operators }) => operators)
    .find(({ name }) => name === "lines-by-key");
  assert.equal(found?.class, "final");
});
