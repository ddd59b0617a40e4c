// Timers that repeat, that come due while a worker stands still, and whose handlers fail; a partner that comes before a record is
// emitted alone (docs/semantics.md).
import assert from "node:assert/strict";
import { test } from "node:test";
import { json, pipeline, seconds, string, topic } from "#engine";
import { advance, crash, pause, rebalance, send, simulate, type SimulatedStep } from "#testing";
import { headerText } from "../../src/engine/core/record.ts";

interface Beat {
  readonly at: number;
}
const BEGIN = Date.UTC(2025, 5, 1);
/** The start of virtual time. */
const NOW = Date.UTC(2026, 0, 1);
const since = (ms: number): number => (ms - BEGIN) / 1_000;
const own = { partitions: 1, owner: "tests" };
const fed = (name: string) =>
  topic(name, { ...{ key: string, value: json<Beat>(), ...own }, timestamp: (one) => one.at });
const beats = fed("beats");
const others = fed("others");
const rows = topic("rows", { key: string, value: json<string>(), ...own });
const beat = (second: number, key = "k"): SimulatedStep =>
  send(beats, key, { at: BEGIN + second * 1_000 });
const other = (second: number, key = "k"): SimulatedStep =>
  send(others, key, { at: BEGIN + second * 1_000 });

const INTERVAL_MS = 10_000;
const everyTen = (clock: "event-time" | "wall-clock") =>
  pipeline("ticking", ({ from }) => {
    from(beats)
      .process("tick", {
        timers: { tick: clock },
        onRecord(_one, { record, timers }) {
          timers.tick.at((clock === "wall-clock" ? NOW : record.timestamp) + INTERVAL_MS);
          return [];
        },
        onTimer: {
          tick({ due, timers }) {
            timers.tick.at(due + INTERVAL_MS);
            return [String(clock === "wall-clock" ? (due - NOW) / 1_000 : since(due))];
          },
        },
      })
      .to(rows);
  });
const rowsOf = async (steps: readonly SimulatedStep[], clock: "event-time" | "wall-clock") =>
  (await simulate(everyTen(clock), steps))
    .records(rows)
    .filter(({ key }) => key === "k")
    .map(({ value }) => value);

test("timers: none fires before one was set, and then at its due, not at the record that sets it", async () => {
  assert.deepEqual(await rowsOf([beat(1)], "event-time"), []);
  assert.deepEqual(await rowsOf([beat(1), beat(10.999, "x")], "event-time"), []);
  assert.deepEqual(await rowsOf([beat(1), beat(11, "x")], "event-time"), ["11"]);
});

test("timers: one that sets itself again misses none, however far time jumps: each fires with its own due", async () => {
  for (const between of [[], [crash], [rebalance]]) {
    const jumped = await rowsOf([beat(1), ...between, beat(45, "x")], "event-time");
    const stepped = [12, 23, 34, 45].map((second) => beat(second, "x"));
    assert.deepEqual(jumped, ["11", "21", "31", "41"]);
    assert.deepEqual(await rowsOf([beat(1), ...between, ...stepped], "event-time"), jumped);
  }
});

test("timers: while a worker stands still none by the wall clock fires, and behind it each fires once", async () => {
  const steps = [beat(1), advance(seconds(5)), pause(seconds(28)), advance(seconds(3))];
  assert.deepEqual(await rowsOf(steps, "wall-clock"), ["10", "20", "30"]);
});

test("timers: the letter of a handler that throws has an operator in place of a source, and progress goes on", async () => {
  const broken = pipeline("broken", ({ from }) => {
    from(beats)
      .process("breaks", {
        timers: { due: "event-time" },
        onRecord(_one, { record, timers }) {
          timers.due.at(record.timestamp + 1);
          return [];
        },
        onTimer: {
          due() {
            throw new Error("secret");
          },
        },
      })
      .to(rows);
  });
  const { deadLetters, ledger } = await simulate(broken, [beat(1), crash, beat(2, "x")]);
  const [letter] = deadLetters;
  assert.equal(deadLetters.length, 1);
  const headers = letter?.record.headers ?? [];
  assert.equal(headerText(headers, "dlq.operator"), "breaks");
  assert.notEqual(headerText(headers, "dlq.topic"), beats.name);
  assert.match(String(letter?.record.value), /^\[\{"timer":"due","due":/);
  assert.deepEqual([letter?.class, ledger("main")["consumed"]], ["result", 2]);
});

const joined = pipeline("joined", ({ from }) => {
  from(beats)
    .outerJoin("pairs", from(others), (a, b) => `${at(a)} ${at(b)}`, {
      ...{ before: seconds(2), after: seconds(5), grace: seconds(1) },
    })
    .to(rows);
});
const at = (one: Beat | null): string => (one === null ? "-" : String(since(one.at)));

test("joins: a partner that comes before a record is emitted alone takes its place, whoever dies", async () => {
  for (const between of [[], [crash], [rebalance]]) {
    // The partner is older than the record's last moment, and comes when time is just in front of it.
    const near = [beat(16, "x"), other(15, "x"), ...between];
    const steps = [beat(10), ...near, other(15), beat(99, "x"), other(99, "x")];
    const { records } = await simulate(joined, steps);
    const found = records(rows).filter(({ key }) => key === "k");
    assert.deepEqual(
      found.map(({ value }) => value),
      ["10 15"],
    );
  }
});

test("joins: a record that is older than the grace is late, and is not emitted alone at once", async () => {
  const steps = [beat(50, "x"), other(50, "x"), beat(10), other(11), beat(99, "x"), other(99, "x")];
  const { records, ledger } = await simulate(joined, steps);
  assert.deepEqual(
    records(rows).filter(({ key }) => key === "k"),
    [],
  );
  assert.equal(ledger("main")["late"], 2);
});

test("joins: a record without a partner is emitted alone by the wall clock once both sides are quiet, and not while one is not", async () => {
  const aloneAfter = async (ms: number) =>
    (await simulate(joined, [beat(10), other(11, "x"), advance(seconds(ms))])).records(rows).length;
  assert.equal(await aloneAfter(25), 0);
  assert.equal(await aloneAfter(33), 2);
});
