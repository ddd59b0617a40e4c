// Values that the code has made lie between two parts while another version is deployed: what is made as the new code makes
// it is read, and nothing else, until its own version has worked it off or an operator says otherwise. Nothing is lost.
import assert from "node:assert/strict";
import { test } from "node:test";
import { json, pipeline, string, topic, type Pipeline, type Topic } from "#engine";
import { drainVerb } from "../../src/cli/drain.ts";
import { resumeVerb } from "../../src/cli/resume.ts";
import { only } from "../support/deploys.ts";
import { Fleet, type FleetMember } from "../support/fleet.ts";
import { fleetCommand } from "../support/fleet-command.ts";
import { redriveAll, statesOf } from "../support/redriving.ts";

interface Sale {
  readonly shop: string;
  readonly n: number;
  readonly note?: string;
}
const sales: Topic<string, Sale> = topic("sales", {
  key: string,
  value: json<Sale>(),
  partitions: 2,
  owner: "tests",
});
const totals: Topic<string, number> = topic("totals", {
  key: string,
  value: json<number>(),
  partitions: 2,
  owner: "tests",
});

type Made = Readonly<Record<string, unknown>>;
const flow = (make: (sale: Sale) => Made, keyOf: (made: never) => string): Pipeline =>
  pipeline("flow", ({ from }) => {
    from(sales)
      .map("made", make)
      .rekey("by-shop", keyOf as (made: Made) => string)
      .groupByKey()
      .sum("total", (made) => made["n"] as number)
      .to(totals);
  });

const old = flow(
  ({ shop, n, note }) => ({ shopId: shop, n, ...(note === undefined ? {} : { note }) }),
  (m: { shopId: string }) => m.shopId,
);
const renamed = flow(
  ({ shop, n }) => ({ shop, n }),
  (m: { shop: string }) => m.shop,
);
/** Other code that makes the same. */
const rewritten = flow(
  (sale) => {
    const { shop: shopId, n, note } = sale;
    return note === undefined ? { shopId, n } : { shopId, n, note };
  },
  (m: { shopId: string }) => m.shopId,
);
const constant = (by: number): Pipeline =>
  by === 1
    ? flow(
        ({ shop, n }) => ({ shop, n: n * 1 }),
        (m: { shop: string }) => m.shop,
      )
    : flow(
        ({ shop, n }) => ({ shop, n: n * 10 }),
        (m: { shop: string }) => m.shop,
      );

const between = "flow-by-shop-repartition";
const three: readonly Sale[] = [
  { shop: "a", n: 1 },
  { shop: "b", n: 2 },
  { shop: "a", n: 3 },
];
const last = (fleet: Fleet): Record<string, number> =>
  Object.fromEntries(
    fleet.kafka
      .records(totals.name, { committed: true })
      .map(({ key, value }) => [String(key), Number(String(value))]),
  );

/** The first version has written three values between its parts, and nobody has read them. */
async function left(version: Pipeline, values = three): Promise<Fleet> {
  const fleet = new Fleet([version]);
  const first = await fleet.join({ plans: [only(version.plan(), "main")] });
  await fleet.send(sales.name, values);
  const lie = (): number => fleet.kafka.records(between, { committed: true }).length;
  await fleet.until("all lie there", () => lie() === values.length);
  await fleet.during(first.worker.stop());
  return fleet;
}

const waits = ({ worker }: FleetMember): string[] =>
  worker
    .health()
    .flatMap((task) => (task.state === "paused" && task.part === "by-shop" ? [task.why] : []));

async function waiting(version: Pipeline): Promise<{ fleet: Fleet; member: FleetMember }> {
  const fleet = await left(old);
  const member = await fleet.join({ plans: [version.plan()] });
  await fleet.until("it waits", () => waits(member).length > 0);
  await fleet.clock.advance(60_000);
  assert.deepEqual([last(fleet), fleet.letters()], [{}, []]);
  return { fleet, member };
}

test("a renamed field: the new version waits, the old one works off what it has made, then the new one goes on", async () => {
  const { fleet, member } = await waiting(renamed);
  const [why = ""] = waits(member);
  assert.match(why, /^.*flow-by-shop-repartition: .*npx millrace resume flow --accept-shapes$/);
  await fleet.during(member.worker.stop());
  const again = await fleet.join({ plans: [old.plan()] });
  await fleet.drained();
  assert.deepEqual(last(fleet), { a: 4, b: 2 });
  await fleet.during(again.worker.stop());
  await fleet.join({ plans: [renamed.plan()] });
  await fleet.send(sales.name, [{ shop: "a", n: 5 }]);
  await fleet.drained();
  assert.deepEqual([last(fleet), fleet.letters()], [{ a: 9, b: 2 }, []]);
  assert.deepEqual(await fleet.ledger("by-shop"), { consumed: 4, emitted: 4 });
});

test("a renamed field: when the new version has written, it names what differs", async () => {
  const { fleet, member } = await waiting(renamed);
  await fleet.send(sales.name, [{ shop: "a", n: 5 }]);
  await fleet.until("it compares", () => waits(member).some((why) => why.includes("shopId")));
  assert.match(
    waits(member).join(),
    /shopId is not among what this version writes, it has no shop/,
  );
  assert.deepEqual(fleet.letters(), []);
});

test("the old version waits in the same way in front of what the new one has made", async () => {
  const fleet = await left(renamed);
  const member = await fleet.join({ plans: [old.plan()] });
  await fleet.until("it waits", () => waits(member).length > 0);
  await fleet.send(sales.name, [{ shop: "a", n: 5 }]);
  await fleet.clock.advance(60_000);
  assert.deepEqual([last(fleet), fleet.letters()], [{}, []]);
});

test("drained before the deploy, nothing lies there that the new version would have to understand", async () => {
  const fleet = new Fleet([old]);
  const first = await fleet.join();
  await fleet.send(sales.name, three);
  const drained = await fleetCommand(fleet, drainVerb, ["drain", "flow"]);
  assert.equal(drained.code, 0, drained.out.join());
  await fleet.send(sales.name, [{ shop: "b", n: 7 }]);
  await fleet.clock.advance(20_000);
  assert.deepEqual(last(fleet), { a: 4, b: 2 });
  await fleet.during(first.worker.stop());
  await fleet.join({ plans: [renamed.plan()] });
  assert.equal((await fleetCommand(fleet, resumeVerb, ["resume", "flow"])).code, 0);
  await fleet.drained();
  assert.deepEqual([last(fleet), fleet.letters()], [{ a: 4, b: 9 }, []]);
});

test("both versions in one group: each reads what it may, and nothing is lost", async () => {
  const fleet = new Fleet([old]);
  const one = await fleet.join({ plans: [old.plan()] });
  const two = await fleet.join({ plans: [renamed.plan()] });
  for (let i = 0; i < 6; i++) {
    await fleet.send(sales.name, three, i % 2);
    await fleet.clock.advance(2_000);
  }
  await fleet.during(two.worker.stop());
  await fleet.clock.advance(20_000);
  await fleet.during(one.worker.stop());
  assert.deepEqual(fleet.letters(), []);
  // Turn by turn: what either has made is worked off by itself.
  for (let turn = 0; turn < 16; turn++) {
    const member = await fleet.join({ plans: [(turn % 2 === 0 ? renamed : old).plan()] });
    await fleet.clock.advance(20_000);
    await fleet.during(member.worker.stop());
  }
  assert.deepEqual(last(fleet), { a: 24, b: 12 });
  assert.deepEqual(fleet.letters(), []);
  assert.equal((await fleet.ledger("by-shop"))["null-key"], undefined);
});

test("another number in the code changes nothing: what lies there is read at once", async () => {
  const fleet = await left(constant(1));
  await fleet.join({ plans: [constant(10).plan()] });
  await fleet.drained();
  assert.deepEqual(last(fleet), { a: 4, b: 2 });
});

test("other code that makes the same reads on as soon as it has written one value to compare", async () => {
  const { fleet } = await waiting(rewritten);
  await fleet.send(sales.name, [{ shop: "b", n: 5 }]);
  await fleet.drained();
  assert.deepEqual([last(fleet), fleet.letters()], [{ a: 4, b: 7 }, []]);
});

test("fields that may be missing: examples with and without are waited for", async () => {
  const fleet = await left(old, [{ shop: "a", n: 1, note: "x" }, ...three]);
  const member = await fleet.join({ plans: [rewritten.plan()] });
  await fleet.send(sales.name, [{ shop: "b", n: 5 }]);
  await fleet.until("it waits", () => waits(member).some((why) => why.includes("note")));
  await fleet.send(sales.name, [{ shop: "b", n: 6, note: "y" }]);
  await fleet.drained();
  assert.deepEqual(last(fleet), { a: 5, b: 13 });
});

test("a restart of the same code reads on without having written", async () => {
  const fleet = await left(old);
  await fleet.join();
  await fleet.drained();
  assert.deepEqual(last(fleet), { a: 4, b: 2 });
});

test("an operator lets the new version read what lies there", async () => {
  const version = flow(
    ({ shop, n }) => ({ shop, n, by: "x" }),
    (m: { shop?: string; shopId?: string }) => m.shop ?? m.shopId ?? "none",
  );
  const { fleet } = await waiting(version);
  const dry = await accept(fleet, version, "--dry-run");
  assert.match(
    dry.out.join("\n"),
    /flow-by-shop-repartition: \d structures of other code may be read/,
  );
  await fleet.clock.advance(10_000);
  assert.deepEqual(last(fleet), {});
  await accept(fleet, version);
  await fleet.drained();
  assert.deepEqual(last(fleet), { a: 4, b: 2 });
});

const accept = (fleet: Fleet, version: Pipeline, ...argv: readonly string[]) => {
  const own = Object.create(fleet, { plans: { value: [version.plan()] } }) as Fleet;
  return fleetCommand(own, resumeVerb, ["resume", "flow", "--accept-shapes", ...argv]);
};

test("a letter of the earlier version that is sent back holds up nobody, and stays a letter", async () => {
  const strict = pipeline("flow", { haltWhen: "never" }, ({ from }) => {
    from(sales)
      .map("made", ({ shop, n }) => ({ shopId: shop, n }))
      .rekey("by-shop", (m) => m.shopId)
      .expect("small", ({ n }) => n < 3, { otherwise: "dead-letter" })
      .groupByKey()
      .sum("total", (made) => made.n)
      .to(totals);
  });
  const fleet = new Fleet([strict]);
  const first = await fleet.join();
  await fleet.send(sales.name, three);
  await fleet.drained();
  assert.equal(fleet.letters().length, 1);
  await fleet.during(first.worker.stop());
  const member = await fleet.join({ plans: [renamed.plan()] });
  await redriveAll(fleet);
  await fleet.send(sales.name, [{ shop: "a", n: 5 }]);
  await fleet.drained();
  assert.deepEqual(waits(member), []);
  const states = [...statesOf(fleet).values()].map(({ state, outcome }) => [state, outcome]);
  assert.deepEqual(states, [["open", "MILL_DECODE_SHAPE"]]);
  assert.deepEqual(last(fleet), { a: 6, b: 2 });
});

test("a letter that is sent back to a worker that has written nothing yet is read by the notes of the same code", async () => {
  const below = (most: number): Pipeline =>
    pipeline("flow", { haltWhen: "never" }, ({ from }) => {
      const made = from(sales)
        .map("made", ({ shop, n }) => ({ shopId: shop, n }))
        .rekey("by-shop", (m) => m.shopId);
      made
        .expect("small", ({ n }) => n < most, { otherwise: "dead-letter" })
        .groupByKey()
        .sum("total", ({ n }) => n)
        .to(totals);
    });
  const fleet = new Fleet([below(3)]);
  const first = await fleet.join();
  await fleet.send(sales.name, three);
  await fleet.drained();
  assert.equal(fleet.letters().length, 1);
  await fleet.during(first.worker.stop());
  await fleet.join({ plans: [below(30).plan()] });
  await redriveAll(fleet);
  await fleet.drained();
  assert.deepEqual(
    [...statesOf(fleet).values()].map(({ state }) => state),
    ["resolved"],
  );
  assert.deepEqual(last(fleet), { a: 4, b: 2 });
});
