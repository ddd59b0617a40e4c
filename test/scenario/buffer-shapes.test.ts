// Records that wait in a store, of a join, an order or a window, while another version is deployed: a value that no step has changed is
// read by the new version's schema; of what the code has made nothing is read that it may not fit, and nothing is lost.
import assert from "node:assert/strict";
import { test } from "node:test";
import {
  json,
  pipeline,
  seconds,
  string,
  topic,
  tumbling,
  type Pipeline,
  type Topic,
} from "#engine";
import { resumeVerb } from "../../src/cli/resume.ts";
import { shadowOf } from "../../src/engine/reprocess/plan/shadow.ts";
import { Fleet, type FleetMember } from "../support/fleet.ts";
import { fleetCommand } from "../support/fleet-command.ts";

interface Fed {
  readonly at: number;
  readonly id: string;
}
type Made = Readonly<Record<string, unknown>>;

const fed = (name: string): Topic<string, Fed> =>
  topic(name, {
    ...{ key: string, value: json<Fed>(), partitions: 1, owner: "tests", idleAfter: "never" },
    timestamp: (value) => value.at,
  });
const [orders, payments] = [fed("orders"), fed("payments")];
const out: Topic<string, string> = topic("words", {
  ...{ key: string, value: json<string>(), partitions: 1, owner: "tests" },
});
const span = { before: seconds(5), after: seconds(5), grace: seconds(5) };
const order = { grace: seconds(5) };

/** Left records are made by the code, right ones are as they came. */
const joining = (make: (one: Fed) => Made): Pipeline =>
  pipeline("flow", { state: "memory" }, ({ from }) => {
    from(orders)
      .map("made", make)
      .join("pairs", from(payments), (left, right) => `${JSON.stringify(left)}&${right.id}`, span)
      .to(out);
  });
const ordering = (make: (one: Fed) => Made): Pipeline =>
  pipeline("flow", { state: "memory" }, ({ from }) => {
    from(payments)
      .merge("both", from(orders))
      .map("made", make)
      .mapWithState("word", {
        ...{ state: string, order },
        map: (_word, one) => ({ state: "", emit: [JSON.stringify(one)] }),
      })
      .to(out);
  });
/** Records of two topics come in no order, so the window keeps them. */
const windowing = (make: (one: Fed) => Made): Pipeline =>
  pipeline("flow", { state: "memory" }, ({ from }) => {
    from(payments)
      .merge("both", from(orders))
      .map("made", make)
      .groupByKey()
      .windowedBy(tumbling({ size: seconds(10), grace: seconds(5) }))
      .reduce("last", (_first, one) => one, { emit: "close" })
      .toStream("text", (one) => JSON.stringify(one))
      .to(out);
  });

const old = (one: Fed): Made => ({ orderId: one.id });
/** Other code that makes the same. */
const rewritten = ({ id: orderId }: Fed): Made => {
  const made = { orderId };
  return made;
};
const renamed = (one: Fed): Made => ({ order: one.id });

const kinds: Readonly<Record<string, (make: (one: Fed) => Made) => Pipeline>> = {
  "a join": joining,
  "an order": ordering,
  "a window": windowing,
};
const BEGIN = Date.UTC(2025, 5, 1);
const feed = (fleet: Fleet, to: Topic<string, Fed>, second: number, id: string): Promise<void> =>
  fleet.send(to.name, [{ at: BEGIN + second * 1_000, id }]);
const words = (fleet: Fleet): string[] =>
  fleet
    .values(out)
    .map((one) => String(one))
    .sort();
/** Why tasks wait. */
const waits = ({ worker }: FleetMember): readonly string[] =>
  worker.health().flatMap((task) => (task.state === "paused" ? [task.why] : []));
const accept = (fleet: Fleet, version: Pipeline) => {
  const own = Object.create(fleet, { plans: { value: [version.plan()] } }) as Fleet;
  return fleetCommand(own, resumeVerb, ["resume", "flow", "--accept-shapes"]);
};

/** A record of the first version waits, and its worker has left. */
async function waiting(version: Pipeline): Promise<Fleet> {
  const fleet = new Fleet([version]);
  const first = await fleet.join();
  await feed(fleet, orders, 1, "o1");
  await fleet.drained();
  await fleet.during(first.worker.stop());
  return fleet;
}

/** What waits is needed for these records of the version that runs. */
async function needed(fleet: Fleet, kind: string): Promise<void> {
  const isJoin = kind === "a join";
  await feed(fleet, orders, isJoin ? 2 : 50, "o2");
  // Another window than that of the order.
  await feed(fleet, payments, isJoin ? 2 : 70, "p2");
}
/** What comes of it, when the second order was made by this version. */
const wanted = (kind: string, second: string): readonly string[] =>
  kind === "a join"
    ? ['{"orderId":"o1"}&p2', `{"${second}":"o2"}&p2`].sort()
    : ['{"orderId":"o1"}'];

for (const [kind, version] of Object.entries(kinds)) {
  for (const [which, make] of Object.entries({
    "a worker of the same version that starts later": old,
    "other code that makes the same": rewritten,
  }))
    test(`what waits in ${kind} is read by ${which}`, async () => {
      const fleet = await waiting(version(old));
      await fleet.join({ plans: [version(make).plan()] });
      await needed(fleet, kind);
      const want = wanted(kind, "orderId");
      await fleet.until("all are there", () => words(fleet).length === want.length);
      assert.deepEqual(words(fleet), want);
      assert.deepEqual(fleet.letters(), []);
    });

  test(`what other code has made waits in ${kind}: the task says why, and its own version works it off`, async () => {
    const fleet = await waiting(version(old));
    const member = await fleet.join({ plans: [version(renamed).plan()] });
    await needed(fleet, kind);
    await fleet.until("it waits", () => waits(member).length > 0);
    const [why = ""] = waits(member);
    assert.match(why, /orderId is not among what this version writes/);
    assert.match(why, /npx millrace resume flow --accept-shapes/);
    await fleet.clock.advance(30_000);
    assert.deepEqual([words(fleet), fleet.letters()], [[], []]);
    await fleet.during(member.worker.stop());
    await fleet.join({ plans: [version(old).plan()] });
    const want = wanted(kind, "orderId");
    await fleet.until("all are there", () => words(fleet).length === want.length);
    assert.deepEqual(words(fleet), want);
    assert.deepEqual(fleet.letters(), []);
  });

  test(`an operator lets the new code read what waits in ${kind}`, async () => {
    const fleet = await waiting(version(old));
    const next = version(renamed);
    const member = await fleet.join({ plans: [next.plan()] });
    await needed(fleet, kind);
    await fleet.until("it waits", () => waits(member).length > 0);
    assert.equal((await accept(fleet, next)).code, 0);
    const want = wanted(kind, "order");
    await fleet.until("all are there", () => words(fleet).length === want.length);
    assert.deepEqual(words(fleet), want);
    assert.deepEqual(fleet.letters(), []);
  });
}

test("a run notes structures of what a join keeps under the names that live has", () => {
  const plan = joining(old).plan();
  const none = { run: 3, target: "shadow", staged: [], pins: new Map() } as const;
  for (const one of [plan, shadowOf(plan, none)]) {
    const formats = one.parts.flatMap(({ stores }) =>
      stores.map(({ changelog }) => changelog.value),
    );
    const names = formats.flatMap((format) =>
      format.kind === "join-buffer" ? format.sides.map(({ shapes }) => shapes) : [],
    );
    assert.deepEqual(names, ["pairs-left", "pairs-right"]);
  }
});
