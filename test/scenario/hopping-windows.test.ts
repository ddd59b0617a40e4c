// Hopping windows that are put together of panes are those that take each record themselves: the same rows in the same order, the
// same records late, whatever batches, crashes and rebalances there are.
import assert from "node:assert/strict";
import { test } from "node:test";
import { hopping, json, milliseconds, pipeline, string, topic, type Pipeline } from "#engine";
import { crash, rebalance, send, simulate, type SimulatedStep } from "#testing";
import { Chance } from "../support/chance.ts";

interface Tick {
  readonly at: number;
  readonly id: string;
}
interface Row {
  readonly start: number;
  readonly end: number;
  readonly values: readonly string[];
}
const BEGIN = Date.UTC(2025, 5, 1);
const source = topic("ticks", {
  ...{ key: string, value: json<Tick>(), partitions: 2, owner: "tests" },
  timestamp: (tick) => tick.at,
});
const rows = topic("rows", { key: string, value: json<Row>(), partitions: 1, owner: "tests" });
const lates = topic("lates", { key: string, value: json<Tick>(), partitions: 1, owner: "tests" });

interface Case {
  readonly size: number;
  readonly advance: number;
  readonly grace: number;
  readonly isGrouped: boolean;
  readonly steps: readonly SimulatedStep[];
}

function draw(seed: number): Case {
  const chance = new Chance(seed);
  const size = chance.of([10, 12, 7]);
  const advance = chance.of([1, 3, 4, 5, 6]);
  const times = [0, 0];
  const steps: SimulatedStep[] = [];
  for (let i = 0; i < 40; i++) {
    const partition = chance.below(2);
    const now = (times[partition] ?? 0) + chance.of([0, 0, 1, 2, 3, 8, 25]);
    times[partition] = now;
    const at = BEGIN + Math.max(0, now - chance.of([0, 0, 0, 2, 5, 11, 17]));
    const tick = { at, id: `t${String(i)}` };
    steps.push(send(source, `k${String(chance.below(3))}`, tick, { partition }));
    if (chance.is(0.12)) steps.push(chance.of([crash, rebalance]));
  }
  const last = Math.max(...times) + 100;
  for (const partition of [0, 1])
    steps.push(send(source, "end", { at: BEGIN + last, id: "end" }, { partition }));
  return { size, advance, grace: chance.of([0, 2, 6]), isGrouped: chance.is(0.6), steps };
}

const merge = (a: readonly string[], b: readonly string[]) => [...a, ...b].sort();

const flowOf = ({ size, advance, grace, isGrouped }: Case, ofPanes: boolean): Pipeline =>
  pipeline("hops", ({ from }) => {
    const window = hopping({
      ...{ size: milliseconds(size), advance: milliseconds(advance), grace: milliseconds(grace) },
    });
    const stream = from(source);
    const grouped = isGrouped
      ? stream.groupBy("by-first", ({ id }) => id.slice(0, 2), { partitions: 1 })
      : stream.groupByKey();
    const windows = grouped.windowedBy(window).aggregate("values", {
      value: json<readonly string[]>(),
      init: () => [],
      add: (values: readonly string[], { id }: Tick) => [...values, id].sort(),
      ...(ofPanes ? { merge } : {}),
      emit: "close",
    });
    windows
      .toStream("row", (values, { start, end }): Row => ({
        ...{ start: Number(start) - BEGIN, end: Number(end) - BEGIN, values },
      }))
      .to(rows);
    windows.late.to(lates);
  });

async function answersOf(one: Case, ofPanes: boolean) {
  const { records, ledger } = await simulate(flowOf(one, ofPanes), one.steps);
  const shown = records(rows).map(({ key, value, timestamp }) => [key, value, timestamp]);
  const late = records(lates).map(({ key, value }) => [key, value]);
  return { rows: shown, late, ledger: ledger(one.isGrouped ? "by-first" : "main") };
}

test("windows of panes are those that take each record themselves, in 40 cases", async () => {
  let lateOnes = 0;
  for (let seed = 1; seed <= 40; seed++) {
    const one = draw(seed);
    const [ofPanes, ofWindows] = [await answersOf(one, true), await answersOf(one, false)];
    assert.deepEqual(ofPanes, ofWindows, `seed ${String(seed)}`);
    lateOnes += ofPanes.late.length;
  }
  assert.ok(lateOnes > 40, "the cases have late records");
});

test("a window whose panes cannot be merged is a letter; the windows behind it go on", async () => {
  const flow = pipeline("hops", { haltWhen: "never" }, ({ from }) => {
    const window = { size: milliseconds(10), advance: milliseconds(5), grace: milliseconds(0) };
    from(source)
      .groupByKey()
      .windowedBy(hopping(window))
      .reduce(
        "values",
        (a, b) => {
          if (a.id === "t0" && b.id === "t1") throw new Error("refused");
          return b;
        },
        { emit: "close" },
      )
      .toStream("row", ({ id }, { start, end }): Row => ({
        ...{ start: Number(start) - BEGIN, end: Number(end) - BEGIN, values: [id] },
      }))
      .to(rows);
  });
  const tick = (at: number, id: string, key = "k"): SimulatedStep =>
    send(source, key, { at: BEGIN + at, id }, { partition: 0 });
  const steps = [tick(1, "t0"), tick(7, "t1"), tick(13, "t2"), tick(60, "end", "x")];
  const { records, deadLetters, stops } = await simulate(flow, steps);
  assert.deepEqual(
    records(rows).map(({ value }) => [value?.start, ...(value?.values ?? [])]),
    [
      [-5, "t0"],
      [5, "t2"],
      [10, "t2"],
    ],
  );
  assert.deepEqual([deadLetters.length, stops.length], [1, 0]);
});
