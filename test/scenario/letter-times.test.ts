// B4: letters that come back keep the origin time that their records had, and move no time.
import assert from "node:assert/strict";
import { beforeEach, test } from "node:test";
import { json, pipeline, seconds, string, topic, tumbling, type Pipeline } from "#engine";
import { advance, redrive, send, sendBytes, simulate, type SimulatedStep } from "#testing";

interface Click {
  readonly id: string;
  readonly shop: string;
}

const own = { key: string, partitions: 1, owner: "tests" };
const clicks = topic("clicks", { ...own, value: json<Click>() });
const once = topic("once", { ...own, value: json<Click>() });

/** The rule refuses a click until another one has passed. */
const MENDING = "mending";
let isMended = false;
beforeEach(() => void (isMended = false));
const isRight = ({ id }: Click): boolean => {
  isMended ||= id === MENDING;
  return isMended || id !== "x";
};

const SPAN_S = 10;
const within = { by: ({ id }: Click) => id, within: seconds(SPAN_S) };

/** The rule, and `distinct` behind it. */
const direct = pipeline("direct", ({ from }) => {
  from(clicks)
    .expect("right", isRight, { otherwise: "dead-letter" })
    .distinct("first", within)
    .to(once);
});
/** The same behind a topic between parts. */
const between = pipeline("between", ({ from }) => {
  from(clicks)
    .rekey("by-shop", ({ shop }) => shop)
    .expect("right", isRight, { otherwise: "dead-letter" })
    .distinct("first", within)
    .to(once);
});

const START_MS = Date.UTC(2026, 0, 1);
const at = (id: string, second: number): SimulatedStep =>
  send(clicks, "k", { id, shop: "a" }, { at: START_MS + second * 1_000 });
const flows: readonly (readonly [Pipeline, string])[] = [
  [direct, "main"],
  [between, "by-shop"],
];

for (const [flow, part] of flows) {
  test(`B4: ${flow.name}: what distinct remembers of a letter is from the origin time of its record`, async () => {
    // x is 5 s old when it is first read, at 100: its repeat at 106 is 6 s behind it, not 11.
    const first = [at("a", 100), at("x", 95), at(MENDING, 100), redrive, advance(seconds(120))];
    const steps = [...first, at("x", 106)];
    const { ledger, letterStates } = await simulate(flow, steps);
    assert.deepEqual(letterStates, { resolved: 1 });
    const { deduplicated, emitted } = ledger(part);
    assert.deepEqual([deduplicated, emitted], [1, 3]);
  });

  test(`B4: ${flow.name}: distinct takes a letter that comes back, however far time has gone on without it`, async () => {
    // The worker looks for a new redrive topic now and then, and markers reach the later part within an interval.
    const first = [at("x", 100), at(MENDING, 100), at("a", 111), advance(seconds(120))];
    const steps = [...first, redrive, advance(seconds(120))];
    const { ledger, letterStates, records } = await simulate(flow, steps);
    assert.deepEqual(letterStates, { resolved: 1 });
    assert.equal(ledger(part)["late"], undefined);
    const ids = records(once).map(({ value }) => value?.id);
    assert.ok(ids.includes("x"), "it was asked for");
  });
}

test("B4: a letter whose window has closed without it is late (closed), and makes no second row", async () => {
  const counts = topic("counts", { ...own, value: json<number>() });
  const flow = pipeline("counting", ({ from }) => {
    from(clicks)
      .expect("right", isRight, { otherwise: "dead-letter" })
      .groupByKey()
      .windowedBy(tumbling({ size: seconds(10), grace: seconds(0) }))
      .count("clicks-by-key", { emit: "close" })
      .toStream("count", (count) => count)
      .to(counts);
  });
  const first = [at("x", 100), at("y", 101), at(MENDING, 111), advance(seconds(5))];
  const steps = [...first, redrive, at("z", 131)];
  const { ledger, letterStates, records } = await simulate(flow, steps);
  assert.deepEqual(letterStates, { resolved: 1 });
  assert.equal(ledger("main")["late"], 1);
  assert.deepEqual(
    records(counts).map(({ value }) => value),
    [1, 1],
  );
});

test("B4: a record that could not be read has the time at which its source was", async () => {
  const unread = sendBytes(clicks, Buffer.from("k"), Buffer.from("{"), { at: START_MS });
  const { deadLetters } = await simulate(direct, [at("a", 100), unread]);
  const headers = deadLetters[0]?.record.headers ?? [];
  const said = headers.find(([name]) => name === "dlq.origin-time")?.[1];
  assert.equal(String(said), String(START_MS + 100_000));
});
