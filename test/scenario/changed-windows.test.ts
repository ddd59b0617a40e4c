// A window that is changed while its store is there: what the start refuses, what it says, and what stays closed (O4).
import assert from "node:assert/strict";
import { test } from "node:test";
import {
  calendar,
  hopping,
  json,
  pipeline,
  seconds,
  session,
  sliding,
  string,
  topic,
  tumbling,
  type Pipeline,
  type WindowOf,
} from "#engine";
import { ConfigErrors } from "../../src/engine/core/errors.ts";
import { describeVerb } from "../../src/cli/describe.ts";
import { offsetsVerb } from "../../src/cli/offsets.ts";
import { Fleet } from "../support/fleet.ts";
import { fleetCommand } from "../support/fleet-command.ts";

const BEGIN = Date.UTC(2025, 5, 1);

interface View {
  readonly at: number;
}
const input = topic("views", {
  ...{ key: string, value: json<View>(), partitions: 1, owner: "tests" },
  timestamp: (view) => view.at,
});
const rows = topic("rows", { key: string, value: json<string>(), partitions: 1, owner: "tests" });

const flowOf = (window: WindowOf): Pipeline =>
  pipeline("counting", ({ from }) => {
    from(input)
      .groupByKey()
      .windowedBy(window)
      .count("views-by-key", { emit: "close" })
      .toStream("row", (views, { start, end }) => {
        const [from, to] = [start, end].map((date) => (date.getTime() - BEGIN) / 1_000);
        return `[${String(from)},${String(to)}) ${String(views)}`;
      })
      .to(rows);
  });

const view = (fleet: Fleet, second: number, key = "k"): Promise<void> => {
  const at = BEGIN + second * 1_000;
  const value = Buffer.from(JSON.stringify({ at }));
  const own = { partition: 0, key: Buffer.from(key), value, headers: [], timestamp: at };
  return fleet.sendRecords([{ topic: input.name, ...own }]);
};
const seen = (fleet: Fleet): string[] =>
  fleet.kafka
    .records(rows.name, { committed: true })
    .map(({ key, value }) => `${String(key)} ${String(JSON.parse(String(value)))}`);

const joined = (fleet: Fleet, window: WindowOf) => fleet.join({ plans: [flowOf(window).plan()] });

/** For commands of another pipeline on the same servers. */
function commanding(fleet: Fleet, window: WindowOf): Fleet {
  const { clock, kafka, copies } = fleet;
  return Object.assign(new Fleet([flowOf(window)]), { clock, kafka, copies });
}

/** The workers of a window have worked these views, and have left. */
async function worked(window: WindowOf, views: readonly number[]): Promise<Fleet> {
  const fleet = new Fleet([flowOf(window)]);
  const { worker } = await fleet.join();
  for (const second of views) await view(fleet, second);
  await fleet.drained();
  await fleet.during(worker.stop());
  return fleet;
}

const grace = seconds(2);
const tens = tumbling({ size: seconds(10), grace });

for (const [name, was, now, what] of [
  ["size", tens, tumbling({ size: seconds(20), grace }), /tumbling 10000 ms is now tumbling 20000/],
  ["kind", tens, session({ gap: seconds(10), grace }), /tumbling 10000 ms is now session 10000 ms/],
  [
    "calendar",
    tens,
    calendar({ unit: "hour", timeZone: "UTC", grace }),
    /tumbling 10000 ms is now calendar hour UTC/,
  ],
  [
    "advance",
    hopping({ size: seconds(10), advance: seconds(5), grace }),
    hopping({ size: seconds(10), advance: seconds(2), grace }),
    /hopping 10000 ms 5000 ms is now hopping 10000 ms 2000 ms/,
  ],
  [
    "gap",
    session({ gap: seconds(10), grace }),
    session({ gap: seconds(5), grace }),
    /session 10000 ms is now session 5000 ms/,
  ],
  [
    "difference",
    sliding({ difference: seconds(10), grace }),
    sliding({ difference: seconds(5), grace }),
    /sliding 10000 ms is now sliding 5000 ms/,
  ],
] as const)
  test(`another ${name} is refused at the start, and begins anew by the command that it names`, async () => {
    const fleet = await worked(was, [1, 2]);
    const next = commanding(fleet, now);
    const live = await fleetCommand(next, describeVerb, ["describe", "counting", "--live"]);
    assert.match(live.out.join("\n"), /changed +MILL_STATE_CHANGED/);
    const error: unknown = await joined(fleet, now).catch((thrown: unknown) => thrown);
    assert.ok(error instanceof ConfigErrors);
    const [problem] = error.problems;
    assert.equal(problem?.code, "MILL_STATE_CHANGED");
    assert.match(problem.message, what);
    const told = /npx millrace (offsets reset .+)$/.exec(problem.message)?.[1];
    const argv = `${told ?? assert.fail(problem.message)} --yes`.split(" ");
    assert.equal((await fleetCommand(next, offsetsVerb, argv)).code, 0);
    await joined(fleet, now);
    await view(fleet, 4_000, "x");
    await fleet.drained();
    assert.ok(seen(fleet).some((row) => row.startsWith("k ") && row.endsWith(" 2")));
  });

for (const [name, windowOf, lateAt] of [
  ["tumbling", (s: number) => tumbling({ size: seconds(10), grace: seconds(s) }), 9],
  [
    "hopping",
    (s: number) => hopping({ size: seconds(10), advance: seconds(5), grace: seconds(s) }),
    4,
  ],
  ["session", (s: number) => session({ gap: seconds(3), grace: seconds(s) }), 3],
  ["sliding", (s: number) => sliding({ difference: seconds(4), grace: seconds(s) }), 2],
] as const)
  test(`O4: with a longer grace, ${name} windows that were closed stay closed`, async () => {
    const fleet = await worked(windowOf(0), [1, 2, 13]);
    const before = seen(fleet);
    assert.ok(before.length > 0);
    const next = commanding(fleet, windowOf(60));
    const live = await fleetCommand(next, describeVerb, ["describe", "counting", "--live"]);
    assert.match(live.out.join("\n"), /changed +store views-by-key: the grace .* stay closed/);
    const { worker } = await joined(fleet, windowOf(60));
    const said = fleet.log.lines.filter(({ message }) => /the grace of its windows/.test(message));
    assert.equal(said.length, 1);
    const after = await fleetCommand(next, describeVerb, ["describe", "counting", "--live"]);
    assert.doesNotMatch(after.out.join("\n"), /changed/);
    await view(fleet, lateAt);
    await fleet.drained();
    await fleet.during(worker.stop());
    // Also once more workers have begun with the new grace.
    await joined(fleet, windowOf(60));
    await view(fleet, lateAt);
    await view(fleet, 500, "x");
    await fleet.drained();
    const closed = before.map((row) => row.replace(/ \d+$/, ""));
    const again = seen(fleet).slice(before.length);
    assert.ok(again.length > 0);
    assert.deepEqual(
      again.filter((row) => closed.some((window) => row.startsWith(`${window} `))),
      [],
    );
    assert.equal((await fleet.ledger("main"))["late"], 2);
  });

const joinedFlow = (after: number, grace: number): Pipeline =>
  pipeline("counting", ({ from }) => {
    const other = topic("others", {
      ...{ key: string, value: json<View>(), partitions: 1, owner: "tests" },
      timestamp: (view) => view.at,
    });
    from(input)
      .join("with-other", from(other), () => "both", {
        ...{ before: seconds(0), after: seconds(after), grace: seconds(grace) },
      })
      .to(rows);
  });

test("another span of a join of streams is refused, and another grace is said", async () => {
  const fleet = new Fleet([joinedFlow(5, 1)]);
  const { worker } = await fleet.join();
  await view(fleet, 1);
  await fleet.drained();
  await fleet.during(worker.stop());
  const error: unknown = await fleet
    .join({ plans: [joinedFlow(6, 1).plan()] })
    .catch((thrown: unknown) => thrown);
  assert.ok(error instanceof ConfigErrors);
  assert.match(error.problems[0]?.message ?? "", /5000 ms after is now 0 ms before, 6000 ms after/);
  await fleet.join({ plans: [joinedFlow(5, 2).plan()] });
  assert.ok(fleet.log.lines.some(({ message }) => /the grace of its windows/.test(message)));
});
