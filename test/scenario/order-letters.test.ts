// A record that fails when its order comes: it is a dead letter with its place, its task goes on, and it comes back to the step
// that has failed, whatever has fired it.
import assert from "node:assert/strict";
import { test } from "node:test";
import {
  countWindow,
  days,
  json,
  minutes,
  pipeline,
  records as count,
  seconds,
  string,
  topic,
  type Pipeline,
  type Stream,
} from "#engine";
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

interface Step {
  readonly at: number;
  readonly is: string;
}
type Steps = Stream<string, Step>;

const BEGIN = Date.UTC(2025, 5, 1);
const steps = topic("steps", {
  ...{ key: string, value: json<Step>(), partitions: 1, owner: "tests" },
  timestamp: (one) => one.at,
});
const out = topic("words", { key: string, value: string, partitions: 1, owner: "tests" });
const step = (second: number, is: string, key = "k"): SimulatedStep =>
  send(steps, key, { at: BEGIN + second * 1_000, is });
const order = { grace: seconds(5) };
const end = step(90, "x", "x");
const said = ({ record }: Simulated["deadLetters"][0], name: string): string | null =>
  headerText(record.headers, `dlq.${name}`);

/** Whether "bad" fails; a record "mend" ends that, as soon as it is read. */
const failing = { now: true };
const checked = (one: Step): string => {
  if (one.is === "bad" && failing.now) throw new Error("secret");
  return one.is;
};
const mended = (all: Steps): Steps =>
  all.map("read", (one) => {
    if (one.is === "mend") failing.now = false;
    return one;
  });

const words: Readonly<Record<string, (all: Steps) => void>> = {
  mapWithState(all) {
    all
      .mapWithState("word", {
        ...{ state: string, order },
        map(word, one) {
          const next = `${word ?? ""}${checked(one)}`;
          return { state: next, emit: [next] };
        },
      })
      .to(out);
  },
  process(all) {
    all
      .process("word", {
        state: { word: string },
        timers: { pause: "event-time" },
        order,
        onRecord(one, { state, record, timers }) {
          state.word.set(`${state.word.get() ?? ""}${one.is}`);
          timers.pause.at(record.timestamp + 100);
          return [(checked(one), state.word.get() ?? "")];
        },
        onTimer: { pause: () => [] },
      })
      .to(out);
  },
  aggregate(all) {
    all
      .groupByKey()
      .aggregate("word", {
        ...{ value: string, order, init: () => "" },
        add: (word, one) => `${word}${checked(one)}`,
      })
      .to(out);
  },
  reduce(all) {
    all
      .groupByKey()
      .reduce("word", (a, b) => ({ ...b, is: `${a.is}${checked(b)}` }), { order })
      .toStream()
      .map("text", ({ is }) => is)
      .to(out);
  },
  "a distinct's content": (all) => {
    all
      .distinct("word", {
        ...{ by: (one) => one.is, within: days(1), order },
        onRepeat: { conflict: "log", content: checked },
      })
      .map("text", ({ is }) => is)
      .to(out);
  },
  "count windows": (all) => {
    all
      .groupByKey()
      .windowedBy(countWindow({ size: count(2), order }))
      .aggregate("word", {
        ...{ value: string, init: () => "", emit: "update" },
        add: (word, one) => `${word}${checked(one)}`,
      })
      .toStream("text", (word) => word)
      .to(out);
  },
};
const flowOf = (way: (all: Steps) => void, onError: "dead-letter" | "halt" = "dead-letter") =>
  pipeline("words", { onError, haltWhen: "never" }, ({ from }) => {
    way(mended(from(steps)));
  });

const play = async (flow: Pipeline, of: readonly SimulatedStep[], seed = 1) => {
  failing.now = true;
  const done = await simulate(flow, of, { seed });
  const ofK = done.records(out).filter(({ key }) => key === "k");
  return { ...done, rows: ofK.map(({ value }) => value) };
};
const withoutBad: Readonly<Record<string, readonly string[]>> = {
  "a distinct's content": ["a", "c"],
};
const comesBack: Readonly<Record<string, string>> = {
  "a distinct's content": "bad",
  "count windows": "bad",
};

for (const [name, way] of Object.entries(words)) {
  test(`a record that fails in the order of ${name} is one letter with its place; the others go on`, async () => {
    for (const between of [[], [crash], [rebalance]]) {
      const of = [step(3, "c"), step(1, "a"), ...between, step(2, "bad"), end, crash];
      const { rows, deadLetters, ledger, stops } = await play(flowOf(way), of);
      assert.deepEqual(rows, withoutBad[name] ?? ["a", "ac"]);
      assert.deepEqual(stops, []);
      const [letter, ...others] = deadLetters;
      assert.ok(letter !== undefined && others.length === 0);
      assert.deepEqual(
        [letter.class, letter.step, letter.code],
        ["result", "word", "MILL_TRANSFORM_THREW"],
      );
      const facts = ["topic", "operator", "record", "origin-time", "window-start"];
      assert.deepEqual(
        facts.map((fact) => said(letter, fact)),
        ["store:word-order", "word-order", "steps-0:2", String(BEGIN + 2_000), null],
      );
      assert.equal(letter.record.key?.toString(), "k");
      assert.doesNotMatch(String(said(letter, "message")), /secret/);
      assert.deepEqual(ledger("main"), { consumed: 4, emitted: 4, "dead-results": 1 });
    }
  });

  test(`a record that failed in the order of ${name} is redriven to its step, once`, async () => {
    const of = [step(3, "c"), step(1, "a"), step(2, "bad"), end, advance(seconds(5))];
    for (let seed = 1; seed <= 4; seed++) {
      const back = [step(91, "mend", "m"), redrive, crash, redrive, rebalance, redrive];
      const { rows, letterStates, deadLetters } = await play(flowOf(way), [...of, ...back], seed);
      const want = [...(withoutBad[name] ?? ["a", "ac"]), comesBack[name] ?? "acbad"];
      assert.deepEqual(rows, want, `seed ${String(seed)}`);
      assert.equal(deadLetters.length, 1);
      assert.deepEqual(letterStates, { resolved: 1 });
    }
  });
}

const mapped = words["mapWithState"] as (all: Steps) => void;
const causes: readonly [string, Pipeline, readonly SimulatedStep[], "close" | "keep"][] = [
  ["a record", flowOf(mapped), [end], "keep"],
  [
    "a marker",
    pipeline("words", { haltWhen: "never" }, ({ from }) => {
      mapped(from(steps).rekey("again", (_one, { key }) => key));
    }),
    [end],
    "keep",
  ],
  ["the wall clock", flowOf(mapped), [advance(minutes(2))], "keep"],
  ["the end of a bounded run", flowOf(mapped), [], "close"],
];
for (const [cause, flow, last, end] of causes)
  test(`a record that fails when ${cause} fires it stops no task`, async () => {
    failing.now = true;
    const nowMs = Date.UTC(2026, 0, 1);
    const at = (ms: number, is: string): SimulatedStep =>
      send(steps, "k", { at: (cause === "the wall clock" ? nowMs : BEGIN) + ms, is });
    const of = [at(2, "c"), at(0, "a"), at(1, "bad"), ...last];
    const { records, deadLetters } = await simulate(flow, of, { end });
    const rows = records(out).filter(({ key }) => key === "k");
    assert.deepEqual(
      rows.map(({ value }) => value),
      ["a", "ac"],
    );
    assert.deepEqual(
      deadLetters.map((letter) => [letter.class, said(letter, "record")]),
      [["result", cause === "a marker" ? "words-again-repartition-0:2" : "steps-0:2"]],
    );
  });

test("a redriven record is worked at its own time, with its headers, and its results are late where their window is closed", async () => {
  const flow = flowOf((all) => {
    all
      .process("word", {
        state: { word: string },
        order,
        onRecord: (one, { record }) => [
          `${checked(one)} ${String(record.timestamp - BEGIN)} ${record.topic} ${String(record.offset)} ${String(record.headers.length)}`,
        ],
      })
      .to(out);
  });
  const bad = send(
    steps,
    "k",
    { at: BEGIN + 2_000, is: "bad" },
    { headers: [["h", Buffer.of(1)]] },
  );
  const of = [step(1, "a"), bad, end, advance(seconds(5)), step(91, "mend", "m"), redrive];
  const { rows, records } = await play(flow, of);
  assert.deepEqual(rows, ["a 1000 steps 0 0", "bad 2000 steps 1 1"]);
  const last = records(out).at(-1);
  assert.equal(last?.timestamp, BEGIN + 2_000);
  assert.deepEqual(last.headers, [["h", Buffer.of(1)]]);
});

test("what one record was made into fails together, and comes back together", async () => {
  const flow = flowOf((all) => {
    mapped(all.flatMap("twice", (one) => [{ ...one, is: `${one.is}1` }, one]));
  });
  const of = [step(1, "a"), step(2, "bad"), step(3, "c"), end, advance(seconds(5))];
  const { rows, deadLetters } = await play(flow, of);
  assert.deepEqual(rows, ["a1", "a1a", "a1ac1", "a1ac1c"]);
  assert.equal(deadLetters.length, 1);
  const again = await play(flow, [...of, step(91, "mend", "m"), redrive]);
  assert.deepEqual(again.rows.slice(4), ["a1ac1cbad1", "a1ac1cbad1bad"]);
  assert.deepEqual(again.letterStates, { resolved: 1 });
});

test("a record that fails again is the same letter, parked in the end", async () => {
  const of = [step(1, "a"), step(2, "bad"), end, redrive, redrive, redrive, redrive];
  const { deadLetters, letterStates } = await play(flowOf(mapped), of);
  assert.equal(new Set(deadLetters.map((letter) => said(letter, "id"))).size, 1);
  assert.equal(deadLetters.length, 4);
  assert.deepEqual(letterStates, { open: 1 });
  assert.equal(said(deadLetters.at(-1) as Simulated["deadLetters"][0], "parked"), "true");
});

test("a result that a step behind an order cannot take is a letter of the result, and the state goes on", async () => {
  const flow = flowOf((all) => {
    all
      .mapWithState("word", {
        ...{ state: string, order },
        map: (word, one) => ({ state: `${word ?? ""}${one.is}`, emit: [`${word ?? ""}${one.is}`] }),
      })
      .map("checked", (word) => checked({ at: 0, is: word.slice(-3) }) && word)
      .to(out);
  });
  const of = [step(1, "a"), step(2, "bad"), step(3, "c"), end, advance(seconds(5))];
  const { rows, deadLetters } = await play(flow, [...of, step(91, "mend", "m"), redrive]);
  assert.deepEqual(rows, ["a", "abadc", "abad"]);
  assert.deepEqual(
    deadLetters.map((letter) => [letter.step, said(letter, "topic"), said(letter, "record")]),
    [["checked", "store:word", null]],
  );
});

test('with onError "halt" the task stops in front of it, and nothing is lost', async () => {
  failing.now = true;
  const of = [step(1, "a"), step(2, "bad"), step(3, "c"), end];
  const run = await simulate(flowOf(mapped, "halt"), of, { stops: "expected" });
  assert.deepEqual(
    run.stops.map(({ code }) => code),
    ["MILL_TRANSFORM_HALT"],
  );
  assert.deepEqual(run.deadLetters, []);
  failing.now = false;
  const { records } = await simulate(flowOf(mapped, "halt"), of);
  assert.deepEqual(
    records(out).map(({ value }) => value),
    ["a", "abad", "abadc"],
  );
});
