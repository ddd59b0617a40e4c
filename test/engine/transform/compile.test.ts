import { plainKeeping } from "../../../src/engine/transform/calls/key-queue.ts";
import assert from "node:assert/strict";
import { test } from "node:test";
import { pipeline, type Stream } from "#engine";
import type { Outcome, Stage } from "../../../src/engine/core/outcome.ts";
import { compile, type Program } from "../../../src/engine/transform/program.ts";
import type { Repartition } from "../../../src/engine/transform/stateless/write.ts";
import { raw, things, type Thing } from "../../support/plans.ts";

type Draw = (stream: Stream<string, Thing>) => void;

interface Rig {
  readonly program: Program;
  readonly stage: Stage;
  readonly broken: string[];
  run(value: Thing | undefined): Outcome;
  /** What reached topics, as `topic:n`. */
  out(): string[];
}

/** A program whose outputs keep the value as text. */
function rig(draw: Draw, onError: "dead-letter" | "halt" = "dead-letter"): Rig {
  const plan = pipeline("rig", { onError }, ({ from }) => draw(from(things("in")))).plan();
  const broken: string[] = [];
  const stage: Stage = { outputs: [], rows: [], index: 0 };
  const program = compile(plan.parts[0] as never, {
    onError,
    onBroken: (rule) => broken.push(rule),
    keyOf: (_node, key) => String(key),
    keepingOf: () => plainKeeping,
    emitterOf: (node) => (value, cursor) => {
      if (node.operation.kind === "repartition") {
        const key = (node.operation as Repartition).key(value, cursor.record.context);
        if (key === null) {
          cursor.trail.nullKey = true;
          return false;
        }
      }
      const text = value === undefined ? "tombstone" : String((value as Thing).n);
      const out = { ...raw(undefined), topic: node.name, value: Buffer.from(text) };
      cursor.stage.outputs.push(out);
      return true;
    },
  });
  return {
    program,
    stage,
    broken,
    run: (value) =>
      program.run(
        { raw: raw(value), value, context: { ...raw(value), key: "k" }, originMs: 0 },
        stage,
      ),
    out: () => stage.outputs.map(({ topic, value }) => `${topic}:${String(value)}`),
  };
}

const thing = (n: number): Thing => ({ id: "a", n });
const out = things("out");

test("map, filter, flatMap and peek do as their names say, in the order of the plan", () => {
  const seen: number[] = [];
  const { run, out: written } = rig((s) =>
    s
      .map("double", (t) => ({ ...t, n: t.n * 2 }))
      .filter("small", (t) => t.n < 10)
      .flatMap("twice", (t) => [t, { ...t, n: t.n + 1 }])
      .peek("seen", (t) => void seen.push(t.n))
      .to(out),
  );
  assert.deepEqual(run(thing(2)), { kind: "emitted" });
  assert.deepEqual(run(thing(7)), { kind: "filtered", by: "small" });
  assert.deepEqual(written(), ["out:4", "out:5"]);
  assert.deepEqual(seen, [4, 5]);
});

test("a flatMap to nothing is filtered by it", () => {
  const { run } = rig((s) => s.flatMap("none", () => []).to(out));
  assert.deepEqual(run(thing(1)), { kind: "filtered", by: "none" });
});

test("the first test of a branch wins, the rest goes to rest, and an unused arm drops", () => {
  const { run, out: written } = rig((s) => {
    const arms = s.branch("size", { big: (t) => t.n > 10, odd: (t) => t.n % 2 === 1 });
    arms.big.to(things("big"));
    arms.rest.to(things("rest"));
  });
  run(thing(11));
  run(thing(2));
  assert.deepEqual(run(thing(3)), { kind: "filtered", by: "size" });
  assert.deepEqual(written(), ["big:11", "rest:2"]);
});

test("merge passes both sides on", () => {
  const { run, out: written } = rig((s) => {
    const { big, rest } = s.branch("size", { big: (t) => t.n > 10 });
    big
      .map("shrink", (t) => ({ ...t, n: 10 }))
      .merge("both", rest)
      .to(out);
  });
  run(thing(50));
  run(thing(5));
  assert.deepEqual(written(), ["out:10", "out:5"]);
});

test("expect logs, drops, dead-letters or halts, as it says", () => {
  const positive = (t: Thing): boolean => t.n > 0;
  const outcome = (otherwise: "log" | "drop" | "dead-letter" | "halt") => {
    const one = rig((s) => s.expect("positive", positive, { otherwise }).to(out));
    return { outcome: one.run(thing(-1)), broken: one.broken };
  };
  assert.deepEqual(outcome("log"), { outcome: { kind: "emitted" }, broken: ["positive"] });
  assert.deepEqual(outcome("drop").outcome, { kind: "filtered", by: "positive" });
  const letter = outcome("dead-letter").outcome;
  assert.equal(letter.kind, "dead-lettered");
  assert.deepEqual(letter.kind === "dead-lettered" && [letter.failure.class, letter.failure.rule], [
    "rule",
    "positive",
  ]);
  const halt = outcome("halt").outcome;
  assert.equal(halt.kind === "halted" && halt.error.code, "MILL_RULE_HALT");
});

test("a record that fails leaves nothing, also not what another branch of it had made", () => {
  const { run, stage } = rig((s) => {
    s.to(things("first"));
    s.map("fail", (t) => {
      if (t.n === 2) throw new RangeError("secret payload");
      return t;
    }).to(out);
  });
  run(thing(1));
  const outcome = run(thing(2));
  assert.equal(stage.outputs.length, 2);
  assert.ok(outcome.kind === "dead-lettered");
  const { class: kind, step, code, message } = outcome.failure;
  assert.deepEqual([kind, step, code], ["transform", "fail", "MILL_TRANSFORM_THREW"]);
  assert.doesNotMatch(message, /secret/);
});

test("a callback that throws something else than an error, or returns undefined, is a dead letter too", () => {
  const thrower = rig((s) =>
    s
      .map("throw", () => {
        // eslint-disable-next-line @typescript-eslint/only-throw-error -- that is the case
        throw "text";
      })
      .to(out as never),
  );
  assert.equal(thrower.run(thing(1)).kind, "dead-lettered");
  const absent = rig((s) => s.map("absent", () => undefined as never).to(out));
  assert.equal(absent.run(thing(1)).kind, "dead-lettered");
});

test("onError halt stops instead", () => {
  const { run } = rig(
    (s) =>
      s
        .map("fail", (): Thing => {
          throw new Error("no");
        })
        .to(out),
    "halt",
  );
  const outcome = run(thing(1));
  assert.equal(outcome.kind === "halted" && outcome.error.code, "MILL_TRANSFORM_HALT");
});

test("a tombstone reaches no callback, passes to topics, and is dropped where the key would change", () => {
  const { run, out: written } = rig((s) => {
    s.map("never", (t) => {
      assert.ok(t);
      return t;
    }).to(out);
  });
  assert.deepEqual(run(undefined), { kind: "emitted" });
  assert.deepEqual(written(), ["out:tombstone"]);
});

test("a null key is an outcome of its own", () => {
  const { run } = rig((s) => s.rekey("by-none", (): string | null => null).to(out));
  assert.deepEqual(run(thing(1)), { kind: "null-key" });
});

test("operators count what passed, was dropped and failed", () => {
  const { run, program } = rig((s) =>
    s
      .filter("positive", (t) => t.n > 0)
      .expect("small", (t) => t.n < 10, { otherwise: "dead-letter" })
      .to(out),
  );
  for (const n of [1, -1, 100, 2]) run(thing(n));
  assert.deepEqual(
    program.counts.map(({ operator, passed, dropped, failed }) => [
      operator,
      passed,
      dropped,
      failed,
    ]),
    [
      ["in", 4, 0, 0],
      ["positive", 3, 1, 0],
      ["small", 2, 0, 1],
      ["out", 2, 0, 0],
    ],
  );
});
