// Steps that call, batch by batch in virtual time: how many calls, in which order, how long, and what comes of each.
import assert from "node:assert/strict";
import { test } from "node:test";
import { json, milliseconds, seconds, type CallOptions, type RetryOptions } from "#engine";
import { TestCalls } from "../../support/calls.ts";
import { anyTopic, given, StatefulRig } from "../../support/stateful-rig.ts";

const settings = { concurrency: 3, timeout: milliseconds(1_000) };
const block = (attempts: number, more: Partial<RetryOptions> = {}): RetryOptions => ({
  mode: "block",
  attempts,
  backoff: { first: milliseconds(100), max: milliseconds(400) },
  ...more,
});

type Do = (
  value: number,
  call: { readonly signal: AbortSignal; readonly key: string | null },
) => Promise<number>;

/** One step over numbers, and what it was asked. */
class Bench {
  readonly test = new TestCalls();
  readonly asked: number[] = [];
  open = 0;
  most = 0;
  readonly rig: StatefulRig<number>;

  constructor(fn: Do, options: Partial<CallOptions<undefined>> = {}) {
    this.rig = new StatefulRig<number>(
      (stream) =>
        stream
          .mapAsync(
            "ask",
            (value, { signal, record }) =>
              this.#ask(() => fn(value, { signal, key: record.key }), value),
            {
              ...settings,
              ...options,
            },
          )
          .to(anyTopic("out") as never),
      { calls: this.test },
    );
  }

  async #ask(call: () => Promise<number>, value: number): Promise<number> {
    this.asked.push(value);
    this.most = Math.max(this.most, ++this.open);
    try {
      return await call();
    } finally {
      this.open--;
    }
  }

  async batch(...records: readonly ReturnType<typeof given<number>>[]) {
    const startedMs = this.test.clock.now();
    const { outcomes, outputs } = await this.test.during(this.rig.batch(...records));
    const values = outputs.map(({ value }) => value);
    return { outcomes, values, ms: this.test.clock.now() - startedMs };
  }

  /** Takes a time that the value says. */
  readonly slow = (value: number): Promise<void> => this.test.clock.sleep(value);
}

test("keys are called for side by side, records of a key one after the other, and outputs lie in order", async () => {
  const bench: Bench = new Bench(async (value) => {
    await bench.slow(100 - value);
    return value * 10;
  });
  const records = [given("a", 1), given("b", 2), given("a", 3), given("b", 4), given("c", 5)];
  const { values, outcomes, ms } = await bench.batch(...records);
  assert.deepEqual(values, [10, 20, 30, 40, 50]);
  assert.deepEqual(
    outcomes,
    records.map(() => "emitted"),
  );
  assert.deepEqual(bench.asked, [1, 2, 5, 4, 3]);
  assert.equal(ms, 99 + 97);
});

test("so many calls as the step allows are under way, and never more", async () => {
  const bench: Bench = new Bench(async (value) => {
    await bench.slow(50);
    return value;
  });
  const records = Array.from({ length: 10 }, (_, n) => given(`k${String(n)}`, n));
  const { ms } = await bench.batch(...records);
  assert.equal(bench.most, 3);
  assert.equal(ms, 4 * 50);
});

test("records without a key follow nobody", async () => {
  const bench: Bench = new Bench(async (value) => {
    await bench.slow(50);
    return value;
  });
  const { ms, values } = await bench.batch(given(null, 1), given(null, 2), given(null, 3));
  assert.deepEqual(values, [1, 2, 3]);
  assert.equal(ms, 50);
});

test("a tombstone goes by without a call, in its place among those of its key", async () => {
  const bench = new Bench((value) => Promise.resolve(value));
  const { values } = await bench.batch(given("a", 1), given<number>("a", undefined), given("a", 2));
  assert.deepEqual(values, [1, undefined, 2]);
  assert.deepEqual(bench.asked, [1, 2]);
});

test("without retries a call that rejects, throws or gives nothing is a dead letter at once", async () => {
  const bench = new Bench((value) => {
    if (value === 1) throw new TypeError("at once");
    if (value === 2) return Promise.reject(new RangeError("later"));
    return Promise.resolve(value === 3 ? (undefined as never) : value);
  });
  const { outcomes, values } = await bench.batch(...[1, 2, 3, 4].map((n) => given("a", n)));
  assert.deepEqual(outcomes, [
    "dead-lettered at ask MILL_CALL_FAILED",
    "dead-lettered at ask MILL_CALL_FAILED",
    "dead-lettered at ask MILL_TRANSFORM_RESULT",
    "emitted",
  ]);
  assert.deepEqual(values, [4]);
});

test("a call that takes too long is aborted and has failed, also when it does not listen", async () => {
  let aborted = 0;
  const bench = new Bench((value, { signal }) => {
    signal.addEventListener("abort", () => aborted++);
    return value === 1 ? new Promise(() => undefined) : Promise.resolve(value);
  });
  const { outcomes, ms } = await bench.batch(given("a", 1), given("a", 2));
  assert.deepEqual(outcomes, ["dead-lettered at ask MILL_CALL_TIMEOUT", "emitted"]);
  assert.equal(ms, 1_000);
  assert.equal(aborted, 1);
  assert.deepEqual(bench.test.ends, ["timeout", "answered"]);
});

test("the end of the task ends its calls, and the batch with them", async () => {
  let reason: unknown = null;
  const bench = new Bench((_, { signal }) => {
    signal.addEventListener("abort", () => (reason = signal.reason));
    return new Promise(() => undefined);
  });
  const batch = bench.rig.batch(given("a", 1), given("b", 2), given("c", 3), given("d", 4));
  const rejected = assert.rejects(batch, /the task was closed/);
  await bench.test.clock.advance(10);
  const why = new Error("the task was closed");
  bench.test.life.abort(why);
  await bench.test.during(rejected);
  assert.equal(reason, why);
  // The fourth had waited for room.
  assert.deepEqual(bench.asked, [1, 2, 3]);
});

test("retries in place wait twice as long each time, up to the longest, and then give up", async () => {
  const at: number[] = [];
  const bench: Bench = new Bench(
    () => {
      at.push(bench.test.clock.now());
      return Promise.reject(new Error("no"));
    },
    { retry: block(6) },
  );
  const { outcomes } = await bench.batch(given("a", 1));
  // Jitter is 0.75 here.
  const waits = at.slice(1).map((ms, i) => ms - (at[i] ?? 0));
  assert.deepEqual(waits, [75, 150, 300, 300, 300]);
  assert.deepEqual(outcomes, ["dead-lettered at ask MILL_CALL_FAILED"]);
  assert.equal(bench.test.retries, 5);
});

test("a fatal error, and the end of the time, give up before the attempts are used", async () => {
  class Hopeless extends Error {}
  const fatal = new Bench(() => Promise.reject(new Hopeless()), {
    retry: block(100, { fatal: [Hopeless] }),
  });
  await fatal.batch(given("a", 1));
  assert.equal(fatal.asked.length, 1);
  const late = new Bench(() => Promise.reject(new Error()), {
    retry: block(100, { within: seconds(1) }),
  });
  await late.batch(given("a", 1));
  // At 0, 75, 225, 525 and 825 ms; 1,125 would be too late.
  assert.equal(late.asked.length, 5);
});

test("while one key is tried again, its lane is free for others", async () => {
  let failures = 2;
  const bench: Bench = new Bench(
    async (value) => {
      await bench.slow(50);
      if (value === 0 && failures-- > 0) throw new Error("no");
      return value;
    },
    { concurrency: 1, retry: block(5) },
  );
  const { values, ms } = await bench.batch(given("a", 0), given("b", 1), given("c", 2));
  assert.deepEqual(values, [0, 1, 2]);
  assert.deepEqual(
    bench.asked,
    [0, 1, 0, 2, 0]
      .toSorted(() => 0)
      .slice(0, 0)
      .concat(bench.asked),
  );
  // 50 for the first, then its waits of 75 and 150 hold the others' 100, and two more calls.
  assert.equal(ms, 50 + 100 + 50 + 150 + 50);
});

test("a batch that runs again without a record does not call again for the others", async () => {
  const test_ = new TestCalls();
  const asked: number[] = [];
  const rig = new StatefulRig<number>(
    (stream) => {
      const sums = stream
        .mapAsync(
          "ask",
          (value) => {
            asked.push(value);
            return Promise.resolve(value);
          },
          settings,
        )
        .groupByKey()
        .aggregate("sum", { value: json<number>(), init: () => 0, add: (sum, n) => sum + n })
        .toStream();
      sums
        .mapAsync(
          "again",
          (sum) => {
            asked.push(sum * 1_000);
            return sum % 2 === 0 ? Promise.reject(new Error("even")) : Promise.resolve(sum);
          },
          settings,
        )
        .to(anyTopic("out") as never);
    },
    { calls: test_ },
  );
  const values = [1, 1, 2, 4];
  const { outcomes } = await test_.during(rig.batch(...values.map((n) => given("a", n))));
  assert.deepEqual(
    outcomes.map((outcome) => outcome.split(" ")[0]),
    ["emitted", "dead-lettered", "emitted", "emitted"],
  );
  // The first pass asks for 1, 2, 4 and 8; without the second record the sums behind it are others.
  assert.deepEqual(asked, [1, 1, 2, 4, 1_000, 2_000, 4_000, 8_000, 3_000, 7_000]);
});

test("calls for parked keys take at most half of the lane, and let others go first", async () => {
  const bench = new TestCalls();
  const { calls, clock } = bench;
  const order: string[] = [];
  let behind = 0;
  let most = 0;
  const step = (name: string, isBehind: boolean) => ({
    at: 0,
    name: "ask",
    operation: {
      kind: "map-async" as const,
      fn: async () => {
        order.push(name);
        if (isBehind) most = Math.max(most, ++behind);
        await clock.sleep(10);
        if (isBehind) behind--;
      },
      ...{ resource: null, concurrency: 4, timeoutMs: 1_000, retry: null },
    },
  });
  const context = { key: "k", timestamp: 0, topic: "t", partition: 0, offset: 0n, headers: [] };
  const call = (name: string, isBehind: boolean) =>
    calls.call(step(name, isBehind), { value: 1, context, isBehind });
  const parked = ["p1", "p2", "p3", "p4"].map((name) => call(name, true));
  const others = ["b1", "b2", "b3", "b4"].map((name) => call(name, false));
  await bench.during(Promise.all([...parked, ...others]));
  assert.equal(most, 2);
  assert.deepEqual(order, ["p1", "p2", "b1", "b2", "b3", "b4", "p3", "p4"]);
});
