// `state get` of stores that have several entries of a key: windows, sessions, joins, what waits, timers.
import assert from "node:assert/strict";
import { test } from "node:test";
import {
  hopping,
  json,
  long,
  pipeline,
  records,
  seconds,
  session,
  sliding,
  string,
  topic,
  tumbling,
  countWindow,
  type WindowOf,
  type WindowOptions,
} from "#engine";
import { stateVerb } from "../../src/cli/state.ts";
import { Fleet } from "../support/fleet.ts";
import { fleetCommand, jsonOf } from "../support/fleet-command.ts";

interface View {
  readonly at: number;
}
const BEGIN = Date.UTC(2025, 5, 1);
const own = { partitions: 2, owner: "tests" };
const views = topic("views", {
  ...{ key: string, value: json<View>(), ...own },
  timestamp: (view) => view.at,
});
const clicks = topic("clicks", {
  ...{ key: string, value: json<View>(), ...own },
  timestamp: (view) => view.at,
});
const numbers = topic("numbers", {
  ...{ key: long, value: json<View>(), ...own },
  timestamp: (view) => view.at,
});
const rows = topic("rows", { key: string, value: json<unknown>(), ...own });
const time = (second: number): string => new Date(BEGIN + second * 1_000).toISOString();
const grace = seconds(2);

const windowed = (window: WindowOf, options: WindowOptions = { emit: "close" }) =>
  pipeline("flow", ({ from }) => {
    from(views)
      .groupByKey()
      .windowedBy(window)
      .count("counts", options)
      .toStream("row", (count) => count)
      .to(rows);
  });

const state = (fleet: Fleet, ...argv: string[]) =>
  fleetCommand(fleet, stateVerb, ["state", ...argv]);

const put = (fleet: Fleet, topicName: string, key: Buffer, second: number): Promise<void> =>
  fleet.sendRecords([
    {
      ...{ topic: topicName, partition: 0, key, headers: [], timestamp: fleet.clock.now() },
      value: Buffer.from(JSON.stringify({ at: BEGIN + second * 1_000 })),
    },
  ]);

/** Three keys, of which one ends as another does. */
async function fed(flow: ReturnType<typeof windowed>, times: readonly number[]): Promise<Fleet> {
  const fleet = new Fleet([flow]);
  await fleet.join();
  for (const second of times)
    for (const key of ["k", "kk", "j"]) await put(fleet, "views", Buffer.from(key), second);
  await fleet.drained();
  return fleet;
}

interface Parts {
  readonly verdict: string;
  readonly partition: number;
  readonly changelog: readonly Record<string, unknown>[];
  readonly copy: readonly Record<string, unknown>[] | null;
}
async function partsOf(fleet: Fleet, store: string, key = "k"): Promise<Parts> {
  const result = await state(fleet, "get", "flow", store, "--key", key, "--json");
  assert.equal(result.code, 0, result.err.join("\n"));
  const [parts] = jsonOf<Parts>(result);
  assert.equal(parts?.verdict, "same");
  assert.deepEqual(parts.copy, parts.changelog);
  return parts;
}

const part = (start: number, end: number, value: unknown, closes?: number) => ({
  ...{ start: time(start), end: time(end), value },
  ...(closes === undefined ? {} : { closes: time(closes) }),
});

for (const [kind, window, wanted] of [
  ["tumbling", tumbling({ size: seconds(10), grace }), [part(0, 10, 2, 12), part(10, 20, 1, 22)]],
  [
    "hopping, by panes",
    hopping({ size: seconds(10), advance: seconds(5), grace }),
    [part(-5, 5, 1, 7), part(0, 10, 2, 12), part(5, 15, 2, 17), part(10, 20, 1, 22)],
  ],
  [
    "session",
    session({ gap: seconds(4), grace }),
    [part(1, 1, 1, 7.001), part(6, 6, 1, 12.001), part(11, 11, 1, 17.001)],
  ],
  [
    "sliding",
    sliding({ difference: seconds(5), grace: seconds(100) }),
    [
      part(-4, 1, 1, 101.001),
      part(1, 6, 2, 106.001),
      part(1.001, 6.001, 1, 106.002),
      part(6, 11, 2, 111.001),
      part(6.001, 11.001, 1, 111.002),
    ],
  ],
] as const)
  test(`get lists the open windows of a key: ${kind}`, async () => {
    const parts = await partsOf(await fed(windowed(window), [1, 6, 11]), "counts");
    const open =
      kind === "sliding" ? wanted : wanted.filter(({ closes = "" }) => closes > time(11));
    assert.deepEqual(parts.changelog, open);
  });

test("get shows the window of so many records that is being filled", async () => {
  const flow = windowed(countWindow({ size: records(3) }), {});
  const { changelog } = await partsOf(await fed(flow, [1, 2, 3, 4, 9]), "counts");
  assert.deepEqual(changelog, [{ ...part(4, 9, 2), records: 2 }]);
});

test("get prints a table of windows, and says which the copy has where it differs", async () => {
  const fleet = await fed(windowed(tumbling({ size: seconds(10), grace })), [1, 11]);
  const { code, out } = await state(fleet, "get", "flow", "counts", "--key", "k");
  assert.equal(code, 0);
  assert.deepEqual(out, [
    "partition  0",
    "verdict    same",
    "2 windows",
    "START                     END                       VALUE  CLOSES",
    `${time(0)}  ${time(10)}  1      ${time(12)}`,
    `${time(10)}  ${time(20)}  1      ${time(22)}`,
  ]);
  const copy = fleet.copies.copy({ prefix: "flow", store: "counts", partition: 0 });
  const stands = (await copy.position()) ?? assert.fail("there is a copy");
  const { entries } = await copy.scan(null, 100);
  const fresh = await copy.rebuild();
  await fresh.put(entries.slice(1));
  await fresh.finish(stands);
  const other: Awaited<ReturnType<typeof state>>[] = [];
  for (const key of ["k", "kk", "j"])
    other.push(await state(fleet, "get", "flow", "counts", "--key", key));
  assert.deepEqual(other.map(({ code: of }) => of).sort(), [0, 0, 1]);
  const wrong = other.find(({ code: of }) => of === 1);
  const lines = wrong?.out ?? [];
  assert.ok(lines.includes("verdict    different"));
  assert.ok(lines.some((line) => /windows? by the copy$/.test(line)));
});

test("a key without windows is exit 3 and a sentence; one whose windows are closed, too", async () => {
  const fleet = await fed(windowed(tumbling({ size: seconds(10), grace })), [1, 50]);
  const none = await state(fleet, "get", "flow", "counts", "--key", "nobody");
  assert.equal(none.code, 3);
  assert.match(none.err.join("\n"), /counts has no window of this key/);
  assert.ok(!none.err.join("\n").includes("nobody"));
  const { changelog } = await partsOf(fleet, "counts");
  assert.deepEqual(changelog, [part(50, 60, 1, 62)]);
});

test("a key that is a number is one where records have numbers", async () => {
  const flow = pipeline("flow", ({ from }) => {
    from(numbers)
      .groupByKey()
      .windowedBy(tumbling({ size: seconds(10), grace }))
      .count("counts", { emit: "close" })
      .toStream("row", (count) => count)
      .rekey("by-count", (count) => String(count))
      .to(rows);
  });
  const fleet = new Fleet([flow]);
  await fleet.join();
  const seven = Buffer.alloc(8);
  seven.writeBigInt64BE(7n);
  await put(fleet, "numbers", seven, 0);
  await fleet.drained();
  const { changelog } = await partsOf(fleet, "counts", "7");
  assert.deepEqual(changelog, [part(0, 10, 1, 12)]);
});

test("the records of a join are one list, those of each side in the order of time", async () => {
  const flow = pipeline("flow", ({ from }) => {
    from(views)
      .leftJoin("pairs", from(clicks), (view, click) => [view.at, click?.at ?? null], {
        ...{ before: seconds(100), after: seconds(100), grace: seconds(60) },
      })
      .to(rows);
  });
  const fleet = await fed(
    flow,
    Array.from({ length: 40 }, (_, i) => 40 - i),
  );
  await put(fleet, "clicks", Buffer.from("k"), 41);
  await fleet.drained();
  const { changelog } = await partsOf(fleet, "pairs");
  // 40 of one side, which are two chunks.
  assert.deepEqual(
    changelog.map(({ side, time: at }) => [side, at]),
    [...Array.from({ length: 40 }, (_, i) => ["left", time(i + 1)]), ["right", time(41)]],
  );
  assert.deepEqual(changelog[0], {
    ...{ side: "left", time: time(1), origin: time(40), isMatched: true },
    value: { at: BEGIN + 1_000 },
  });
});

test("records in front of an order, keys of a suppress and timers are shown with their times", async () => {
  const flow = pipeline("flow", ({ from }) => {
    const all = from(views);
    all
      .mapWithState("ordered", {
        state: json<number>(),
        order: { grace: seconds(30) },
        map: (n, { at }) => ({ state: (n ?? 0) + 1, emit: [at] }),
      })
      .to(rows);
    all
      .groupByKey()
      .count("totals")
      .suppress("calm", { for: seconds(30), recordsMax: records(10), whenFull: "halt" })
      .to(rows);
    all
      .process("pauses", {
        timers: { pause: "event-time", nightly: "wall-clock" },
        onRecord(_view, { record, timers }) {
          timers.pause.at(record.timestamp + 60_000);
          timers.nightly.at(Date.UTC(2027, 0, 1));
          return [];
        },
        onTimer: { pause: () => [], nightly: () => [] },
      })
      .to(rows);
  });
  const fleet = await fed(flow, [1, 2]);
  const ordered = await partsOf(fleet, "ordered-order");
  assert.deepEqual(
    ordered.changelog.map(({ time: at, worked, topic: from }) => [at, worked, from]),
    [
      [time(1), time(31.001), "views"],
      [time(2), time(32.001), "views"],
    ],
  );
  const { changelog: waiting } = await partsOf(fleet, "calm");
  assert.deepEqual(waiting, [{ since: time(1), time: time(2), value: 2, goesOn: time(31) }]);
  const { changelog: timers } = await partsOf(fleet, "pauses-timers");
  assert.deepEqual(timers, [{ timer: "pause", clock: "event-time", due: time(62) }]);
  const { changelog: wall } = await partsOf(fleet, "pauses-wall-timers");
  assert.deepEqual(wall, [
    { timer: "nightly", clock: "wall-clock", due: new Date(Date.UTC(2027, 0, 1)).toISOString() },
  ]);
});
