// process through the whole engine: its stores, its timers by event time and by the wall clock, under crashes and rebalances.
import assert from "node:assert/strict";
import { test } from "node:test";
import { json, milliseconds, minutes, pipeline, seconds, string, topic } from "#engine";
import { advance, crash, rebalance, send, simulate, type SimulatedStep } from "#testing";
import { ConfigErrors } from "../../src/engine/core/errors.ts";

interface Order {
  readonly at: number;
  readonly is?: "open" | "paid" | "gone";
  readonly due?: number;
}
const BEGIN = Date.UTC(2025, 5, 1);
const orders = topic("orders", {
  ...{ key: string, value: json<Order>(), partitions: 1, owner: "tests" },
  timestamp: (order) => order.at,
});
const out = topic("reminders", { key: string, value: string, partitions: 1, owner: "tests" });

/** Reminds of orders that are unpaid 10 s later. */
const reminders = pipeline("reminders", ({ from }) => {
  from(orders)
    .process("unpaid", {
      state: { open: json<number>() },
      timers: { due: "event-time" },
      onRecord(order, { record, state, timers }) {
        if (order.is === "paid") timers.due.cancel();
        else timers.due.at(record.timestamp + seconds(10).ms);
        if (order.is === "gone") state.open.clear();
        else state.open.set((state.open.get() ?? 0) + 1);
        return [];
      },
      onTimer: { due: ({ key, state, due }) => [`${key} ${String(state.open.get())} ${at(due)}`] },
    })
    .to(out);
});
const at = (ms: number): string => `@${String((ms - BEGIN) / 1_000)}`;
const order = (second: number, key = "k", is: Order["is"] = "open"): SimulatedStep =>
  send(orders, key, { at: BEGIN + second * 1_000, is });

test("a pipeline with timers is tested in a few lines", async () => {
  const { records } = await simulate(reminders, [order(1), order(2, "x", "paid"), order(20)]);
  assert.deepEqual(
    records(out).map(({ value, timestamp }) => [value, at(timestamp)]),
    [["k 1 @11", "@11"]],
  );
});

for (const [second, fires] of [
  [10.999, 0],
  [11, 1],
  [11.001, 1],
] as const)
  test(`W3: a timer of 11 s has fired ${String(fires)} times once the source is at ${String(second)} s`, async () => {
    for (const between of [[], [crash], [rebalance]] as const) {
      const steps = [order(1), ...between, order(second, "x")];
      const { records, ledger } = await simulate(reminders, steps);
      assert.equal(records(out).length, fires);
      assert.deepEqual(ledger("main"), { consumed: 2, emitted: 2 });
    }
  });

test("a timer fires in front of the record that moves the time", async () => {
  const { records } = await simulate(reminders, [order(1), order(11), order(30, "x")]);
  assert.deepEqual(
    records(out).map(({ value }) => value),
    ["k 1 @11", "k 2 @21"],
  );
});

test("set again it moves, cancelled it is gone, and both survive crash and rebalance", async () => {
  for (const between of [crash, rebalance, advance(milliseconds(1))]) {
    const moved = [order(1), between, order(5), between, order(30, "x"), between];
    assert.deepEqual(
      (await simulate(reminders, moved)).records(out).map(({ value }) => value),
      ["k 2 @15"],
    );
    const cancelled = [order(1), between, order(5, "k", "paid"), between, order(30, "x")];
    assert.deepEqual((await simulate(reminders, cancelled)).records(out), []);
  }
});

test("timers fire in the order of due and key", async () => {
  const steps = [order(3, "c"), order(2, "b"), order(2, "a"), order(2.5, "d"), order(40, "x")];
  const { records } = await simulate(reminders, steps);
  assert.deepEqual(
    records(out).map(({ value }) => value),
    ["a 1 @12", "b 1 @12", "d 1 @12.5", "c 1 @13"],
  );
});

test("a cleared state is gone when its timer fires", async () => {
  const { records } = await simulate(reminders, [order(1, "k", "gone"), order(40, "x")]);
  assert.deepEqual(
    records(out).map(({ value }) => value),
    ["k null @11"],
  );
});

/** Sets itself again, twice, and another one for its own time. */
const chains = pipeline("chains", ({ from }) => {
  from(orders)
    .process("chain", {
      state: { beats: json<number>() },
      timers: { beat: "event-time", echo: "event-time" },
      onRecord(value, { record, timers }) {
        timers.beat.at(value.due ?? record.timestamp + seconds(5).ms);
        return [`set ${at(record.timestamp)}`];
      },
      onTimer: {
        beat({ due, state, timers }) {
          const beats = (state.beats.get() ?? 0) + 1;
          state.beats.set(beats);
          if (beats < 3) timers.beat.at(due + seconds(5).ms);
          timers.echo.at(due + seconds(5).ms);
          return [`beat ${String(beats)} ${at(due)}`];
        },
        echo: ({ due }) => [`echo ${at(due)}`],
      },
    })
    .to(out);
});

test("a timer that sets itself and another again: they move, and fire at their last times", async () => {
  for (const between of [[], [crash], [rebalance]]) {
    const steps = [order(0), ...between, order(60, "x"), ...between, order(60, "y")];
    const { records } = await simulate(chains, steps);
    const found = records(out).map(({ value, timestamp }) => [value, at(timestamp)]);
    assert.deepEqual(found.slice(0, -2), [
      ["set @0", "@0"],
      ["beat 1 @5", "@5"],
      ["beat 2 @10", "@10"],
      ["beat 3 @15", "@15"],
      ["echo @20", "@20"],
    ]);
  }
});

test("timers that set timers fire in order across keys, however many are due at once", async () => {
  const steps = [order(0, "a"), order(7, "b"), order(90, "x")];
  const { records } = await simulate(chains, steps);
  const times = records(out).map(({ timestamp }) => timestamp);
  assert.deepEqual(
    times,
    [...times].sort((a, b) => a - b),
  );
  assert.equal(times.length, 2 + 4 * 2 + 1);
});

test("a timer that is set for what has passed fires behind its record, with its own time", async () => {
  const past = send(orders, "k", { at: BEGIN + 9_000, due: BEGIN + 2_000 });
  for (const between of [[], [crash]]) {
    const { records } = await simulate(chains, [order(8, "x"), past, ...between, order(9, "y")]);
    const found = records(out).map(({ key, value, timestamp }) => [key, value, at(timestamp)]);
    // The third beat is due at 12 s.
    assert.deepEqual(found, [
      ["x", "set @8", "@8"],
      ["k", "set @9", "@9"],
      ["k", "beat 1 @2", "@2"],
      ["k", "beat 2 @7", "@7"],
      ["y", "set @9", "@9"],
    ]);
  }
});

test("two timers of a key at one time fire by their names, each once", async () => {
  const both = pipeline("both", ({ from }) => {
    from(orders)
      .process("both", {
        timers: { second: "event-time", first: "event-time" },
        onRecord(_value, { record, timers }) {
          timers.second.at(record.timestamp + 1_000);
          timers.first.at(record.timestamp + 1_000);
          return [];
        },
        onTimer: { second: ({ key }) => [`${key} second`], first: ({ key }) => [`${key} first`] },
      })
      .to(out);
  });
  const { records } = await simulate(both, [order(1, "b"), order(1, "a"), crash, order(9, "x")]);
  assert.deepEqual(
    records(out).map(({ value }) => value),
    ["a first", "a second", "b first", "b second"],
  );
});

/** Says a key again every minute of the wall clock, until it is told of again. */
const watched = pipeline("watched", ({ from }) => {
  from(orders)
    .process("watch", {
      state: { seen: json<number>() },
      timers: { quiet: "wall-clock" },
      onRecord(value, { state, timers }) {
        state.seen.set(value.at);
        timers.quiet.at(value.due ?? 0);
        return [];
      },
      onTimer: { quiet: ({ key, state }) => [`${key} quiet since ${at(state.seen.get() ?? 0)}`] },
    })
    .to(out);
});
const NOW = Date.UTC(2026, 0, 1);
const seen = (second: number, inMs: number, key = "k"): SimulatedStep =>
  send(orders, key, { at: BEGIN + second * 1_000, due: NOW + inMs });

test("a timer by the wall clock fires without any record, once in effect, whoever dies", async () => {
  for (const between of [[], [crash], [rebalance], [crash, rebalance, crash]]) {
    const steps = [seen(1, 20_000), ...between, advance(seconds(40)), ...between, seen(2, 300_000)];
    const before = await simulate(watched, steps);
    assert.deepEqual(
      before.records(out).map(({ value }) => value),
      ["k quiet since @1"],
    );
    const after = await simulate(watched, [...steps, ...between, advance(minutes(6)), ...between]);
    assert.deepEqual(
      after.records(out).map(({ value }) => value),
      ["k quiet since @1", "k quiet since @2"],
    );
  }
});

test("a timer by the wall clock fires no sooner than its due", async () => {
  const fired = async (ms: number) =>
    (await simulate(watched, [seen(1, 60_000), advance(milliseconds(ms))])).records(out).length;
  assert.equal(await fired(40_000), 0);
  assert.equal(await fired(60_000), 1);
});

test("a handler of a timer that throws is a dead letter: the timer is over, and the values stay", async () => {
  let seen = 0;
  const broken = pipeline("broken", ({ from }) => {
    from(orders)
      .process("breaks", {
        state: { n: json<number>() },
        timers: { due: "event-time" },
        onRecord(_value, { record, state, timers }) {
          seen = state.n.get() ?? 0;
          state.n.set(seen + 1);
          timers.due.at(record.timestamp + 1_000);
          return [];
        },
        onTimer: {
          due({ state }) {
            state.n.set(100);
            throw new Error("secret");
          },
        },
      })
      .to(out);
  });
  const run = await simulate(broken, [order(1), order(5), order(9)]);
  const [letter] = run.deadLetters;
  assert.deepEqual([run.deadLetters.length, letter?.class, letter?.step], [2, "result", "breaks"]);
  assert.deepEqual(JSON.parse(String(letter?.record.value)), [
    { timer: "due", due: BEGIN + 2_000, set: BEGIN + 1_000 },
  ]);
  assert.equal(seen, 2);
  assert.deepEqual(run.ledger("main"), { consumed: 3, emitted: 3, "dead-results": 2 });
});

test("a handler of a record that throws is a dead letter, and leaves neither state nor timer", async () => {
  const failing = pipeline("failing", ({ from }) => {
    from(orders)
      .process("fails", {
        state: { n: json<number>() },
        timers: { due: "event-time" },
        *onRecord(value, { record, state, timers }) {
          timers.due.at(record.timestamp + 1_000);
          state.n.set((state.n.get() ?? 0) + 1);
          yield "made";
          if (value.is === "gone") throw new Error("secret");
        },
        onTimer: { due: ({ key, state }) => [`${key} ${String(state.n.get())}`] },
      })
      .to(out);
  });
  const steps = [order(1, "a"), order(1, "b", "gone"), order(9, "x")];
  const { records, deadLetters } = await simulate(failing, steps);
  assert.equal(deadLetters.length, 1);
  assert.deepEqual(
    records(out).map(({ value }) => value),
    ["made", "a 1", "made"],
  );
});

test("tombstones reach onTombstone, and are dropped without it", async () => {
  const state = { n: json<number>() };
  const onRecord = (): readonly string[] => [];
  const taking = pipeline("taking", ({ from }) => {
    from(orders)
      .process("keeps", {
        state,
        onRecord(_value, { state: { n } }) {
          n.set(1);
          return [];
        },
        onTombstone: ({ key, state: { n } }) => [`${key} had ${String(n.get())}`],
      })
      .to(out);
  });
  const dropping = pipeline("dropping", ({ from }) => {
    from(orders).process("drops", { state, onRecord }).to(out);
  });
  const steps = [order(1), send(orders, "k", null), send(orders, "z", null)];
  const taken = await simulate(taking, steps);
  assert.deepEqual(
    taken.records(out).map(({ value }) => value),
    ["k had 1", "z had null"],
  );
  const dropped = await simulate(dropping, steps);
  assert.deepEqual(dropped.ledger("main"), { consumed: 3, filtered: 1, tombstone: 2 });
});

test("a process that cannot work is refused when the pipeline is built", () => {
  const build = (options: object) => () =>
    pipeline("p", ({ from }) => {
      from(orders)
        .process("step", options as never)
        .to(out as never);
    }).plan();
  const onRecord = () => [];
  for (const [options, expected] of [
    [{ onRecord }, /neither state nor timers/],
    [{ onRecord, timers: { due: "event-time" } }, /"due" has no handler/],
    [{ onRecord, timers: { due: "stream" }, onTimer: { due: onRecord } }, /expected "event-time"/],
    [{ onRecord, state: { "Not So": json() } }, /expected camelCase/],
    [{ state: { n: json() } }, /needs onRecord/],
  ] as const)
    assert.throws(build(options), (error) => {
      assert.ok(error instanceof ConfigErrors);
      assert.match(error.problems.map(String).join(), expected);
      return true;
    });
});
