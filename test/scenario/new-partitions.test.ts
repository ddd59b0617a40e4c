// B3: a source topic gets more partitions. Running tasks stop; declared with them, a start reads the new ones from their
// beginning. Behind topics between parts time waits for their tasks, and goes on from where it was.
import assert from "node:assert/strict";
import { test } from "node:test";
import {
  json,
  milliseconds,
  pipeline,
  seconds,
  session,
  sliding,
  string,
  topic,
  tumbling,
  type Pipeline,
  type Stream,
} from "#engine";
import { ConfigErrors } from "../../src/engine/core/errors.ts";
import { Fleet, type FleetMember } from "../support/fleet.ts";

interface View {
  readonly at: number;
}
const BEGIN = Date.UTC(2025, 5, 1);
const viewsOf = (partitions: number) =>
  topic("views", {
    ...{
      key: string,
      value: json<View>(),
      partitions,
      owner: "tests",
      idleAfter: "never" as const,
    },
    timestamp: (view: View) => view.at,
  });
const rows = topic("rows", { key: string, value: string, partitions: 1, owner: "tests" });
const late = topic("late", { key: string, value: json<View>(), partitions: 1, owner: "tests" });

const secondsOf = (ms: number): string => String((ms - BEGIN) / 1_000);
type Views = Stream<string, View>;

const windowed = (
  of: Views,
  window: Parameters<ReturnType<Views["groupByKey"]>["windowedBy"]>[0],
) => {
  const counts = of.groupByKey().windowedBy(window).count("count", { emit: "close" });
  counts.late.to(late);
  counts
    .toStream("row", (n, { start, end }) =>
      [start, end]
        .map((date) => secondsOf(date.getTime()))
        .join("-")
        .concat(` ${String(n)}`),
    )
    .to(rows);
};

const grace = milliseconds(0);
const operators: Readonly<Record<string, (of: Views) => void>> = {
  tumbling: (of) => windowed(of, tumbling({ size: seconds(10), grace })),
  session: (of) => windowed(of, session({ gap: seconds(2), grace })),
  sliding: (of) => windowed(of, sliding({ difference: seconds(3), grace })),
  order: (of) =>
    of
      .mapWithState("row", {
        ...{ state: string, order: { grace } },
        map: (_, { at }) => ({ state: secondsOf(at), emit: [secondsOf(at)] }),
      })
      .to(rows),
  timers: (of) =>
    of
      .rekey("each", ({ at }) => String(at), { partitions: 1 })
      .process("row", {
        timers: { soon: "event-time" },
        onRecord: ({ at }, { timers }) => (timers.soon.at(at + 1_000), []),
        onTimer: { soon: ({ due }) => [secondsOf(due)] },
      })
      .to(rows),
  "outer join": (of) => {
    const other = of.rekey("other", () => "k", { partitions: 1 });
    const none = other.filter("none", () => false);
    const how = { before: grace, after: grace, grace };
    const pairs = of.leftJoin(
      "row",
      none,
      (l, r) => `${secondsOf(l.at)}${r === null ? "" : "+"}`,
      how,
    );
    pairs.lateLeft.to(late);
    pairs.to(rows);
  },
};

const flowOf = (partitions: number, follow: (of: Views) => void): Pipeline =>
  pipeline("growing", ({ from }) => {
    follow(from(viewsOf(partitions)).rekey("by-shop", () => "k", { partitions: 1 }));
  });

const view = (fleet: Fleet, partition: number, ...of: readonly number[]): Promise<void> =>
  fleet.sendRecords(
    of.map((second) => {
      const at = BEGIN + second * 1_000;
      const value = Buffer.from(JSON.stringify({ at }));
      const own = { topic: "views", partition, key: Buffer.from("k"), value };
      return { ...own, headers: [], timestamp: at };
    }),
  );
const seen = (fleet: Fleet, of = rows.name): string[] =>
  fleet.kafka.records(of, { committed: true }).map(({ value }) => String(value));

/** Also behind a second topic between parts. */
async function settled(fleet: Fleet): Promise<void> {
  for (let hops = 0; hops < 3; hops++) await fleet.drained();
}

/** The pipeline is stopped, the topic gets another partition, and the pipeline starts as it is declared now. */
async function grown(fleet: Fleet, { worker }: FleetMember, flow: Pipeline): Promise<FleetMember> {
  await fleet.during(worker.stop());
  fleet.kafka.widenTopic("views", 3);
  Object.assign(fleet, { plans: [flow.plan()] });
  return fleet.join();
}

test("B3: a start before the declaration says so is refused", async () => {
  const fleet = new Fleet([flowOf(2, operators["tumbling"] as never)]);
  fleet.kafka.widenTopic("views", 3);
  await assert.rejects(fleet.join(), (error: unknown) => {
    assert.ok(error instanceof ConfigErrors);
    const [problem, ...others] = error.problems;
    assert.deepEqual([problem?.code, others.length], ["MILL_TOPIC_PARTITIONS", 0]);
    return true;
  });
});

// The rows before the new partition is there, and behind that. `isLate`: its record of 4 s.
for (const [name, before, after, isLate] of [
  ["tumbling", ["0-10 4"], ["10-20 4", "20-30 3"], true],
  ["session", ["1-3 2", "8-8 1"], ["11-14 4", "25-27 3"], true],
  ["sliding", ["-2-1 1", "0-3 2", "1.001-4.001 1", "5-8 1"], null, true],
  ["order", ["1", "3", "8"], ["11", "12", "13", "14", "25", "26", "27"], true],
  ["timers", ["2", "4", "9"], ["5", "12", "13", "14", "15", "26", "27", "28"], false],
  ["outer join", ["1", "3", "8"], ["11", "12", "13", "14", "25", "26", "27"], true],
] as const)
  for (const isRestarted of [false, true])
    test(`B3: ${name}: time waits for a new partition${isRestarted ? ", also after one more start" : ""}, and what was closed stays closed`, async () => {
      const follow = operators[name] as (of: Views) => void;
      const fleet = new Fleet([flowOf(2, follow)]);
      const first = await fleet.join();
      await view(fleet, 0, 1, 8, 13);
      await view(fleet, 1, 3, 11);
      await settled(fleet);
      const closed = name === "tumbling" ? ["0-10 3"] : before;
      assert.deepEqual(seen(fleet), closed);
      let member = await grown(fleet, first, flowOf(3, follow));
      await view(fleet, 0, 25, 40);
      await view(fleet, 1, 27, 40);
      await settled(fleet);
      if (isRestarted) {
        await fleet.during(member.worker.stop());
        member = await fleet.join();
        await settled(fleet);
      }
      assert.deepEqual(seen(fleet), closed, "the new partition was not heard of");
      await view(fleet, 2, 4, 12, 14, 26, 40);
      await settled(fleet);
      const found = seen(fleet).slice(closed.length);
      const expected = name === "tumbling" ? ["10-20 4", "20-30 3"] : after;
      if (expected !== null) assert.deepEqual(found, expected);
      else
        assert.ok(
          found.every((row) => !closed.includes(row as never)),
          found.join(),
        );
      const parts = fleet.plans.flatMap((plan) => plan.parts.map((part) => part.name));
      const ledgers = await Array.fromAsync(parts, (part) => fleet.ledger(part));
      const sum = (of: string): number => ledgers.reduce((all, one) => all + (one[of] ?? 0), 0);
      const hasLate = fleet.plans.some(({ topics }) =>
        topics.all.some((one) => one.name === late.name),
      );
      const lates = sum("late") + (hasLate ? seen(fleet, late.name).length : 0);
      assert.deepEqual([sum("behind"), lates], [1, isLate ? 1 : 0]);
      assert.equal((await fleet.ledger("main"))["consumed"], 14);
      await fleet.during(member.worker.stop());
    });

for (const start of ["latest", BEGIN + 900_000] as const)
  test(`B3: a pipeline that began at ${String(start)} reads a new partition from its beginning`, async () => {
    const of = (partitions: number) =>
      pipeline("growing", { start }, ({ from }) => {
        from(viewsOf(partitions))
          .map("row", ({ at }) => secondsOf(at))
          .to(rows);
      });
    const fleet = new Fleet([of(2)]);
    await view(fleet, 0, 1);
    await view(fleet, 1, 2);
    const [first, second] = [await fleet.join(), await fleet.join()];
    await settled(fleet);
    await view(fleet, 1, 950);
    await settled(fleet);
    await fleet.during(second.worker.stop());
    await fleet.during(first.worker.stop());
    fleet.kafka.widenTopic("views", 3);
    await view(fleet, 2, 3, 960);
    Object.assign(fleet, { plans: [of(3).plan()] });
    await fleet.join();
    await settled(fleet);
    assert.deepEqual(seen(fleet).toSorted(), ["3", "950", "960"]);
  });
