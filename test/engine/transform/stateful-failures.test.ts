// What a record that fails leaves behind in state, and in which order outputs lie: as if each record had come alone.
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { json } from "#engine";
import { anyTopic, given, StatefulRig, type Draw, type Out } from "../../support/stateful-rig.ts";

const out = anyTopic("out");

const told = ({ outputs }: { outputs: readonly Out[] }): unknown[] =>
  outputs.map(({ value }) => value);

const letter = (step: string): string => `dead-lettered at ${step} MILL_TRANSFORM_THREW`;

describe("a record that fails behind a change", () => {
  const strict = (fails: (n: number) => boolean) => (n: number) => {
    if (fails(n)) throw new RangeError("no");
    return n;
  };
  const rigOf = (draw: Draw<number>, onError: "dead-letter" | "halt" = "dead-letter") =>
    new StatefulRig<number>(draw, { onError });

  test("in the same step it leaves no trace, and what it had made is withdrawn", async () => {
    const rig = rigOf((s) => {
      const sums = s
        .groupByKey()
        .sum("sum", (v) => v)
        .toStream();
      sums.to(anyTopic("early") as never);
      sums
        .map(
          "strict",
          strict((n) => n === 3),
        )
        .to(out as never);
    });
    const { outcomes, outputs } = await rig.batch(given("a", 1), given("a", 2), given("a", 4));
    assert.deepEqual(outcomes, ["emitted", letter("strict"), "emitted"]);
    assert.deepEqual(
      outputs.map(({ topic, value }) => [topic, value]),
      [
        ["early", 1],
        ["out", 1],
        ["early", 5],
        ["out", 5],
      ],
    );
    await rig.checkpoint();
    assert.deepEqual(rig.state(), { sum: { a: { value: 5, timestamp: 1_000 } } });
  });

  test("behind an earlier step it leaves no trace there either, nor in what later records have seen", async () => {
    const rig = rigOf((s) =>
      s
        .groupByKey()
        .sum("sum", (v) => v)
        .toStream()
        .groupByKey()
        .count("n")
        .toStream()
        .map(
          "strict",
          strict((n) => n === 2),
        )
        .to(out as never),
    );
    const { outcomes, outputs } = await rig.batch(given("a", 1), given("a", 2), given("b", 7));
    assert.deepEqual(outcomes, ["emitted", letter("strict"), "emitted"]);
    assert.deepEqual(told({ outputs }), [1, 1]);
    await rig.checkpoint();
    assert.deepEqual(rig.state(), {
      n: { a: { value: 1, timestamp: 1_000 }, b: { value: 1, timestamp: 1_000 } },
      sum: { a: { value: 1, timestamp: 1_000 }, b: { value: 7, timestamp: 1_000 } },
    });
  });

  test("a record that failed only for what another one did, which fails itself, passes", async () => {
    const rig = rigOf((s) => {
      const first = s
        .groupByKey()
        .sum("first", (v) => v)
        .toStream();
      const second = first
        .groupByKey()
        .max("second", (v) => v)
        .toStream();
      second
        .map(
          "low",
          strict((n) => n > 100),
        )
        .groupByKey()
        .count("third")
        .toStream()
        .to(out as never);
      first
        .filter("only-fifty", (n) => n === 50)
        .groupByKey()
        .count("fourth")
        .toStream()
        .map(
          "never",
          strict(() => true),
        )
        .to(out as never);
    });
    // 50 leads to a letter at the very end; without it 60 stays below 101.
    const { outcomes } = await rig.batch(given("a", 50), given("a", 60));
    assert.deepEqual(outcomes, [letter("never"), "emitted"]);
    await rig.checkpoint();
    assert.deepEqual(rig.state()["first"], { a: { value: 60, timestamp: 1_000 } });
  });

  test("a halt keeps what came before it, and nothing of itself or of what follows", async () => {
    for (const onError of ["dead-letter", "halt"] as const) {
      const rig = rigOf((s) => {
        const counts = s
          .groupByKey()
          .sum("sum", (v) => v)
          .toStream()
          .groupByKey()
          .count("n")
          .toStream();
        if (onError === "halt")
          counts
            .map(
              "strict",
              strict((n) => n === 2),
            )
            .to(out as never);
        else counts.expect("below", (n) => n < 2, { otherwise: "halt" }).to(out as never);
      }, onError);
      const records = [given("a", 1), given("b", 1), given("a", 2), given("c", 1), given("a", 3)];
      const { outcomes, outputs } = await rig.batch(...records);
      const code = onError === "halt" ? "MILL_TRANSFORM_HALT" : "MILL_RULE_HALT";
      assert.deepEqual(outcomes, ["emitted", "emitted", `halted ${code}`]);
      assert.deepEqual(told({ outputs }), [1, 1]);
      await rig.checkpoint();
      assert.deepEqual(Object.keys(rig.state()["sum"] ?? {}), ["a", "b"]);
      assert.deepEqual(rig.state()["sum"]?.["a"], { value: 1, timestamp: 1_000 });
    }
  });

  test("a halt that a dead letter brought about does not happen", async () => {
    const rig = rigOf((s) => {
      const sums = s
        .groupByKey()
        .sum("sum", (v) => v)
        .toStream();
      const counts = sums.groupByKey().count("n").toStream();
      counts.expect("one", (n) => n < 2, { otherwise: "halt" }).to(out as never);
      sums
        .groupByKey()
        .max("most", (v) => v)
        .toStream()
        .map(
          "strict",
          strict((n) => n === 1),
        )
        .to(anyTopic("most-out") as never);
    });
    const { outcomes } = await rig.batch(given("a", 1), given("a", 2));
    assert.deepEqual(outcomes, [letter("strict"), "emitted"]);
  });
});

test("outputs lie in the order of their records, whichever step made them", async () => {
  const rig = new StatefulRig<number>((s) => {
    s.to(out as never);
    s.groupByKey()
      .count("n")
      .toStream()
      .groupByKey()
      .count("again")
      .to(anyTopic("late") as never);
  });
  const { outputs } = await rig.batch(given("a", 1), given("b", 2), given("a", 3));
  assert.deepEqual(
    outputs.map(({ topic, value }) => `${topic} ${String(value)}`),
    ["out 1", "late 1", "out 2", "late 1", "out 3", "late 2"],
  );
});

test("streams that meet in front of a step come to it in the order of their records", async () => {
  const rig = new StatefulRig<number>((s) => {
    const { odd, rest } = s.branch("kind", { odd: (v) => v % 2 === 1 });
    const counted = odd.groupByKey().count("n").toStream();
    counted
      .merge("both", rest)
      .mapWithState("last", {
        state: json<number>(),
        map: (state, value: number) => ({ state: value, emit: [[state, value]] }),
      })
      .to(out as never);
  });
  const { outputs } = await rig.batch(given("a", 7), given("a", 8), given("a", 7));
  assert.deepEqual(told({ outputs }), [
    [null, 1],
    [1, 8],
    [8, 2],
  ]);
});

test("a filter on a table deletes downstream what does not pass", async () => {
  const rig = new StatefulRig<number>((s) =>
    s
      .groupByKey()
      .sum("sum", (v) => v)
      .filter("large", (v) => v > 5)
      .to(out as never),
  );
  assert.deepEqual(told(await rig.batch(given("a", 9), given("a", -7))), [9, undefined]);
});
