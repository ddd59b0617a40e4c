// A callback that throws, or returns what its step or schema refuses, ends no worker: whatever has called it (a record, a
// marker, the wall clock, the end of a bounded run), what is bad becomes a letter and the rest comes out.
import assert from "node:assert/strict";
import { test } from "node:test";
import {
  countWindow,
  days,
  hopping,
  json,
  milliseconds,
  minutes,
  pipeline,
  records as count,
  resource,
  seconds,
  session,
  sliding,
  string,
  topic,
  tumbling,
  type Stream,
} from "#engine";
import { advance, crash, double, send, simulate, type SimulatedStep } from "#testing";

interface View {
  readonly at: number;
  readonly who: string;
}
type Views = Stream<string, View>;
type Words = Stream<string, string>;

const BEGIN = Date.UTC(2026, 0, 1);
const input = topic("views", {
  ...{ key: string, value: json<View>(), partitions: 1, owner: "tests" },
  timestamp: (view) => view.at,
});
const out = topic("words", { key: string, value: string, partitions: 1, owner: "tests" });
const view = (second: number, who: string): SimulatedStep =>
  send(input, who, { at: BEGIN + second * 1_000, who });

/** The fault of what belongs to "bad". */
let spoil: () => unknown = () => assert.fail("no fault was chosen");
const pick = <T>(who: string, good: T): T => (who === "bad" ? (spoil() as T) : good);

const size = { size: seconds(10), grace: seconds(2) };
const span = { before: seconds(5), after: seconds(5), grace: seconds(1) };
const order = { grace: seconds(5) };
const firstOf = { value: json<string>(), init: (key: string) => key };
const merge = (a: string): string => pick(a, a);

/** Refuses the text "refused". */
const checked = json<string>({
  "~standard": {
    version: 1,
    validate: (text) => (text === "refused" ? { issues: [{ path: [] }] } : { value: String(text) }),
  },
});

interface Bank {
  pay(who: string): Promise<string>;
}
const bank = resource<Bank, Record<never, never>>("bank", {
  env: {},
  open: () => assert.fail("a test hands in its own"),
});
const paying = double(bank, () => ({ pay: (who) => Promise.resolve(pick(who, who)) }));

const closed = (all: Views): Words =>
  all
    .groupByKey()
    .windowedBy(tumbling(size))
    .aggregate("window", { ...firstOf, add: (who) => who, emit: "close" })
    .toStream("row", (who) => who);

const cases: Readonly<Record<string, (all: Views) => Words>> = {
  "init of a window": (all) =>
    all
      .groupByKey()
      .windowedBy(tumbling(size))
      .aggregate("window", {
        value: json<string>(),
        init: (key) => pick(key, key),
        add: (who) => (who === "bad" ? (spoil() as string) : who),
        emit: "close",
      })
      .toStream("row", (who) => who),
  "a fold of a window": (all) =>
    all
      .groupByKey()
      .windowedBy(hopping({ ...size, advance: seconds(5) }))
      .aggregate("window", { ...firstOf, add: (who) => pick(who, who), emit: "close" })
      .toStream("row", (who) => who),
  "merge of panes": (all) =>
    all
      .groupByKey()
      .windowedBy(hopping({ ...size, advance: seconds(2) }))
      .aggregate("window", { ...firstOf, add: (who) => who, merge, emit: "close" })
      .toStream("row", (who) => who),
  "merge of sliding windows": (all) =>
    all
      .groupByKey()
      .windowedBy(sliding({ difference: seconds(5), grace: seconds(1) }))
      .aggregate("window", { ...firstOf, add: (who) => who, merge, emit: "close" })
      .toStream("row", (who) => who),
  "merge of sessions": (all) =>
    all
      .groupByKey()
      .windowedBy(session({ gap: seconds(2), grace: seconds(9) }))
      .aggregate("window", { ...firstOf, add: (who) => who, merge, emit: "close" })
      .toStream("row", (who) => who),
  "reduce of a count window in order": (all) =>
    all
      .groupByKey()
      .windowedBy(countWindow({ size: count(2), order }))
      .reduce("window", (a) => pick(a.who, a), { emit: "close" })
      .toStream("row", ({ who }) => who),
  "sum of a window": (all) =>
    all
      .groupByKey()
      .windowedBy(tumbling(size))
      .sum("window", ({ who }) => pick(who, 1), { emit: "close" })
      .toStream("row", String),
  "toStream of a window": (all) =>
    all
      .groupByKey()
      .windowedBy(tumbling(size))
      .count("window", { emit: "close" })
      .toStream("row", (n, { key }) => pick(key, String(n))),
  "map behind a window": (all) => closed(all).map("next", (who) => pick(who, who)),
  "flatMap behind a window": (all) =>
    closed(all).flatMap("next", function* (who) {
      yield who;
      yield pick(who, who);
    }),
  "a key behind a window": (all) => closed(all).rekey("again", (who) => pick(who, who)),
  "a branch behind a window": (all) =>
    closed(all).branch("ways", { all: (who) => pick(who, true) }).all,
  "an expectation behind a window": (all) =>
    closed(all).expect("fine", (who) => pick(who, true), { otherwise: "dead-letter" }),
  "a look behind a window": (all) => closed(all).peek("look", (who) => pick(who, undefined)),
  "a call behind a window": (all) =>
    closed(all).mapAsync("pay", (who, { client }) => client.pay(who), {
      ...{ client: bank, concurrency: 2, timeout: milliseconds(500) },
    }),
  "a window behind a window": (all) =>
    closed(all)
      .groupByKey()
      .windowedBy(tumbling({ size: seconds(20), grace: seconds(0) }))
      .aggregate("hours", { ...firstOf, add: (who) => pick(who, who), emit: "close" })
      .toStream("hour", (who) => who),
  "state behind a window": (all) =>
    closed(all).mapWithState("last", {
      state: string,
      map: (_last, who) => ({ state: who, emit: [pick(who, who)] }),
    }),
  "a joiner of pairs": (all) => all.join("pairs", all, ({ who }) => pick(who, who), span),
  "a joiner of one alone": (all) =>
    all.leftJoin(
      "alone",
      all.filter("none", () => false),
      ({ who }, other) => (other === null ? pick(who, who) : who),
      span,
    ),
  "onRecord in order": (all) =>
    all.process("steps", {
      ...{ state: { last: string }, order },
      onRecord(one, { state }) {
        state.last.set(one.who);
        return [pick(one.who, one.who)];
      },
    }),
  "onTimer by event time": (all) =>
    all.process("steps", {
      timers: { due: "event-time" },
      onRecord(one, { record, timers }) {
        timers.due.at(record.timestamp + 1_000);
        return [];
      },
      onTimer: { due: ({ key }) => [pick(key, key)] },
    }),
  "a timer's state that is refused": (all) =>
    all.process("steps", {
      state: { last: checked },
      timers: { due: "event-time" },
      onRecord(one, { record, timers }) {
        timers.due.at(record.timestamp + 1_000);
        return [];
      },
      onTimer: {
        due({ key, state }) {
          state.last.set(key === "bad" ? "refused" : key);
          return [pick(key, key)];
        },
      },
    }),
  "a timer set wrongly": (all) =>
    all.process("steps", {
      timers: { due: "event-time" },
      onRecord(one, { record, timers }) {
        timers.due.at(record.timestamp + 1_000);
        return [];
      },
      onTimer: {
        due({ key, due, timers }) {
          timers.due.cancel();
          if (key === "bad") timers.due.at(due);
          return [pick(key, key)];
        },
      },
    }),
  "a map behind suppress": (all) =>
    all
      .groupByKey()
      .count("n")
      .suppress("quiet", { for: seconds(5), recordsMax: count(100), whenFull: "emit" })
      .toStream()
      .map("next", (n, { key }) => pick(key, String(n))),
  "distinct in order": (all) =>
    all
      .distinct("once", {
        ...{ by: ({ who }) => who, within: days(1), order },
        onRepeat: { conflict: "log", content: ({ who }) => pick(who, who) },
      })
      .map("text", ({ who }) => who),
};

const throwing = (): never => {
  throw new Error("secret");
};
/** The last one joins the sessions of the others. */
const all = [1, 5, 3].flatMap((second) => [view(second, "bad"), view(second, "good")]);
const causes: Readonly<Record<string, readonly SimulatedStep[]>> = {
  "a record": [view(3_600, "x")],
  "a marker": [view(3_600, "x")],
  "the wall clock": [advance(minutes(1))],
  "the end of a run": [],
};

async function play(of: (all: Views) => Words, cause: string, between: SimulatedStep[] = []) {
  const flow = pipeline("poison", { haltWhen: "never" }, ({ from }) => {
    const views = from(input);
    of(cause === "a marker" ? views.rekey("shared", ({ who }) => who) : views).to(out);
  });
  const steps = [...all, ...between, ...(causes[cause] ?? []), ...between];
  const end = cause === "the end of a run" ? "close" : "keep";
  const done = await simulate(flow, steps, { end, stops: "expected", resources: [paying] });
  const keys = new Set(done.records(out).map(({ key }) => key));
  return { ...done, keys };
}

for (const [name, of] of Object.entries(cases)) {
  // Windows behind a topic between parts merge nothing: they keep their records.
  const isMerge = name.startsWith("merge of");
  for (const cause of Object.keys(causes).filter((one) => !isMerge || one !== "a marker"))
    test(`${name} throws, called by ${cause}: letters, and no stop`, async () => {
      spoil = throwing;
      const { stops, deadLetters, keys } = await play(of, cause);
      assert.deepEqual(stops, []);
      assert.ok(keys.has("good"));
      assert.ok(deadLetters.length > 0);
      for (const { record } of deadLetters) assert.equal(record.key?.toString(), "bad");
    });

  const faults: Readonly<Record<string, () => unknown>> = {
    undefined: () => undefined,
    "a promise that fails": () => Promise.reject(new Error("later")),
    "a function": () => () => 1,
    "itself, nested": nested,
  };
  for (const [what, fault] of Object.entries(faults))
    test(`${name} returns ${what}: no stop`, async () => {
      spoil = fault;
      const { stops, keys } = await play(of, "a record", [crash]);
      assert.deepEqual(stops, []);
      assert.ok(keys.has("good"));
    });

  test(`${name} throws what is no error: no stop`, async () => {
    spoil = () => {
      // eslint-disable-next-line @typescript-eslint/only-throw-error
      throw undefined;
    };
    const { stops, keys } = await play(of, "a record");
    assert.deepEqual(stops, []);
    assert.ok(keys.has("good"));
  });
}

function nested(): unknown {
  const one: Record<string, unknown> = {};
  one["self"] = one;
  return one;
}

test("callbacks of late branches make letters of their records", async () => {
  spoil = throwing;
  const flow = pipeline("poison", { haltWhen: "never" }, ({ from }) => {
    const views = from(input);
    const windows = views.groupByKey().windowedBy(tumbling(size)).count("n", { emit: "close" });
    windows.late.map("late", ({ who }) => pick(who, `late ${who}`)).to(out);
    windows.toStream("row", String).to(out);
    const pairs = views.join("pairs", from(input), ({ who }) => who, span);
    pairs.lateLeft.map("left", ({ who }) => pick(who, `left ${who}`)).to(out);
    pairs.filter("none", () => false).to(out);
  });
  const steps = [view(1, "good"), view(100, "x"), view(1, "good"), view(1, "bad"), view(200, "x")];
  const { stops, deadLetters, records, ledger } = await simulate(flow, steps);
  assert.deepEqual(stops, []);
  assert.deepEqual(
    deadLetters.map((letter) => [letter.class, letter.record.key?.toString()]),
    [["transform", "bad"]],
  );
  const words = records(out).map(({ value }) => value);
  assert.ok(words.includes("late good") && words.includes("left good"));
  assert.equal(ledger("main")["dead-lettered"], 1);
});

test("an aggregate that its validator refuses is the letter of its record, not a stop when it is read again", async () => {
  const flow = pipeline("poison", { haltWhen: "never" }, ({ from }) => {
    from(input)
      .groupByKey()
      .aggregate("last", {
        ...{ value: checked, init: () => "" },
        add: (_last, { at, who }) => (at === BEGIN + 2_000 ? "refused" : who),
      })
      .to(out);
  });
  const steps = [view(1, "a"), view(2, "a"), crash, view(3, "a"), crash, view(4, "a")];
  const { stops, deadLetters, records } = await simulate(flow, steps, { stops: "expected" });
  assert.deepEqual(stops, []);
  assert.deepEqual(
    deadLetters.map(({ class: of, code, step }) => [of, code, step]),
    [["schema", "MILL_ENCODE_VALUE", "last"]],
  );
  assert.deepEqual(
    records(out).map(({ value }) => value),
    ["a", "a", "a"],
  );
});
