// Results of windows that a step behind cannot take: each becomes a letter, once, through crashes, and comes back behind its window.
import assert from "node:assert/strict";
import { test } from "node:test";
import {
  json,
  percent,
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
} from "#engine";
import {
  crash,
  rebalance,
  redrive,
  send,
  simulate,
  type Simulated,
  type SimulatedStep,
} from "#testing";
import { headerText } from "../../src/engine/core/record.ts";

interface View {
  readonly at: number;
}
interface Row {
  readonly from: number;
  readonly views: number;
}

const BEGIN = Date.UTC(2025, 5, 1);
const at = (second: number): number => BEGIN + second * 1_000;
const input = topic("views", {
  ...{ key: string, value: json<View>(), partitions: 2, owner: "tests" },
  timestamp: (view) => view.at,
});
const rows = topic("rows", { key: string, value: json<Row>(), partitions: 1, owner: "tests" });
const sums = topic("sums", { key: string, value: json<number>(), partitions: 1, owner: "tests" });

const view = (second: number, key = "k", partition = 0): SimulatedStep =>
  send(input, key, { at: at(second) }, { partition });
/** Closes every window of before. */
const end = (second: number): SimulatedStep[] => [view(second, "x"), view(second, "x", 1)];

/** Whether a result fails; a test mends it. */
const refusing = { these: (views: number): boolean => views === 2 };
const toRow = (views: number, { start }: { start: Date }): Row => {
  if (refusing.these(views)) throw new Error("refused");
  return { from: (start.getTime() - BEGIN) / 1_000, views };
};

const flowOf = (window: WindowOf, onError: "dead-letter" | "halt" = "dead-letter"): Pipeline =>
  pipeline("counting", { onError, haltWhen: "never" }, ({ from }) => {
    from(input)
      .groupByKey()
      .windowedBy(window)
      .count("views-by-key", { emit: "close" })
      .toStream("row", toRow)
      .to(rows);
  });

const tens = tumbling({ size: seconds(10), grace: seconds(2) });
const shown = ({ records }: Simulated): string[] =>
  records(rows)
    .map(({ key, value }) => `${key} ${String(value?.from)}: ${String(value?.views)}`)
    .sort();
const said = ({ record }: Simulated["deadLetters"][0], name: string): string | null =>
  headerText(record.headers, `dlq.${name}`);

test("a result that fails is a letter that names operator, key and window; the others go on", async () => {
  refusing.these = (views) => views === 2;
  const steps = [view(1), view(2), view(3, "j"), view(11), ...end(40), view(45), ...end(90)];
  const done = await simulate(flowOf(tens), steps);
  assert.deepEqual(shown(done), ["j 0: 1", "k 10: 1", "k 40: 1", "x 40: 1", "x 40: 1"]);
  const [letter, ...others] = done.deadLetters;
  assert.deepEqual(others, []);
  assert.equal(letter?.class, "result");
  assert.equal(letter.step, "row");
  assert.equal(letter.code, "MILL_TRANSFORM_THREW");
  assert.equal(letter.record.key?.toString(), "k");
  assert.deepEqual(JSON.parse(String(letter.record.value)), [
    { aggregate: 2, key: "k", startMs: at(0), endMs: at(10) },
  ]);
  const names = ["operator", "window-start", "window-end", "topic"];
  assert.deepEqual(
    names.map((name) => said(letter, name)),
    [
      "views-by-key",
      new Date(at(0)).toISOString(),
      new Date(at(10)).toISOString(),
      "store:views-by-key",
    ],
  );
  assert.deepEqual(done.ledger("main"), { consumed: 9, emitted: 9, "dead-results": 1 });
  assert.equal(done.meter.counter("millrace_dead_letters_total", { class: "result" }), 1);
});

for (const [name, window] of [
  ["tumbling", tens],
  ["session", session({ gap: seconds(5), grace: seconds(1) })],
  ["sliding", sliding({ difference: seconds(4), grace: seconds(1) })],
] as const)
  test(`each result of ${name} windows that fails is one letter, through crashes, and goes back once`, async () => {
    const views = [1, 2, 3, 12, 13, 14, 30, 31].flatMap((second) => [
      view(second),
      view(second + 0.5, "j", 1),
    ]);
    refusing.these = () => false;
    const want = shown(await simulate(flowOf(window), [...views, ...end(200)]));
    const failing = want.filter((row) => row.endsWith(": 2")).length;
    assert.ok(failing > 0);
    for (let seed = 1; seed <= 6; seed++) {
      refusing.these = (many) => many === 2;
      const crashed = views.flatMap((step, i) => (i % 3 === seed % 3 ? [step, crash] : [step]));
      const steps = [...crashed, ...end(200), crash, rebalance];
      const first = await simulate(flowOf(window), steps, { seed });
      assert.deepEqual(
        shown(first),
        want.filter((row) => !row.endsWith(": 2")),
      );
      assert.equal(first.deadLetters.length, failing);
      assert.equal(first.ledger("main")["dead-results"], failing);
      // Mended on the way: by the first result of a window that only closes after the letters.
      let isMended = false;
      refusing.these = (many) => {
        isMended ||= many === 5;
        return !isMended && many === 2;
      };
      const fives = [300, 300, 300, 300, 300].flatMap((second) => view(second, "m"));
      const mending = [...fives, ...end(600)];
      const back = [redrive, crash, redrive, rebalance];
      const again = await simulate(flowOf(window), [...steps, ...mending, ...back], { seed });
      const own = shown(again).filter((row) => !/^[mx] /.test(row));
      assert.deepEqual(
        own,
        want.filter((row) => !/^[mx] /.test(row)),
        `seed ${String(seed)}`,
      );
      assert.deepEqual(again.letterStates, { resolved: failing });
    }
  });

test("a letter whose result fails again is the same letter, parked after as many redrives as are allowed", async () => {
  refusing.these = (views) => views === 2;
  const steps = [view(1), view(2), ...end(40), redrive, redrive, redrive, redrive];
  const { deadLetters, letterStates } = await simulate(flowOf(tens), steps);
  assert.equal(new Set(deadLetters.map((letter) => said(letter, "id"))).size, 1);
  assert.equal(deadLetters.length, 4);
  assert.deepEqual(letterStates, { open: 1 });
  assert.equal(said(deadLetters.at(-1) as (typeof deadLetters)[0], "operator"), "views-by-key");
  assert.equal(said(deadLetters.at(-1) as (typeof deadLetters)[0], "parked"), "true");
});

test('with onError "halt" the task stops in front of it, and nothing is lost', async () => {
  refusing.these = (views) => views === 2;
  const steps = [view(1), view(2), view(3, "j"), ...end(40)];
  const done = await simulate(flowOf(tens, "halt"), steps, { stops: "expected" });
  assert.deepEqual(done.deadLetters, []);
  assert.deepEqual(shown(done), []);
  assert.deepEqual(
    done.stops.map(({ code }) => code),
    ["MILL_TRANSFORM_HALT"],
  );
});

test("too many of them halt the pipeline", async () => {
  refusing.these = () => true;
  const flow = pipeline(
    "counting",
    { haltWhen: { deadLetters: { above: percent(3), per: records(100) } } },
    ({ from }) => {
      from(input)
        .groupByKey()
        .windowedBy(tens)
        .count("views-by-key", { emit: "close" })
        .toStream("row", toRow)
        .to(rows);
    },
  );
  const views = Array.from({ length: 10 }, (_, i) => view(1, `k${String(i)}`));
  await assert.rejects(simulate(flow, [...views, ...end(40)]), { code: "MILL_PIPELINE_HALTED" });
});

test("a result that fails in a later group, or at a checkpoint, is one too", async () => {
  const flow = (emit: "update" | "checkpoint") =>
    pipeline("counting", { haltWhen: "never" }, ({ from }) => {
      from(input)
        .groupByKey()
        .windowedBy(tens)
        .count("views-by-key", { emit: "close" })
        .toStream("row", (views) => views)
        .groupByKey()
        .aggregate("sum", {
          ...{ value: json<number>(), init: () => 0, emit },
          add(sum, views) {
            if (emit === "update" && views === 2) throw new Error("refused");
            return sum + views;
          },
        })
        .toStream()
        .map("checked", (sum) => {
          if (sum === 2) throw new Error("refused");
          return sum;
        })
        .to(sums);
    });
  const steps = [view(1), view(2), view(3, "j"), ...end(40)];
  for (const emit of ["update", "checkpoint"] as const) {
    const { records: of, deadLetters, ledger } = await simulate(flow(emit), steps);
    const seen = of(sums).map(({ key, value }) => `${key} ${String(value)}`);
    assert.ok(seen.includes("j 1"), emit);
    const failed = deadLetters.map((one) => `${String(said(one, "operator"))} ${String(one.step)}`);
    const ofK = emit === "update" ? "views-by-key sum" : "sum checked";
    assert.ok(failed.includes(ofK), `${emit}: ${failed.join()}`);
    assert.equal(ledger("main")["dead-results"], deadLetters.length);
  }
});
