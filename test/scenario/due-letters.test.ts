// Records without a partner and timers whose own callback fails at their due: each is a letter that has what the operator needs, and
// comes back to the operator once it is mended.
import assert from "node:assert/strict";
import { test } from "node:test";
import { json, pipeline, seconds, string, topic, type Pipeline } from "#engine";
import {
  advance,
  crash,
  rebalance,
  redrive,
  send,
  simulate,
  type Simulated,
  type SimulatedStep,
} from "#testing";
import { headerText } from "../../src/engine/core/record.ts";

interface Fed {
  readonly at: number;
  readonly id: string;
}
type Letter = Simulated["deadLetters"][0];

const BEGIN = Date.UTC(2025, 5, 1);
const own = { partitions: 1, owner: "tests" };
const fed = (name: string) =>
  topic(name, { key: string, value: json<Fed>(), ...own, timestamp: (value) => value.at });
const orders = fed("orders");
const payments = fed("payments");
const out = topic("rows", { key: string, value: json<string>(), ...own });
const at = (second: number): number => BEGIN + second * 1_000;
const on =
  (to: typeof orders) =>
  (second: number, id: string, key = "k"): SimulatedStep =>
    send(to, key, { at: at(second), id });
const order = on(orders);
const payment = on(payments);
const until = (second: number): SimulatedStep[] => [
  order(second, "end", "end"),
  payment(second, "end", "end"),
];

/** Whether callbacks fail; a record "mend" ends that, as soon as it is read. */
const failing = { now: true };
const check = (id: string): void => {
  if (id.startsWith("bad") && failing.now) throw new Error("secret");
};
/** Behind the letters. */
const mend = [advance(seconds(5)), order(91, "mend", "m")];
const later = (second: number): SimulatedStep => order(second, "end", "end");

const joining = (kind: "leftJoin" | "outerJoin"): Pipeline =>
  pipeline("joining", { haltWhen: "never" }, ({ from }) => {
    const read = from(orders).map("read", (one) => {
      if (one.id === "mend") failing.now = false;
      return one;
    });
    read[kind](
      "pairs",
      from(payments),
      (left: Fed | null, right: Fed | null) => {
        for (const one of [left, right]) check(one?.id ?? "");
        return `${left?.id ?? "-"}&${right?.id ?? "-"}`;
      },
      { before: seconds(2), after: seconds(5), grace: seconds(1) },
    ).to(out);
  });

const reminding = (clock: "event-time" | "wall-clock"): Pipeline =>
  pipeline("reminding", { haltWhen: "never" }, ({ from }) => {
    from(orders)
      .process("unpaid", {
        state: { last: json<string>() },
        timers: { due: clock },
        onRecord({ id }, { record, state, timers }) {
          if (id === "mend") failing.now = false;
          state.last.set(id);
          if (id.startsWith("bad") || id === "good") timers.due.at(record.timestamp + 10_000);
          return [];
        },
        onTimer: {
          due({ key, state, due }) {
            const last = state.last.get() ?? "";
            state.last.set(`${last}!`);
            check(last);
            return [`${key} ${last} @${String((due - BEGIN) / 1_000)}`];
          },
        },
      })
      .to(out);
  });

const said = ({ record }: Letter, name: string): string | null =>
  headerText(record.headers, `dlq.${name}`);
const play = async (flow: Pipeline, steps: readonly SimulatedStep[], seed = 1) => {
  failing.now = true;
  const done = await simulate(flow, steps, { seed });
  const rows = done
    .records(out)
    .filter(({ key }) => key !== "end" && key !== "m")
    .map(({ value, timestamp }) => `${value ?? ""} at ${String((timestamp - BEGIN) / 1_000)}`);
  return { ...done, rows };
};

test("a record without a partner whose joiner fails is a letter with its side, times and value", async () => {
  const steps = [order(10, "bad", "a"), payment(11, "badly", "b"), order(12, "o", "c")];
  const { rows, deadLetters, ledger, stops } = await play(joining("outerJoin"), [
    ...steps,
    crash,
    ...until(60),
  ]);
  assert.deepEqual([rows, stops], [["o&- at 12"], []]);
  const values = deadLetters.map(({ record }) => JSON.parse(String(record.value)) as unknown);
  assert.partialDeepStrictEqual(values, [
    [{ side: "right", time: at(11), origin: at(11), value: { at: at(11), id: "badly" } }],
    [{ side: "left", time: at(10), origin: at(10), value: { at: at(10), id: "bad" } }],
  ]);
  const facts = ["topic", "operator", "origin-time", "window-start", "record"];
  assert.deepEqual(
    facts.map((fact) => said(deadLetters[1] as Letter, fact)),
    ["due:pairs", "pairs", String(at(10)), null, null],
  );
  assert.equal(deadLetters[1]?.record.key?.toString(), "a");
  assert.equal(ledger("main")["dead-results"], 2);
});

test("records without a partner come back to their mended join once, whoever dies", async () => {
  // Two of one side, key and time are two letters.
  const bad = [order(10, "bad1"), order(10, "bad2"), payment(30, "bad3"), order(31, "o", "c")];
  for (let seed = 1; seed <= 5; seed++) {
    const steps = bad.flatMap((step, i) => (i % 3 === seed % 3 ? [step, crash] : [step]));
    const back = [...mend, redrive, crash, redrive, rebalance, redrive];
    const done = await play(joining("outerJoin"), [...steps, ...until(90), ...back], seed);
    assert.deepEqual(done.rows.sort(), [
      "-&bad3 at 30",
      "bad1&- at 10",
      "bad2&- at 10",
      "o&- at 31",
    ]);
    assert.equal(done.deadLetters.length, 3, `seed ${String(seed)}`);
    assert.deepEqual(done.letterStates, { resolved: 3 });
  }
});

test("one whose joiner fails again is the same letter, and stays open", async () => {
  const steps = [order(10, "bad"), ...until(60), redrive, redrive];
  const { rows, deadLetters, letterStates } = await play(joining("leftJoin"), steps);
  assert.deepEqual([rows, letterStates], [[], { open: 1 }]);
  assert.equal(deadLetters.length, 3);
  assert.equal(new Set(deadLetters.map((letter) => said(letter, "id"))).size, 1);
});

for (const clock of ["event-time", "wall-clock"] as const)
  test(`a timer by ${clock} whose handler fails is a letter, and comes back to the mended handler once`, async () => {
    for (let seed = 1; seed <= 4; seed++) {
      const steps = [order(1, "bad", "a"), crash, order(2, "good", "b"), later(60), crash];
      const back = [...mend, redrive, crash, redrive, rebalance, redrive];
      const done = await play(reminding(clock), [...steps, ...back], seed);
      const [letter, ...others] = done.deadLetters;
      assert.ok(letter !== undefined && others.length === 0);
      assert.partialDeepStrictEqual(JSON.parse(String(letter.record.value)), [
        { timer: "due", due: at(11), set: at(1) },
      ]);
      assert.deepEqual([said(letter, "topic"), letter.step], ["due:unpaid", "unpaid"]);
      // The values of the key had stayed as they were.
      assert.deepEqual(done.rows, ["b good @12 at 12", "a bad @11 at 11"], `seed ${String(seed)}`);
      assert.deepEqual(done.letterStates, { resolved: 1 });
    }
  });

test("a timer that comes back sees the values of its key as they are now, and changes them", async () => {
  const steps = [order(1, "bad"), later(60), order(70, "bad"), ...mend];
  const { rows } = await play(reminding("event-time"), [...steps, redrive, later(99)]);
  assert.deepEqual(rows, ["k bad @11 at 11", "k bad! @80 at 80"]);
});

test("a timer in an order comes back with its own due", async () => {
  const flow = pipeline("reminding", { haltWhen: "never" }, ({ from }) => {
    from(orders)
      .process("unpaid", {
        timers: { due: "event-time" },
        order: { grace: seconds(5) },
        onRecord({ id }, { record, timers }) {
          if (id === "mend") failing.now = false;
          if (id === "bad") timers.due.at(record.timestamp + 10_000);
          return [];
        },
        onTimer: { due: ({ due }) => [(check("bad"), String((due - BEGIN) / 1_000))] },
      })
      .to(out);
  });
  const steps = [order(1, "bad"), order(60, "x"), later(61), ...mend, later(120), redrive];
  const { rows, deadLetters, letterStates } = await play(flow, steps);
  assert.deepEqual([rows, deadLetters.length, letterStates], [["11 at 11"], 1, { resolved: 1 }]);
});
