// A run over [a, b) beside the live pipeline, in memory and in virtual time: its workers die at any moment, records come
// behind its end meanwhile, and what it makes equals what the live pipeline has made of the same records.
import assert from "node:assert/strict";
import { test } from "node:test";
import { avro, json, pipeline, postgresTable, string, topic, type Pipeline } from "#engine";
import type { Plan, PlanTable } from "../../src/engine/core/plan.ts";
import { progressOfRun } from "../../src/engine/reprocess/control/run-progress.ts";
import { pinRange } from "../../src/engine/reprocess/plan/pin.ts";
import { shadowOf } from "../../src/engine/reprocess/plan/shadow.ts";
import { RunBounds } from "../../src/engine/reprocess/run/bounds.ts";
import { FOLLOWING, type RunRange } from "../../src/engine/reprocess/words/run.ts";
import { seededRandom } from "../../src/engine/testing/doubles/seeded-random.ts";
import { Fleet, type FleetMember } from "../support/fleet.ts";

interface Sale {
  readonly shop: string;
  readonly n: number;
}
interface Seen extends Sale {
  readonly rate: number;
}
interface Total {
  readonly shop: string;
  readonly total: number;
}

const shape = { key: string, partitions: 2, owner: "tests" };
const sales = topic("sales", { ...shape, value: json<Sale>() });
const rates = topic("rates", { ...shape, value: json<Sale>() });
const priced = topic("priced", { ...shape, value: json<Seen>() });
const fields = [
  { name: "shop", type: "string" },
  { name: "total", type: "int" },
];
const totals = postgresTable<Total>("totals", {
  row: avro({ type: "record", name: "Total", namespace: "t", fields }),
  key: ["shop"],
});

/** Each sale with the rate that held at its time: right only if both topics are read in the order of time. */
const pricing: Pipeline = pipeline("pricing", { state: "memory" }, ({ from }) => {
  from(sales)
    .expect("positive", ({ n }) => n >= 0, { otherwise: "dead-letter" })
    .map("sale", (sale) => ({ ...sale, kind: "sale" as const }))
    .merge(
      "with-rates",
      from(rates).map("rate", (rate) => ({ ...rate, kind: "rate" as const })),
    )
    .mapWithState("rated", {
      state: json<{ rate: number }>(),
      map: (state: { rate: number } | null, { shop, n, kind }) =>
        kind === "rate"
          ? { state: { rate: n }, emit: [] }
          : { state: state ?? { rate: 0 }, emit: [{ shop, n, rate: state?.rate ?? 0 }] },
    })
    .to(priced);
  from(priced)
    .groupBy("by-shop", ({ shop }) => shop)
    .sum("total", ({ n, rate }) => n * rate)
    .map("row", (total, { key }) => ({ shop: key, total }))
    .upsertInto(totals);
});

const asPipeline = (plan: Plan): Pipeline => ({
  kind: "pipeline",
  name: plan.pipeline,
  plan: () => plan,
});
const SHOPS = 3;

class Rerun {
  readonly fleet: Fleet;
  readonly live: Plan;
  readonly shadow: Plan;
  readonly #random: ReturnType<typeof seededRandom>;
  readonly #members: FleetMember[] = [];
  readonly #expected = new Map<string, number>();
  readonly #rates = new Map<string, number>();
  letters = 0;
  #time = 1_000_000;
  range: RunRange = { places: [], own: [], pins: {} };
  readonly options = {};
  bounds: RunBounds;

  constructor(seed: number) {
    this.#random = seededRandom(seed);
    this.live = pricing.plan();
    const how = { run: 1, target: "shadow", staged: [], pins: new Map() } as const;
    this.shadow = shadowOf(this.live, how);
    this.fleet = new Fleet([pricing, asPipeline(this.shadow)]);
    this.bounds = new RunBounds(this.shadow, {
      range: this.range,
      state: "running",
      step: "range",
      options: this.options,
    });
  }

  #whole(below: number): number {
    return Math.floor(this.#random.next() * below);
  }

  /** Sales and rates, mixed; the oracle sees them in the order of time. */
  async send(count: number): Promise<void> {
    const records = Array.from({ length: count }, () => {
      const shop = `s${String(this.#whole(SHOPS))}`;
      const isRate = this.#random.next() < 0.3;
      const n = this.#whole(10) - (isRate ? 0 : 1);
      // Every record has a time of its own: of two at the same time nobody knows which is first.
      const timestamp = (this.#time += 1 + this.#whole(5));
      if (isRate) this.#rates.set(shop, n);
      else if (n < 0) this.letters++;
      else this.#add(shop, n * (this.#rates.get(shop) ?? 0));
      return {
        topic: isRate ? rates.name : sales.name,
        partition: Number(shop.slice(1)) % 2,
        key: Buffer.from(shop),
        value: Buffer.from(JSON.stringify({ shop, n })),
        headers: [],
        timestamp,
      };
    });
    await this.fleet.sendRecords(records);
  }

  #add(shop: string, by: number): void {
    this.#expected.set(shop, (this.#expected.get(shop) ?? 0) + by);
  }

  get expected(): Total[] {
    return [...this.#expected]
      .map(([shop, total]) => ({ shop, total }))
      .sort((a, b) => (a.shop < b.shop ? -1 : 1));
  }

  get made(): Total[] {
    return this.fleet.tables.rows(
      this.shadow.tables[0]?.declaration as typeof totals,
    ) as unknown as Total[];
  }

  get #ports() {
    const kafka = this.fleet.kafka.port();
    const tableStore = ({ declaration }: PlanTable) =>
      this.fleet.tables.store(declaration as typeof totals);
    return { kafka, admin: kafka.admin(), tableStore };
  }

  async pin(): Promise<void> {
    const request = {
      from: { kind: "earliest" },
      to: { kind: "latest" },
      fromOffsets: [],
      toOffsets: [],
      marginMs: 0,
    } as const;
    const pinned = await this.fleet.during(
      pinRange(this.live, { request, staged: [] }, this.#ports),
    );
    this.range = pinned.range;
    this.set("range");
  }

  set(step: string): void {
    this.bounds.set({ range: this.range, state: "running", step });
  }

  async join(): Promise<void> {
    this.#members.push(
      await this.fleet.join({ plans: [this.shadow], ports: { bounds: this.bounds } }),
    );
  }

  /** The controller's look, without its clock: whether the run is done. */
  async look(): Promise<boolean> {
    const standing = await this.fleet.during(progressOfRun(this.shadow, this, this.#ports));
    this.range = { ...this.range, own: standing.own };
    this.set("range");
    return standing.isDone;
  }

  async done(): Promise<void> {
    for (let spent = 0; spent < 600; spent++) {
      await this.fleet.clock.advance(1_000);
      if (await this.look()) return;
    }
    const standing = await this.fleet.during(progressOfRun(this.shadow, this, this.#ports));
    assert.fail(
      `the run is never done: ${JSON.stringify(standing, (_, v) => (typeof v === "bigint" ? String(v) : v))} ${JSON.stringify(this.#members.map((m) => m.worker.health()))}`,
    );
  }

  /** One worker dies somewhere in its work, and another comes. */
  async crash(): Promise<void> {
    await this.fleet.clock.advance(this.#whole(3_000));
    const [member] = this.#members.splice(this.#whole(this.#members.length), 1);
    if (member !== undefined) this.fleet.kafka.crash(member.port);
    await this.look();
    await this.join();
  }

  async positions(): Promise<readonly (readonly [string, bigint | null])[]> {
    const { progress } = await this.fleet.during(progressOfRun(this.shadow, this, this.#ports));
    return this.range.places.map(({ part, topic: name, partition }) => {
      const task = progress.find(
        (one) => one.part === part && one.topic === name && one.partition === partition,
      );
      return [`${name}-${String(partition)}`, task?.nextOffset ?? null] as const;
    });
  }

  get ends(): readonly (readonly [string, bigint])[] {
    return this.range.places.map(
      ({ topic: name, partition, to }) => [`${name}-${String(partition)}`, to] as const,
    );
  }
}

test("a run makes what the records of its range say, in the order of their times, whatever dies in it", async () => {
  for (let seed = 1; seed <= 12; seed++) {
    const run = new Rerun(seed);
    await run.send(200);
    await run.pin();
    const [expected, letters] = [run.expected, run.letters];
    await run.join();
    await run.join();
    for (let crashes = 0; crashes < 3; crashes++) {
      await run.crash();
      // Behind the end: not of this run.
      await run.send(20);
    }
    await run.done();
    assert.deepEqual(run.made, expected, `seed ${String(seed)}`);
    assert.deepEqual(await run.positions(), run.ends, `seed ${String(seed)}`);
    const { records } = run.fleet.kafka as unknown as {
      records: (topic: string, o: object) => unknown[];
    };
    const dead = records.call(run.fleet.kafka, run.shadow.deadLetters, { committed: true });
    assert.equal(dead.length, letters, `seed ${String(seed)}`);
  }
});

test("the live pipeline is not touched by a run beside it", async () => {
  const run = new Rerun(99);
  await run.send(100);
  const live = await run.fleet.join({ plans: [run.live] });
  await run.pin();
  await run.join();
  await run.done();
  await run.fleet.until("live is through", () => run.fleet.tables.rows(totals).length > 0);
  await run.fleet.clock.advance(10_000);
  const groups = new Set(run.live.parts.map(({ group }) => group));
  const progress = await run.fleet.progress();
  const own = progress.filter(({ pipeline: name }) => name === "pricing");
  assert.ok(own.every(({ nextOffset }) => nextOffset !== null));
  assert.ok(run.shadow.parts.every(({ group }) => !groups.has(group)));
  assert.ok(live.worker.health().every(({ state }) => state === "running"));
});

test("ends that are moved along later are followed exactly", async () => {
  const run = new Rerun(7);
  await run.send(100);
  await run.pin();
  await run.join();
  await run.done();
  for (let step = 0; step < 3; step++) {
    await run.send(30);
    const { range } = run;
    const from = range;
    await run.pin();
    run.range = { ...from, places: run.range.places, own: [] };
    run.set(FOLLOWING);
    await run.crash();
    run.set(FOLLOWING);
    await run.fleet.clock.advance(20_000);
    assert.deepEqual(await run.positions(), run.ends);
  }
});
