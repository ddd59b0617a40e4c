// Bounds of open windows: at the bound, one before and one behind it, by each rule, in whatever batches and through crashes.
import assert from "node:assert/strict";
import { test } from "node:test";
import {
  calendar,
  countWindow,
  hopping,
  json,
  pipeline,
  records,
  seconds,
  session,
  sliding,
  string,
  topic,
  tumbling,
  type Pipeline,
  type WindowOf,
  type WindowOptions,
} from "#engine";
import { crash, rebalance, send, simulate, type Simulated, type SimulatedStep } from "#testing";
import { planData } from "../../src/cli/plan-text.ts";
import { ConfigErrors } from "../../src/engine/core/errors.ts";

interface View {
  readonly at: number;
}
interface Row {
  readonly from: number;
  readonly to: number;
  readonly views: number;
}
const BEGIN = Date.UTC(2025, 5, 1);
const input = topic("views", {
  ...{ key: string, value: json<View>(), partitions: 1, owner: "tests" },
  timestamp: (view) => view.at,
});
const rows = topic("rows", { key: string, value: json<Row>(), partitions: 1, owner: "tests" });
const lates = topic("lates", { key: string, value: json<View>(), partitions: 1, owner: "tests" });
const grace = seconds(100);
const view = (second: number, key = "k"): SimulatedStep =>
  send(input, key, { at: BEGIN + second * 1_000 });
const since = (date: Date | number): number => (Number(date) - BEGIN) / 1_000;

const toRow = (views: number | null, { start, end }: { start: Date; end: Date }): Row => ({
  ...{ from: since(start), to: since(end), views: views ?? 0 },
});
const flowOf = (window: WindowOf, options: WindowOptions, keepsLate = false): Pipeline =>
  pipeline("counting", { haltWhen: "never" }, ({ from }) => {
    const counts = from(input)
      .groupByKey()
      .windowedBy(window)
      .count("views-by-key", { emit: "close", ...options });
    if (keepsLate) counts.late.to(lates);
    counts.toStream("row", toRow).to(rows);
  });
const shown = (done: Simulated): string[] =>
  done
    .records(rows)
    .map(
      ({ key, value }) =>
        `${key} [${String(value?.from)},${String(value?.to)}) ${String(value?.views)}`,
    );
const whole = (done: Simulated): unknown => ({
  ...{ rows: shown(done), ledger: done.ledger("main") },
  letters: done.deadLetters.map(({ code, class: of }) => [code, of]),
});

/** Runs the steps by many batches, with crashes and rebalances between any of them: the answer is one. */
async function inEverySchedule(
  flow: Pipeline,
  steps: readonly SimulatedStep[],
  options: Parameters<typeof simulate>[2] = {},
): Promise<Simulated> {
  const first = await simulate(flow, steps, options);
  for (let seed = 1; seed <= 6; seed++) {
    const drawn = steps.flatMap((step, i) => {
      if ((i + seed) % 3 !== 0) return [step];
      return [step, seed % 2 === 0 ? crash : rebalance];
    });
    const again = await simulate(flow, drawn, { ...options, seed });
    assert.deepEqual(whole(again), whole(first), `seed ${String(seed)}`);
  }
  return first;
}

const tens = tumbling({ size: seconds(10), grace });
const twenties = hopping({ size: seconds(20), advance: seconds(10), grace });
const windows: Record<string, WindowOf> = {
  tumbling: tens,
  hopping: twenties,
  calendar: calendar({ unit: "hour", timeZone: "UTC", grace: seconds(9_000) }),
  session: session({ gap: seconds(4), grace }),
  sliding: sliding({ difference: seconds(4), grace }),
};
/** Times of records of which each opens one window more. */
const openers = (kind: string): number[] =>
  [0, 1, 2, 3].map((n) => n * (kind === "calendar" ? 3_600 : 10) + 1);

for (const [kind, window] of Object.entries(windows))
  for (const many of [2, 3, 4])
    test(`${kind}: three windows of a key with a bound of ${String(many)}, by a letter`, async () => {
      const flow = flowOf(window, { windowsMax: many, whenFull: "dead-letter" });
      const times = openers(kind).slice(0, 3);
      // The first hopping record opens two.
      const opened = times.length + (kind === "hopping" ? 1 : 0);
      const steps = [...times, ...times].map((time) => view(time));
      const done = await inEverySchedule(flow, [...steps, view(times[0] ?? 0, "j")], {
        end: "close",
      });
      const refused = Math.max(0, opened - many);
      assert.equal(done.deadLetters.length, 2 * refused);
      for (const letter of done.deadLetters) {
        assert.deepEqual([letter.class, letter.code], ["full", "MILL_KEY_FULL"]);
        assert.equal(letter.step, "views-by-key");
      }
      const ledger = done.ledger("main");
      assert.equal(ledger["consumed"], 7);
      assert.equal(ledger["dead-lettered"] ?? 0, 2 * refused);
      assert.equal(ledger["emitted"], 7 - 2 * refused);
    });

test("a window of more than the bound stops the task in front of its record, and nothing is lost", async () => {
  const flow = flowOf(tens, { windowsMax: 2, whenFull: "halt" });
  const steps = [view(1), view(11), crash, view(2), view(21), view(3)];
  const done = await simulate(flow, steps, { stops: "expected" });
  assert.deepEqual(
    done.stops.map(({ code }) => code),
    ["MILL_KEY_FULL_HALT"],
  );
  assert.deepEqual(done.ledger("main"), { consumed: 3, emitted: 3 });
});

for (const emit of ["close", "update"] as const)
  test(`tumbling on ${emit}: the oldest window makes room, and what comes for it is late`, async () => {
    const flow = flowOf(tens, { windowsMax: 2, whenFull: "evict", emit });
    // 21 evicts [0,10) with two records; 3 is late for it; 31 evicts [10,20).
    const steps = [1, 2, 11, 21, 3, 12, 31, 13].map((time) => view(time));
    const done = await inEverySchedule(flow, steps, { end: "close" });
    if (emit === "close")
      assert.deepEqual(shown(done), ["k [0,10) 2", "k [10,20) 2", "k [20,30) 1", "k [30,40) 1"]);
    assert.deepEqual(done.ledger("main"), { consumed: 8, emitted: 6, late: 2, evicted: 2 });
    const late = await simulate(
      flowOf(tens, { windowsMax: 2, whenFull: "evict", emit }, true),
      steps,
    );
    assert.deepEqual(
      late.records(lates).map(({ value }) => since(value?.at ?? 0)),
      [3, 13],
    );
    assert.equal(done.meter.counter("millrace_evicted_total", { operator: "views-by-key" }), 2);
  });

test("a record that is older than all windows of a full key does not evict a newer one", async () => {
  for (const window of [tens, session({ gap: seconds(4), grace })]) {
    const flow = flowOf(window, { windowsMax: 2, whenFull: "evict" });
    const done = await inEverySchedule(flow, [view(21), view(31), view(1)], { end: "close" });
    assert.deepEqual(done.ledger("main"), { consumed: 3, emitted: 2, late: 1 });
    assert.equal(done.records(rows).length, 2);
  }
});

test("other keys have windows of their own, and a window that closes makes room", async () => {
  const short = tumbling({ size: seconds(10), grace: seconds(0) });
  const flow = flowOf(short, { windowsMax: 1, whenFull: "dead-letter" });
  const steps = [1, 2, 11, 12, 21].flatMap((time) => [view(time), view(time, "j")]);
  const done = await inEverySchedule(flow, steps, { end: "close" });
  assert.deepEqual(done.ledger("main"), { consumed: 10, emitted: 10 });
  assert.equal(done.records(rows).length, 6);
});

test("sessions: the oldest makes room; one that two become counts once", async () => {
  const flow = flowOf(session({ gap: seconds(4), grace }), { windowsMax: 2, whenFull: "evict" });
  // 20 evicts [1,2]; 4 would join it and is late; 17 joins [11,15] and [20,20], and 5 is late although there is room now.
  const steps = [1, 2, 11, 20, 4, 15, 17, 5, 40].map((time) => view(time));
  const done = await inEverySchedule(flow, steps, { end: "close" });
  assert.deepEqual(shown(done), ["k [1,2) 2", "k [11,20) 4", "k [40,40) 1"]);
  assert.deepEqual(done.ledger("main"), { consumed: 9, emitted: 7, late: 2, evicted: 1 });
});

for (const emit of ["close", "update"] as const)
  test(`sliding on ${emit}: the oldest time of a key makes room, and later windows lack it`, async () => {
    const slides = sliding({ difference: seconds(4), grace });
    const flow = flowOf(slides, { windowsMax: 2, whenFull: "evict", emit });
    // 4 evicts time 1 with two records, and 3 evicts time 2; 0 is older than all that fill the key.
    const steps = [1, 2, 1, 4, 0, 2, 3].map((time) => view(time));
    const done = await inEverySchedule(flow, steps, { end: "close" });
    assert.deepEqual(done.ledger("main"), { consumed: 7, emitted: 6, late: 1, evicted: 2 });
    assert.equal(done.meter.counter("millrace_evicted_total", { operator: "views-by-key" }), 2);
    if (emit === "update") return;
    assert.deepEqual(shown(done), [
      ...["k [-3,1) 2", "k [-2,2) 2", "k [-1,3) 1", "k [0,4) 2"],
      "k [3.001,7.001) 1",
    ]);
  });

test("a time of sliding windows whose own window time has closed is evicted without a result", async () => {
  const slides = sliding({ difference: seconds(40), grace: seconds(0) });
  const flow = flowOf(slides, { windowsMax: 2, whenFull: "evict" });
  const steps = [1, 2, 11, 12].map((time) => view(time));
  const done = await inEverySchedule(flow, steps, { end: "close" });
  // 11 evicts time 1 and 12 time 2: the windows that end with them were closed by then, those that would begin behind are none.
  assert.deepEqual(shown(done), [
    ...["k [-39,1) 1", "k [-38,2) 2", "k [-29,11) 2", "k [-28,12) 2"],
    "k [11.001,51.001) 1",
  ]);
  assert.deepEqual(done.ledger("main"), { consumed: 4, emitted: 4, evicted: 2 });
});

test("hopping by panes and by windows: the same rows and the same counts", async () => {
  const times = [1, 12, 25, 13, 47, 21, 60, 45, 61];
  const steps = times.map((time) => view(time));
  const byPanes = flowOf(twenties, { windowsMax: 3, whenFull: "evict" });
  const done = await inEverySchedule(byPanes, steps, { end: "close" });
  const sums = pipeline("counting", { haltWhen: "never" }, ({ from }) => {
    const counts = from(input)
      .groupByKey()
      .windowedBy(twenties)
      .aggregate("views-by-key", {
        ...{ value: json<number>(), init: () => 0, add: (n: number) => n + 1 },
        ...{ emit: "close", windowsMax: 3, whenFull: "evict" },
      });
    counts.toStream("row", toRow).to(rows);
  });
  const plain = await inEverySchedule(sums, steps, { end: "close" });
  assert.ok((done.ledger("main")["evicted"] ?? 0) > 0);
  assert.deepEqual(shown(done).sort(), shown(plain).sort());
});

test("a record that fails behind an eviction leaves the window where it was", async () => {
  const refusing = pipeline("counting", { haltWhen: "never" }, ({ from }) => {
    from(input)
      .groupByKey()
      .windowedBy(tens)
      .count("views-by-key", { emit: "close", windowsMax: 1, whenFull: "evict" })
      .toStream("row", (views, of) => {
        if (views === 1) throw new Error("refused");
        return toRow(views, of);
      })
      .to(rows);
  });
  // 11 cannot evict [0,10) with one record; with two it can.
  const done = await inEverySchedule(refusing, [view(1), view(11), view(2), view(12)], {
    end: "close",
  });
  assert.deepEqual(shown(done), ["k [0,10) 2"]);
  assert.deepEqual(done.ledger("main"), {
    ...{ consumed: 4, emitted: 3, "dead-lettered": 1, "dead-results": 1, evicted: 1 },
  });
});

test("a bound of another number than the windows of one record, or without its rule, is refused", () => {
  const problems = (window: WindowOf, options: object): string[] => {
    try {
      flowOf(window, options).plan();
      return [];
    } catch (error) {
      return error instanceof ConfigErrors ? error.problems.map(({ message }) => message) : [];
    }
  };
  const full = { whenFull: "evict" };
  assert.match(
    problems(tens, { windowsMax: 0, ...full }).join(),
    /windowsMax, a whole number of 1/,
  );
  assert.match(problems(twenties, { windowsMax: 1, ...full }).join(), /whole number of 2/);
  assert.match(
    problems(tens, { windowsMax: 3 }).join(),
    /whenFull: "dead-letter" or "halt" or "evict"/,
  );
  assert.match(problems(tens, full).join(), /windowsMax/);
  const slides = sliding({ difference: seconds(4), grace });
  assert.match(problems(slides, { windowsMax: 0, ...full }).join(), /whole number of 1/);
  assert.deepEqual(problems(slides, { windowsMax: 1, ...full }), []);
  const hundred = countWindow({ size: records(100) });
  assert.match(problems(hundred, { windowsMax: 3, ...full }).join(), /leave windowsMax out/);
  assert.deepEqual(problems(twenties, { windowsMax: 2, ...full }), []);
});

test("a bound makes a count exact on its source alone, and behind a topic between parts a matter of arrival", () => {
  const bound = { emit: "close", windowsMax: 9, whenFull: "evict" } as const;
  const { parts } = planData(
    pipeline("counting", ({ from }) => {
      const views = from(input);
      views
        .groupByKey()
        .windowedBy(tens)
        .count("direct", bound)
        .toStream("direct-row", toRow)
        .to(rows);
      views
        .groupBy("by-second", ({ at }) => String(at))
        .windowedBy(tens)
        .count("behind", bound)
        .toStream("row", toRow)
        .to(rows);
    }).plan(),
  ) as unknown as {
    parts: readonly {
      operators: readonly { name: string; class: string; windowsMax?: string }[];
    }[];
  };
  const operators = parts.flatMap((part) => part.operators);
  const found = (name: string) => operators.find((one) => one.name === name);
  assert.equal(found("direct")?.class, "exact");
  assert.equal(found("behind")?.class, "arrival");
});
