// Operators with state, one by one: what they keep, and what they tell.
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { decimal, json, seconds, type Decimal, type GroupedStream, type Table } from "#engine";
import { anyTopic, given, StatefulRig, type Out } from "../../support/stateful-rig.ts";

const out = anyTopic("out");
type Grouped<V> = GroupedStream<string | null, V>;

const aggregate = <V, A>(draw: (grouped: Grouped<V>) => Table<string | null, A>): StatefulRig<V> =>
  new StatefulRig<V>((s) => draw(s.groupByKey()).to(out as never));

const told = ({ outputs }: { outputs: readonly Out[] }): unknown[] =>
  outputs.map(({ value }) => value);

const letter = (step: string, code = "MILL_TRANSFORM_THREW"): string =>
  `dead-lettered at ${step} ${code}`;

const RESULT = "MILL_TRANSFORM_RESULT";

describe("aggregates", () => {
  test("count tells how many of each key", async () => {
    const rig = aggregate<number, number>((g) => g.count("n"));
    const { outputs, outcomes } = await rig.batch(given("a", 5), given("b", 5), given("a", 5));
    assert.deepEqual(
      outputs.map(({ key, value }) => [key, value]),
      [
        ["a", 1],
        ["b", 1],
        ["a", 2],
      ],
    );
    assert.deepEqual(outcomes, ["emitted", "emitted", "emitted"]);
    assert.deepEqual(told(await rig.batch(given("a", 5))), [3]);
  });

  test("sum adds numbers, bigints and Decimals, each with its own kind", async () => {
    const numbers = aggregate<number, number>((g) => g.sum("sum", (v) => v));
    assert.deepEqual(told(await numbers.batch(given("a", 1.5), given("a", 2))), [1.5, 3.5]);
    const bigints = aggregate<bigint, bigint>((g) => g.sum("sum", (v) => v));
    const large = 2n ** 60n;
    assert.deepEqual(told(await bigints.batch(given("a", large), given("a", 1n))), [
      large,
      large + 1n,
    ]);
    const decimals = aggregate<Decimal, Decimal>((g) => g.sum("sum", (v) => v));
    const sums = told(await decimals.batch(given("a", decimal("0.1")), given("a", decimal("0.2"))));
    assert.deepEqual(sums.map(String), ["0.1", "0.3"]);
    const mixed = aggregate<never, number>((g) => g.sum("sum", (v) => v));
    const { outcomes } = await mixed.batch(given("a", 1 as never), given("a", 1n as never));
    assert.deepEqual(outcomes, ["emitted", letter("sum", RESULT)]);
  });

  test("min and max compare numbers, bigints, texts and Decimals", async () => {
    const extremes = async <V>(...values: V[]): Promise<unknown[]> => {
      const rig = new StatefulRig<V>((s) => {
        s.groupByKey()
          .min("least", (v) => v as never)
          .to(out as never);
        s.groupByKey()
          .max("most", (v) => v as never)
          .to(out as never);
      });
      const all = told(await rig.batch(...values.map((value) => given("a", value))));
      return all.slice(-2).map(String);
    };
    assert.deepEqual(await extremes(10, 9, 11), ["9", "11"]);
    assert.deepEqual(await extremes(10n, 9n, 11n), ["9", "11"]);
    assert.deepEqual(await extremes("b", "a", "c"), ["a", "c"]);
    assert.deepEqual(await extremes(decimal("10"), decimal("9"), decimal("11")), ["9", "11"]);
  });

  test("avg is the mean of numbers and of Decimals", async () => {
    const numbers = aggregate<number, number>((g) => g.avg("mean", (v) => v));
    assert.deepEqual(told(await numbers.batch(given("a", 1), given("a", 2))), [1, 1.5]);
    const decimals = aggregate<Decimal, Decimal>((g) => g.avg("mean", (v) => v));
    const thirds = [given("a", decimal("1")), given("a", decimal("0")), given("a", decimal("0"))];
    assert.equal(told(await decimals.batch(...thirds)).map(String)[2], `0.${"3".repeat(20)}`);
  });

  test("reduce begins with the first value", async () => {
    const rig = aggregate<string, string>((g) => g.reduce("joined", (a, b) => `${a}+${b}`));
    assert.deepEqual(told(await rig.batch(given("a", "x"), given("a", "y"))), ["x", "x+y"]);
  });

  test("an aggregate of null deletes the key, tells a tombstone, and begins anew", async () => {
    const rig = aggregate<number, number>((g) =>
      g.aggregate("open", {
        value: json<number>(),
        init: (key) => (key === "b" ? 100 : 0),
        add: (sum, v) => (v === 0 ? null : sum + v),
      }),
    );
    const first = await rig.batch(given("a", 1), given("a", 0), given("b", 1), given("a", 5));
    assert.deepEqual(told(first), [1, undefined, 101, 5]);
    await rig.checkpoint();
    assert.deepEqual(rig.state(), {
      open: { a: { value: 5, timestamp: 1_000 }, b: { value: 101, timestamp: 1_000 } },
    });
    // Nothing is deleted where nothing was.
    const none = await rig.batch(given("c", 0), given("a", 0));
    assert.deepEqual(none.outcomes, ["filtered by open", "emitted"]);
    assert.deepEqual(told(none), [undefined]);
    await rig.checkpoint();
    const deleted = { value: null, timestamp: 1_000 };
    assert.deepEqual(rig.state(), { open: { a: deleted, b: { value: 101, timestamp: 1_000 } } });
  });

  test("tombstones and records without a key are counted as such", async () => {
    const rig = aggregate<number, number>((g) => g.count("n"));
    const { outcomes } = await rig.batch(
      given<number>("a", undefined),
      given(null, 1),
      given("a", 1),
    );
    assert.deepEqual(outcomes, ["tombstone", "null-key", "emitted"]);
    await rig.checkpoint();
    assert.deepEqual(Object.keys(rig.state()["n"] ?? {}), ["a"]);
  });

  test("an aggregate is as new as the newest record in it", async () => {
    const rig = aggregate<number, number>((g) => g.count("n"));
    const { outputs } = await rig.batch(given("a", 1, 50), given("a", 1, 70), given("a", 1, 60));
    assert.deepEqual(
      outputs.map(({ timestamp }) => timestamp),
      [50, 70, 70],
    );
    await rig.checkpoint();
    assert.deepEqual(rig.state(), { n: { a: { value: 3, timestamp: 70 } } });
  });

  test("a callback that throws is a dead letter of the aggregate's own step", async () => {
    const rig = new StatefulRig<number>((s) => {
      const sums = s.groupByKey().aggregate("strict", {
        value: json<number>(),
        init: () => 0,
        add: (sum, v) => {
          if (v < 0) throw new RangeError("no");
          return v === 13 ? (undefined as never) : sum + v;
        },
      });
      sums
        .toStream()
        .map("later", (v) => v)
        .to(out as never);
    });
    const { outcomes } = await rig.batch(given("a", 1), given("a", -1), given("a", 13));
    assert.deepEqual(outcomes, ["emitted", letter("strict"), letter("strict", RESULT)]);
    const second = await rig.batch(given("a", 2));
    assert.deepEqual(told(second), [3]);
  });

  test("a state that cannot be written is its record's dead letter", async () => {
    const rig = aggregate<number, unknown>((g) =>
      g.aggregate("free", {
        value: json<unknown>(),
        init: () => 0,
        add: (sum, v) => (v < 0 ? 10n : v > 99 ? "x".repeat(2_000_000) : (sum as number) + v),
      }),
    );
    const { outcomes } = await rig.batch(given("a", 1), given("a", -1), given("a", 100));
    assert.deepEqual(outcomes, [
      "emitted",
      letter("free", "MILL_ENCODE_VALUE"),
      letter("free", "MILL_RECORD_TOO_LARGE"),
    ]);
    assert.deepEqual(told(await rig.batch(given("a", 1))), [2]);
  });
});

describe("emission", () => {
  const atCheckpoint = (): StatefulRig<number> =>
    new StatefulRig<number>((s) =>
      s
        .groupByKey()
        .sum("sum", (v) => v, { emit: "checkpoint" })
        .map("whole", (v) => {
          if (v === 13) throw new RangeError("no");
          return v;
        })
        .to(out as never),
    );

  test("a checkpoint tells the last of each key, once", async () => {
    const rig = atCheckpoint();
    const { outputs, outcomes } = await rig.batch(given("a", 1), given("b", 5), given("a", 2));
    assert.deepEqual([outputs, outcomes], [[], ["emitted", "emitted", "emitted"]]);
    await rig.batch(given("b", 1, 2_000));
    const first = await rig.checkpoint();
    assert.deepEqual(
      first.outputs.map(({ key, value, timestamp }) => [key, value, timestamp]),
      [
        ["a", 3, 1_000],
        ["b", 6, 2_000],
      ],
    );
    assert.deepEqual((await rig.checkpoint()).outputs, []);
    await rig.batch(given("a", 1));
    assert.deepEqual(told(await rig.checkpoint()), [4]);
  });

  test("a deletion that is told at the checkpoint is a tombstone", async () => {
    const rig = new StatefulRig<number>((s) => {
      const add = (sum: number, v: number): number | null => (v === 0 ? null : sum + v);
      const options = { value: json<number>(), init: () => 0, add, emit: "checkpoint" } as const;
      s.groupByKey()
        .aggregate("open", options)
        .to(out as never);
    });
    await rig.batch(given("a", 1), given("a", 0), given("b", 1));
    assert.deepEqual(told(await rig.checkpoint()), [undefined, 1]);
  });

  test("what cannot be told at the checkpoint is a dead letter, and the others are told", async () => {
    const rig = atCheckpoint();
    await rig.batch(given("a", 13), given("b", 5));
    const { failed, outputs } = await rig.checkpoint();
    assert.deepEqual(failed, [letter("whole")]);
    assert.deepEqual(told({ outputs }), [5]);
  });

  test("a record that fails is not told at the checkpoint either", async () => {
    const rig = new StatefulRig<number>((s) => {
      const once = s.distinct("once", { by: (v) => v, within: seconds(1) });
      once
        .groupByKey()
        .sum("sum", (v) => v, { emit: "checkpoint" })
        .to(out as never);
      once
        .groupByKey()
        .count("n")
        .map("fail", (n) => {
          if (n === 2) throw new RangeError("no");
          return n;
        })
        .to(anyTopic("counts") as never);
    });
    const { outcomes } = await rig.batch(given("a", 1), given("a", 2), given("b", 7));
    assert.deepEqual(outcomes, ["emitted", letter("fail"), "emitted"]);
    assert.deepEqual(told(await rig.checkpoint()), [1, 7]);
  });
});

describe("distinct", () => {
  const within = (by: (v: never) => unknown, span = seconds(1)): StatefulRig<never> =>
    new StatefulRig<never>((s) => s.distinct("once", { by: by as never, within: span }).to(out));
  const kinds = async (rig: StatefulRig<never>, ...values: unknown[]): Promise<string[]> =>
    (await rig.batch(...values.map((value) => given("a", value as never)))).outcomes;

  test("the first passes, its repeats are counted as such, and another key is another matter", async () => {
    const rig = within((v) => v);
    const batch = [given("a", 1 as never), given("a", 1 as never), given("b", 1 as never)];
    const { outcomes, outputs } = await rig.batch(...batch, given("a", 2 as never));
    assert.deepEqual(outcomes, ["emitted", "deduplicated", "emitted", "emitted"]);
    assert.deepEqual(told({ outputs }), [1, 1, 2]);
  });

  test("it remembers for the span, counted in stream time from the moment the first passed", async () => {
    const rig = within((v) => v);
    const at = (timestamp: number, key = "a") => given(key, 1 as never, timestamp);
    const outcomes = async (...records: ReturnType<typeof at>[]): Promise<string[]> =>
      (await rig.batch(...records)).outcomes;
    assert.deepEqual(await outcomes(at(10_000), at(10_600), at(11_000)), [
      "emitted",
      "deduplicated",
      "deduplicated",
    ]);
    // Another key moves the time of the whole partition. What an old record could repeat may be forgotten: it is late.
    assert.deepEqual(await outcomes(at(11_001, "b"), at(10_000), at(10_001)), [
      "emitted",
      "late",
      "emitted",
    ]);
    // A record is compared at the time that it is seen, not at its own.
    assert.deepEqual(await outcomes(at(10_500), at(12_001), at(12_002)), [
      "deduplicated",
      "deduplicated",
      "emitted",
    ]);
  });

  test("parts are compared with their kind: 1 is not its text, Decimals compare by amount", async () => {
    const rig = within((v) => v);
    const one = [1, "1", 1n, decimal("1"), true, "true", null, "null", [1], ["1"], [1, 1], "[1]"];
    assert.deepEqual(
      await kinds(rig, ...one),
      one.map((_, i) => (i === 8 ? "deduplicated" : i === 9 ? "deduplicated" : "emitted")),
    );
    const same = [decimal("1.0"), decimal("1.50"), decimal("1.5"), decimal("100"), decimal("1e2")];
    assert.deepEqual(await kinds(rig, ...same), [
      "deduplicated",
      "emitted",
      "deduplicated",
      "emitted",
      "deduplicated",
    ]);
  });

  test("parts cannot be shifted from one to the other, nor from the key", async () => {
    const rig = within((v) => v);
    assert.deepEqual(await kinds(rig, ["a", "b"], ["a,b"], ['a","b'], ["a", "b", ""], []), [
      "emitted",
      "emitted",
      "emitted",
      "emitted",
      "emitted",
    ]);
    const pair = [given("k\0[1]", 1 as never), given("k", 1 as never), given("k\0", 1 as never)];
    const { outcomes } = await rig.batch(...pair);
    assert.deepEqual(outcomes, ["emitted", "emitted", "emitted"]);
  });

  test("what cannot be compared by is a dead letter", async () => {
    const rig = within((v) => v);
    const bad = [NaN, Infinity, { a: 1 }, [new Date(0)], Symbol("s"), ["x", undefined]];
    assert.deepEqual(
      await kinds(rig, ...bad),
      bad.map(() => letter("once", RESULT)),
    );
  });

  test("a tombstone passes in its place among the others, and a record without a key does not", async () => {
    const rig = within((v) => v);
    const records = [
      given("a", 1 as never),
      given<never>("a", undefined),
      given("a", 1 as never),
      given("a", 2 as never),
      given(null, 1 as never),
    ];
    const { outcomes, outputs } = await rig.batch(...records);
    assert.deepEqual(outcomes, ["emitted", "emitted", "deduplicated", "emitted", "null-key"]);
    assert.deepEqual(told({ outputs }), [1, undefined, 2]);
  });
});

describe("mapWithState", () => {
  interface Step {
    readonly state: number | null;
    readonly emit: readonly string[];
  }
  const mapping = (map: (state: number | null, value: string) => Step): StatefulRig<string> =>
    new StatefulRig<string>((s) =>
      s.mapWithState("step", { state: json<number>(), map }).to(out as never),
    );

  test("a value and its key's state become new state and any number of values", async () => {
    const rig = mapping((state, value) => ({
      state: (state ?? 0) + 1,
      emit: Array.from({ length: state ?? 0 }, () => `${value}${String(state)}`),
    }));
    const { outputs, outcomes } = await rig.batch(
      given("a", "x"),
      given("a", "y"),
      given("a", "z"),
    );
    assert.deepEqual(told({ outputs }), ["y1", "z2", "z2"]);
    assert.deepEqual(outcomes, ["emitted", "emitted", "emitted"]);
  });

  test("a null state deletes, and a record that changes and tells nothing was filtered", async () => {
    const rig = mapping((state, value) => ({
      state: value === "end" ? null : value === "same" ? state : 1,
      emit: [],
    }));
    const batch = await rig.batch(given("a", "end"), given("a", "go"), given("a", "same"));
    assert.deepEqual(batch.outcomes, ["filtered by step", "emitted", "filtered by step"]);
    await rig.checkpoint();
    assert.deepEqual(rig.state(), { step: { a: { value: 1, timestamp: 1_000 } } });
    assert.deepEqual((await rig.batch(given("a", "end"))).outcomes, ["emitted"]);
    await rig.checkpoint();
    assert.deepEqual(rig.state(), { step: { a: { value: null, timestamp: 1_000 } } });
  });

  test("tombstones are dropped, and a callback that throws or tells undefined is a dead letter", async () => {
    const rig = mapping((state, value) => {
      if (value === "throw") throw new RangeError("no");
      return { state: (state ?? 0) + 1, emit: value === "none" ? [undefined as never] : ["ok"] };
    });
    const batch = await rig.batch(
      given<string>("a", undefined),
      given("a", "throw"),
      given("a", "none"),
      given("a", "go"),
    );
    assert.deepEqual(batch.outcomes, [
      "tombstone",
      letter("step"),
      letter("step", RESULT),
      "emitted",
    ]);
    await rig.checkpoint();
    assert.deepEqual(rig.state(), { step: { a: { value: 1, timestamp: 1_000 } } });
  });
});
