// O3: folds of windows that depend on the order of records, behind a topic between parts or several sources. Their windows keep the
// records, and fold them when they close, in the order of times and origins: the same rows in whatever order the records come.
import assert from "node:assert/strict";
import { test } from "node:test";
import {
  calendar,
  hopping,
  json,
  pipeline,
  seconds,
  session,
  sliding,
  string,
  topic,
  tumbling,
  type GroupedStream,
  type Pipeline,
  type WindowOf,
} from "#engine";
import { crash, rebalance, redrive, advance, send, simulate, type SimulatedStep } from "#testing";
import { planData } from "../../src/cli/plan-text.ts";
import { ConfigErrors } from "../../src/engine/core/errors.ts";
import { headerText } from "../../src/engine/core/record.ts";
import { seededRandom } from "../../src/engine/testing/doubles/seeded-random.ts";
import { Fleet } from "../support/fleet.ts";

interface Step {
  readonly at: number;
  readonly is: string;
}
type Grouped = GroupedStream<string, Step>;

const BEGIN = Date.UTC(2025, 5, 1);
const steps = topic("steps", {
  ...{ key: string, value: json<Step>(), partitions: 2, owner: "tests" },
  timestamp: (one) => one.at,
});
const others = topic("others", {
  ...{ key: string, value: json<Step>(), partitions: 2, owner: "tests" },
  timestamp: (one) => one.at,
});
const out = topic("words", { key: string, value: string, partitions: 1, owner: "tests" });
const lates = topic("lates", { key: string, value: json<Step>(), partitions: 1, owner: "tests" });

const grace = seconds(20);
const kinds: Readonly<Record<string, WindowOf>> = {
  tumbling: tumbling({ size: seconds(10), grace }),
  hopping: hopping({ size: seconds(10), advance: seconds(4), grace }),
  calendar: calendar({ unit: "hour", timeZone: "Europe/Berlin", grace }),
  sliding: sliding({ difference: seconds(4), grace }),
  session: session({ gap: seconds(3), grace }),
};

const never = (): never => {
  throw new Error("nothing is merged");
};
/** "bad" fails until "mend" was read. */
const failing = { now: true };
const spell = (word: string, { is }: Step): string => {
  if (is.startsWith("bad") && failing.now) throw new Error("secret");
  return `${word}${is}`;
};
const folds: Readonly<Record<string, (grouped: Grouped, window: WindowOf) => void>> = {
  reduce(grouped, window) {
    const words = grouped
      .windowedBy(window)
      .reduce("word", (a, b) => ({ at: b.at, is: spell(a.is, b) }), { emit: "close" });
    words.late.to(lates);
    words.toStream("text", (word) => word.is).to(out);
  },
  aggregate(grouped, window) {
    const words = grouped.windowedBy(window).aggregate("word", {
      ...{ value: string, init: () => "", merge: never, emit: "close" },
      add: spell,
    });
    words.late.to(lates);
    words.toStream("text", (word) => word).to(out);
  },
};
const behind = (draw: (grouped: Grouped) => void): Pipeline =>
  pipeline("words", { haltWhen: "never" }, ({ from }) => {
    const all = from(steps).map("read", (one) => {
      if (one.is === "mend") failing.now = false;
      return one;
    });
    draw(all.groupBy("again", () => "k", { partitions: 1 }));
  });

const step = (second: number, is: string, partition = 0): SimulatedStep =>
  send(steps, is, { at: BEGIN + second * 1_000, is }, { partition });
const ends = [step(4_000, "", 0), step(4_000, "", 1)];
const rowsOf = async (flow: Pipeline, of: readonly SimulatedStep[]) => {
  failing.now = true;
  const done = await simulate(flow, of);
  const rows = done
    .records(out)
    .map(({ value, timestamp }) => `${String((timestamp - BEGIN) / 1_000)} ${String(value)}`);
  return { ...done, rows };
};

/** a to n, and some at the same times in both partitions. */
const letters = (partition: number) =>
  [..."abcdefghijklmn"].map((is, i) => ({
    second: Math.floor(i * 0.8) + partition * 0.4 * (i % 2),
    is: partition === 0 ? is : is.toUpperCase(),
    partition,
  }));
const all = [0, 1].flatMap(letters);
/** A record of a window, in the order of times; of one time by partition and offset. */
const inOrder = all.toSorted((a, b) => a.second - b.second || a.partition - b.partition);

/** Both partitions in their order, one beside the other as it falls out. */
function mixedBy(random: ReturnType<typeof seededRandom>): SimulatedStep[] {
  const own = [0, 1].map((p) => all.filter(({ partition }) => partition === p));
  const mixed: SimulatedStep[] = [];
  for (let left = all.length; left > 0; left--) {
    const [p0, p1] = own as [typeof all, typeof all];
    const from = p1.length === 0 || (p0.length > 0 && random.next() < 0.5) ? p0 : p1;
    const { second, is, partition } = from.shift() as (typeof all)[0];
    mixed.push(step(second, is, partition));
    if (random.next() < 0.1) mixed.push(random.next() < 0.5 ? crash : rebalance);
  }
  return mixed;
}

for (const [kind, window] of Object.entries(kinds))
  for (const [fold, draw] of Object.entries(folds).slice(kind === "session" ? 0 : 1))
    test(`O3: ${fold} of ${kind} windows behind a topic has the order of times, however the records come`, async () => {
      const flow = behind((grouped) => draw(grouped, window));
      const random = seededRandom(11);
      let expected: readonly string[] | null = null;
      for (let turn = 0; turn < 3; turn++) {
        const mixed = mixedBy(random);
        const { rows, stops, ledger } = await rowsOf(flow, [...mixed, ...ends]);
        assert.deepEqual(stops, []);
        assert.equal(ledger("again")["late"], undefined);
        expected ??= rows;
        assert.deepEqual(rows, expected);
      }
      const longest = [...(expected ?? [])].sort((a, b) => b.length - a.length)[0] ?? "";
      const word = longest.split(" ")[1] ?? "";
      assert.ok(word.length > 5, longest);
      assert.ok(
        inOrder
          .map(({ is }) => is)
          .join("")
          .includes(word),
        word,
      );
    });

test("records of one source that came late are in their place; directly on a source they are folded as they come", async () => {
  const late = [step(5, "c"), step(1, "a"), step(3, "b"), ...ends];
  const draw = folds["reduce"] as (grouped: Grouped, window: WindowOf) => void;
  const window = kinds["tumbling"] as WindowOf;
  const between = await rowsOf(
    behind((grouped) => draw(grouped, window)),
    late,
  );
  assert.deepEqual(between.rows, ["9.999 abc"]);
  const direct = pipeline("words", ({ from }) => {
    draw(
      from(steps)
        .map("one", (one) => one)
        .groupByKey(),
      window,
    );
  });
  const own = [5, 1, 3].map((second, i) =>
    send(steps, "k", { at: BEGIN + second * 1_000, is: "cab"[i] ?? "" }, { partition: 0 }),
  );
  assert.deepEqual((await rowsOf(direct, [...own, ...ends])).rows, ["9.999 cab"]);
  const merged = pipeline("words", ({ from }) => {
    draw(from(steps).merge("both", from(others)).groupByKey(), window);
  });
  const end = send(others, "", { at: BEGIN + 4_000_000, is: "" }, { partition: 0 });
  assert.deepEqual((await rowsOf(merged, [...own, ...ends, end])).rows, ["9.999 abc"]);
});

const classOf = (flow: Pipeline): unknown =>
  (planData(flow.plan())["parts"] as readonly { operators: readonly Record<string, unknown>[] }[])
    .flatMap(({ operators }) => operators)
    .find(({ name }) => name === "word")?.["class"];

test("O3: such a window is exact on close; bounded, and on update, it is a matter of arrival", () => {
  const window = kinds["tumbling"] as WindowOf;
  for (const draw of Object.values(folds))
    assert.equal(classOf(behind((grouped) => draw(grouped, window))), "exact");
  for (const options of [
    { emit: "update" },
    { emit: "checkpoint" },
    { emit: "close", windowsMax: 5, whenFull: "evict" },
  ] as const)
    assert.equal(
      classOf(
        behind((grouped) => {
          grouped
            .windowedBy(window)
            .reduce("word", (_, b) => b, options)
            .toStream("text", (one) => one?.is ?? "")
            .to(out);
        }),
      ),
      "arrival",
    );
});

test("a window of many and of large records is whole, and leaves nothing in its stores", async () => {
  const draw = folds["reduce"] as (grouped: Grouped, window: WindowOf) => void;
  const window = kinds["calendar"] as WindowOf;
  const many = Array.from({ length: 150 }, (_, i) => `${String(i).padStart(3, "0")},`);
  const large = "x".repeat(70_000);
  const fleet = new Fleet([behind((grouped) => draw(grouped, window))]);
  await fleet.join();
  const put = (second: number, is: string, partition: number): Promise<void> =>
    fleet.send(steps.name, [{ at: BEGIN + second * 1_000, is }], partition);
  await put(0, "", 0);
  for (const [i, is] of many.entries()) await put(150 - i, is, i % 2);
  await put(160, large, 0);
  await put(161, "z", 1);
  for (const partition of [0, 1]) await put(4_000, "", partition);
  await fleet.until(
    "the row is there",
    () => fleet.kafka.records(out.name, { committed: true }).length > 0,
  );
  await fleet.drained();
  const [row] = fleet.kafka.records(out.name, { committed: true });
  assert.equal(row?.value?.toString(), `${many.toReversed().join("")}${large}z`);
  const changes = fleet.kafka.records("words-word-records-changelog", { committed: true });
  const last = new Map(changes.map(({ key, value }) => [key?.toString("latin1"), value]));
  const open = [...last.values()].filter((value) => value !== null);
  assert.deepEqual([last.size > 6, open.length], [true, 1], "that of the window which is open");
});

test("a record that the fold fails for is a letter of its own; the window closes without it", async () => {
  for (const [kind, window] of Object.entries(kinds))
    for (const draw of Object.values(folds)) {
      const flow = behind((grouped) => draw(grouped, window));
      const of = [step(1, "a"), step(2, "bad"), step(3, "bad2", 1), step(4, "c"), crash, ...ends];
      const back = [step(4_001, "mend"), advance(seconds(5)), redrive, crash, redrive];
      const { rows, deadLetters, stops, letterStates, records } = await rowsOf(flow, [
        ...of,
        advance(seconds(5)),
        ...back,
      ]);
      assert.deepEqual(stops, [], kind);
      assert.ok(rows.some((row) => row.endsWith("c")) && !rows.join().includes("bad"), kind);
      const facts = deadLetters.map(({ record, code, step: at, class: of }) => [
        ...[code, at, of],
        ...["operator", "record"].map((name) => headerText(record.headers, `dlq.${name}`)),
      ]);
      assert.deepEqual(
        facts.map(([code, at, of, operator]) => [code, at, of, operator]),
        [0, 1].map(() => ["MILL_TRANSFORM_THREW", "word", "result", "word-records"]),
        kind,
      );
      assert.equal(new Set(facts.map(([, , , , record]) => record)).size, 2);
      // Its window is closed when it comes back.
      assert.deepEqual(letterStates, { resolved: 2 });
      assert.deepEqual(
        records(lates)
          .map(({ value }) => value?.is)
          .sort(),
        ["bad", "bad2"],
      );
    }
});

test("a window that keeps its records is no window that did not: the start refuses its store", async () => {
  const draw = folds["reduce"] as (grouped: Grouped, window: WindowOf) => void;
  const window = kinds["tumbling"] as WindowOf;
  const one = pipeline("words", ({ from }) => {
    draw(from(steps).groupByKey(), window);
  });
  const both = pipeline("words", ({ from }) => {
    draw(from(steps).merge("both", from(others)).groupByKey(), window);
  });
  for (const [before, after] of [
    [one, both],
    [both, one],
  ] as const) {
    const fleet = new Fleet([both]);
    const { worker } = await fleet.join({ plans: [before.plan()] });
    await fleet.send(steps.name, [{ at: BEGIN, is: "a" }]);
    await fleet.until("its record is consumed", () =>
      fleet.kafka
        .records("words-word-changelog", { committed: true })
        .some(({ value }) => value !== null),
    );
    await fleet.during(worker.stop());
    const error: unknown = await fleet
      .join({ plans: [after.plan()] })
      .catch((thrown: unknown) => thrown);
    assert.ok(error instanceof ConfigErrors);
    const [problem] = error.problems;
    assert.equal(problem?.code, "MILL_STATE_CHANGED");
    assert.match(problem.message, /tumbling 10000 ms, with its records/);
  }
});
