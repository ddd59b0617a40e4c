// Bounds of the records of a key that wait, in joins and in front of an order: at the bound, one before and one behind it.
import assert from "node:assert/strict";
import { test } from "node:test";
import { json, pipeline, records as count, seconds, string, topic, type Pipeline } from "#engine";
import {
  advance,
  crash,
  rebalance,
  send,
  simulate,
  type Simulated,
  type SimulatedStep,
} from "#testing";
import { planData } from "../../src/cli/plan-text.ts";
import { ConfigErrors } from "../../src/engine/core/errors.ts";

interface Fed {
  readonly at: number;
  readonly id: string;
}
const BEGIN = Date.UTC(2025, 5, 1);
const own = { partitions: 1, owner: "tests" };
const fed = (name: string) =>
  topic(name, { key: string, value: json<Fed>(), ...own, timestamp: (value: Fed) => value.at });
const orders = fed("orders");
const payments = fed("payments");
const rows = topic("rows", { key: string, value: json<string>(), ...own });
const put =
  (to: ReturnType<typeof fed>, of: string) =>
  (second: number, key = "k"): SimulatedStep =>
    send(to, key, { at: BEGIN + second * 1_000, id: `${of}${String(second)}` });
const order = put(orders, "o");
const payment = put(payments, "p");
const until = (second: number): SimulatedStep[] => [order(second, "end"), payment(second, "end")];

type WhenFull = "dead-letter" | "halt";
const joining = (recordsMax: number, whenFull: WhenFull = "dead-letter"): Pipeline =>
  pipeline("joining", { haltWhen: "never" }, ({ from }) => {
    from(orders)
      .leftJoin("pairs", from(payments), (o, p) => `${o.id}&${p?.id ?? "-"}`, {
        ...{ before: seconds(5), after: seconds(5), grace: seconds(10) },
        ...{ recordsMax: count(recordsMax), whenFull },
      })
      .to(rows);
  });
const sequence = (recordsMax: number, whenFull: WhenFull = "dead-letter"): Pipeline =>
  pipeline("words", { haltWhen: "never" }, ({ from }) => {
    from(orders)
      .mapWithState("word", {
        state: string,
        order: { grace: seconds(10), recordsMax: count(recordsMax), whenFull },
        map: (word, { id }) => ({ state: `${word ?? ""}${id}`, emit: [`${word ?? ""}${id}`] }),
      })
      .to(rows);
  });

const shown = (done: Simulated): string[] =>
  done.records(rows).map(({ key, value }) => `${key} ${value ?? ""}`);

/** The rows, letters and counts of all schedules, which are one. Each record is worked before the next is there: a join reads two topics. */
async function inEverySchedule(flow: Pipeline, steps: readonly SimulatedStep[]) {
  const runs: unknown[] = [];
  let last: Simulated | null = null;
  for (const between of [[], [crash], [rebalance]]) {
    const apart = steps.map((step) => [step, advance(seconds(1))]);
    const spread = apart.flatMap((step, i) => (i % 2 === 0 ? [...step, ...between] : step));
    last = await simulate(flow, spread);
    const letters = last.deadLetters.map(({ class: of, code }) => `${of} ${code}`);
    runs.push({ rows: shown(last), letters, ledger: last.ledger("main") });
  }
  for (const run of runs) assert.deepEqual(run, runs[0]);
  return last as Simulated;
}

for (const recordsMax of [2, 3, 4])
  test(`a join of three records of one key and side, with a bound of ${String(recordsMax)}`, async () => {
    // The second lies in another span of time than the others; the last finds every one that was kept.
    const steps = [order(11), order(2), order(12), order(11, "j"), payment(11), ...until(90)];
    const done = await inEverySchedule(joining(recordsMax), steps);
    const refused = recordsMax === 2 ? 1 : 0;
    assert.deepEqual(
      done.deadLetters.map(({ class: of, code, step }) => [of, code, step]),
      Array.from({ length: refused }, () => ["full", "MILL_KEY_FULL", "pairs"]),
    );
    const wanted = ["j o11&-", "k o11&p11", "k o2&-", ...(refused === 0 ? ["k o12&p11"] : [])];
    assert.deepEqual(
      shown(done)
        .filter((row) => !row.startsWith("end"))
        .sort(),
      wanted.sort(),
    );
  });

test("records that are gone make room in a join, whether they had a partner or not", async () => {
  const steps = [order(1), payment(1), order(2), ...until(60), order(70), order(71), ...until(200)];
  const done = await inEverySchedule(joining(2), steps);
  assert.equal(done.deadLetters.length, 0);
  const full = [order(1), order(2), ...until(17), order(20), order(21), ...until(200)];
  // At 17 s the first of them may go, at 18 s the second: one is refused.
  assert.equal((await inEverySchedule(joining(2), full)).deadLetters.length, 1);
});

for (const recordsMax of [2, 3, 4])
  test(`an order of three records of one key, with a bound of ${String(recordsMax)}`, async () => {
    const steps = [
      order(3),
      order(1),
      order(2),
      order(4, "j"),
      order(40, "end"),
      order(41),
      order(90, "end"),
    ];
    const done = await inEverySchedule(sequence(recordsMax), steps);
    const refused = recordsMax === 2 ? 1 : 0;
    assert.equal(done.deadLetters.length, refused);
    const words = refused === 1 ? ["o1", "o1o3", "o1o3o41"] : ["o1", "o1o2", "o1o2o3", "o1o2o3o41"];
    assert.deepEqual(
      shown(done).filter((row) => row.startsWith("k")),
      words.map((word) => `k ${word}`),
    );
  });

test("a full key stops the task in front of its record where the step asks for that", async () => {
  for (const flow of [joining(2, "halt"), sequence(2, "halt")]) {
    const steps = [order(1), crash, order(2), order(3), order(4)];
    const done = await simulate(flow, steps, { stops: "expected" });
    // A task stops with each of its inputs.
    assert.deepEqual([...new Set(done.stops.map(({ code }) => code))], ["MILL_KEY_FULL_HALT"]);
    assert.deepEqual(done.ledger("main"), { consumed: 2, emitted: 2 });
  }
});

test("a bound needs its number and its rule, and makes results a matter of arrival where several sources meet", () => {
  const refused = (flow: () => Pipeline): string => {
    try {
      flow().plan();
      return "";
    } catch (error) {
      return error instanceof ConfigErrors
        ? error.problems.map(({ message }) => message).join()
        : "";
    }
  };
  assert.match(
    refused(() => joining(0)),
    /recordsMax, a whole number of 1/,
  );
  assert.match(
    refused(() => joining(5, "evict" as never)),
    /whenFull: "dead-letter" or "halt"/,
  );
  assert.match(
    refused(() => sequence(1.5)),
    /recordsMax, a whole number of 1/,
  );
  assert.match(
    refused(() => sequence(5, null as never)),
    /whenFull/,
  );
  const { parts } = planData(joining(5).plan()) as unknown as {
    parts: readonly { operators: readonly { name: string; class: string }[] }[];
  };
  const found = parts.flatMap(({ operators }) => operators).find(({ name }) => name === "pairs");
  assert.equal(found?.class, "arrival");
});
