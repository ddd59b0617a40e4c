// A copy of state that is lost while nothing comes: no batch notices it, and what is due by time must come all the same, once and
// with everything that was in it.
import assert from "node:assert/strict";
import { test } from "node:test";
import {
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
} from "#engine";
import { Fleet } from "../support/fleet.ts";
import { TroubledCopies } from "../support/troubled-copies.ts";

interface View {
  readonly n: number;
}
const own = { key: string, value: json<View>(), partitions: 1, owner: "tests" };
const views = topic("views", { ...own, idleAfter: seconds(5) });
const clicks = topic("clicks", { ...own, idleAfter: seconds(5) });
const rows = topic("rows", { ...own, value: json<unknown>() });
const grace = seconds(1);
const close = { emit: "close" } as const;

const windowed = (window: WindowOf, isBetween = false): Pipeline =>
  pipeline("flow", ({ from }) => {
    const all = from(views);
    const grouped = isBetween ? all.groupBy("by-n", ({ n }) => String(n % 3)) : all.groupByKey();
    grouped
      .windowedBy(window)
      .count("counts", close)
      .toStream("row", (count, { key, end }) => [key, Number(end), count])
      .to(rows);
  });

/** Everything that comes as time goes on. */
const flows: Readonly<Record<string, Pipeline>> = {
  "tumbling windows": windowed(tumbling({ size: seconds(10), grace })),
  "windows behind a repartition topic": windowed(tumbling({ size: seconds(10), grace }), true),
  "hopping windows": windowed(hopping({ size: seconds(10), advance: seconds(5), grace })),
  "sliding windows": windowed(sliding({ difference: seconds(3), grace })),
  sessions: windowed(session({ gap: seconds(4), grace })),
  "an outer join": pipeline("flow", ({ from }) => {
    from(views)
      .outerJoin("pairs", from(clicks), (view, click) => [view?.n ?? null, click?.n ?? null], {
        ...{ before: seconds(0), after: seconds(4), grace },
      })
      .to(rows);
  }),
  "timers by event time, in order": pipeline("flow", ({ from }) => {
    from(views)
      .process("pauses", {
        order: { grace },
        state: { seen: json<number>() },
        timers: { pause: "event-time" },
        onRecord(_view, { record, state, timers }) {
          state.seen.set((state.seen.get() ?? 0) + 1);
          timers.pause.at(record.timestamp + 6_000);
          return [];
        },
        onTimer: { pause: ({ key, due, state }) => [[key, due, state.seen.get()]] },
      })
      .to(rows);
  }),
  "timers by the wall clock": pipeline("flow", ({ from }) => {
    from(views)
      .process("later", {
        state: { seen: json<number>() },
        timers: { later: "wall-clock" },
        onRecord({ n }, { state, timers }) {
          state.seen.set((state.seen.get() ?? 0) + n);
          timers.later.at(DUE_MS);
          return [];
        },
        onTimer: { later: ({ key, state }) => [[key, state.seen.get()]] },
      })
      .to(rows);
  }),
  "suppressed counts": pipeline("flow", ({ from }) => {
    from(views)
      .groupByKey()
      .count("totals")
      .suppress("calm", { for: seconds(8), recordsMax: records(100), whenFull: "halt" })
      .toStream()
      .to(rows);
  }),
};
/** Twenty seconds behind the start of a fleet's clock. */
const DUE_MS = new Fleet([]).clock.now() + 20_000;

type Trouble = (copies: TroubledCopies, before: () => Promise<void>) => Promise<void>;
const troubles: Readonly<Record<string, Trouble>> = {
  wiped: (copies) => copies.wipe(),
  "put back as it was before": (_copies, before) => before(),
};

/** What comes of a few records and a long silence. */
async function rowsOf(flow: Pipeline, happens: Trouble | null, cacheBytesMax: number) {
  const fleet = new Fleet([flow], { cacheBytesMax });
  const copies = new TroubledCopies();
  fleet.copies = copies;
  await fleet.join();
  const beginMs = fleet.clock.now();
  const view = (n: number, second: number, name = "views"): Promise<void> =>
    fleet.sendRecords([
      {
        ...{ topic: name, partition: 0, key: Buffer.from(`k${String(n % 2)}`), headers: [] },
        ...{ value: Buffer.from(JSON.stringify({ n })), timestamp: beginMs + second * 1_000 },
      },
    ]);
  await view(1, 0);
  await fleet.clock.advance(500);
  const before = await copies.snapshot();
  for (const second of [1, 2, 2.5]) await view(second * 2, second);
  if (flow.plan().topics.input.length > 1) await view(7, 1, "clicks");
  await fleet.clock.advance(1_000);
  await happens?.(copies, before);
  await fleet.clock.advance(60_000);
  const found = fleet.values(rows).length;
  // What was made anew is what comes next, too.
  await view(9, 61);
  await fleet.clock.advance(60_000);
  return { found, all: fleet.values(rows), ledger: await fleet.ledger("main") };
}

const NO_CACHE = 0;
for (const [what, flow] of Object.entries(flows))
  for (const [trouble, happens] of Object.entries(troubles))
    test(`${what}: of a copy that is ${trouble} while nothing comes, what is due comes as if nothing had happened`, async () => {
      const wanted = await rowsOf(flow, null, NO_CACHE);
      assert.ok(wanted.found > 0 && wanted.all.length > wanted.found, "something was due");
      for (const cacheBytesMax of [NO_CACHE, 1_000_000])
        assert.deepEqual(await rowsOf(flow, happens, cacheBytesMax), wanted);
    });
