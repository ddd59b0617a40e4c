// `state verify` and `state rebuild` of windows, sessions, a join, timers, their order and suppressed counts on real servers: whatever
// somebody has done to a copy is named and mended, also while a worker lives, and every window closes right. `npm run test:long`.
import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { after, before, describe, test } from "node:test";
import { appOf, type App } from "../support/app.ts";
import { damages, type Damage } from "../support/copy-damage.ts";
import { eventually } from "../support/eventually.ts";
import { sharedStack } from "../support/stack.ts";
import type { Owner, WorkerProcess } from "../support/worker-process.ts";

const prefix = `state-t${randomBytes(4).toString("hex")}`;
process.env["TEST_TOPICS"] = prefix;
const { visits } = await import("../support/apps/timed.ts");
const { sizeOf, TimedScene } = await import("../support/timed-scene.ts");
const { assertNamed, jsonLines, TimedState } = await import("../support/timed-state.ts");
const app: App = appOf("timed", { TEST_TOPICS: prefix });

interface Rebuilt {
  readonly store: string;
  readonly madeUpTo: number | null;
  readonly unreadable: readonly { readonly writes: string }[];
}

/** What an entry that cannot be read looks like: its head, or its value behind a good one. */
const unreadable = {
  "its head": (value: Buffer): Buffer => Buffer.concat([Buffer.from([9]), value.subarray(1)]),
  "its value": (value: Buffer): Buffer =>
    Buffer.concat([value.subarray(0, value[0] === 3 ? 17 : 9), Buffer.from("{no such value")]),
} as const;

describe("stores that wait for time", { concurrency: false, timeout: 890_000 }, () => {
  const work: (() => Promise<void>)[] = [];
  const owner: Owner = { after: (one) => void work.unshift(one) };
  let scene: Awaited<ReturnType<typeof TimedScene.open>>;
  let state: InstanceType<typeof TimedState>;
  let worker: WorkerProcess;

  before(async () => {
    scene = await TimedScene.open(owner, app, await sharedStack());
    worker = await scene.worker(owner);
    state = new TimedState(scene);
    owner.after(() => Promise.resolve(state.redis.disconnect()));
    await moved(800n);
  });
  after(async () => {
    for (const one of work) await one();
  });

  /** Traffic flows for so many visits, then rests when live has worked them. */
  async function moved(by: bigint): Promise<void> {
    scene.feeder.resume();
    const end = await scene.figures.end(visits.name);
    await eventually("visits come", async () =>
      (await scene.figures.end(visits.name)) >= end + by ? true : null,
    );
    await scene.feeder.pause();
    await scene.figures.drained();
  }

  const mends: Readonly<Record<string, () => Promise<void>>> = {
    "state rebuild": async () => {
      const dry = await state.command("rebuild", "--dry-run");
      assert.equal(dry.code, 0, dry.err.join("\n"));
      assert.equal(
        dry.out.filter((line) => /would make \S+ anew/.test(line)).length,
        state.copies.length,
      );
      const made = await state.command("rebuild", "--json");
      assert.equal(made.code, 0, made.err.join("\n"));
      assert.ok(jsonLines<Rebuilt>(made).every(({ madeUpTo }) => madeUpTo !== null));
    },
    "state verify --repair": async () => {
      const { code } = await state.verified("--repair");
      assert.equal(code, 0);
    },
  };

  async function namedAndMended(damage: Damage, mend: () => Promise<void>): Promise<void> {
    const damaged = await state.damage(damage);
    const touched = new Set(damaged.map(({ store }) => store));
    const whole = state.stores.filter((store) => !touched.has(store));
    // Sums of all time and what handlers keep are never due.
    assert.deepEqual(whole, damage.ofDue ? ["leaving-views", "visits-of-visitor"] : [], damage.name);
    const { code, found } = await state.verified();
    assertNamed(found, damaged, damage);
    assert.equal(code, damage.isBehind === true ? 0 : 1, damage.name);
    await mend();
    await state.assertSame();
  }

  test("at rest every copy is equal to its changelog, whatever its entries are", async () => {
    await state.assertSame();
  });

  for (const [at, damage] of damages.entries()) {
    // A copy that is only behind is not one that differs.
    const mend =
      at % 2 === 0 || damage.isBehind === true ? "state rebuild" : "state verify --repair";
    test(`${damage.name}: verify names each copy, ${mend} mends it`, async () => {
      await namedAndMended(damage, () => mends[mend]?.() ?? assert.fail("no such mend"));
    });
  }

  test("windows, sessions, pairs, timers and counts close right on the copies that were mended", async (t) => {
    await moved(800n);
    t.diagnostic(`${String(sizeOf(await scene.reached()))} rows exact`);
  });

  test("what a worker notices by itself it mends without anybody, in the midst of traffic", async (t) => {
    const noticed = damages.filter(({ name }) => /^(a due is brought forward|the )/.test(name));
    for (const damage of noticed) {
      scene.feeder.resume();
      await state.damage(damage);
      await moved(200n);
    }
    t.diagnostic(`${String(sizeOf(await scene.reached()))} rows exact`);
    await state.assertSame();
    const metrics = await worker.metrics();
    assert.ok(metrics.sum("millrace_state_copies_discarded_total") > 0, worker.story());
    assert.ok(metrics.sum("millrace_state_repairs_total") > 0, worker.story());
  });

  for (const [what, spoilt] of Object.entries(unreadable))
    test(`an entry of which ${what} cannot be read is shown, and --repair writes the last good one`, async () => {
      assert.deepEqual(await worker.drain(), { code: 0, signal: null }, worker.story());
      const values = what === "its value" ? ["--values"] : [];
      const topics = state.stores.map((store) => `${prefix}-${store}-changelog`);
      const producer = scene.figures.clients.kafka.producer();
      for (const topic of topics) {
        const entries = (await scene.figures.raw(topic)).filter(({ key, value }) => key && value);
        const newest = new Map(entries.map((one) => [String(one.key?.toString("latin1")), one]));
        const { partition, key, value } = [...newest.values()].at(-1) ?? assert.fail(topic);
        const record = { topic, partition, key, headers: [], timestamp: Date.now() };
        await producer.send([{ ...record, value: spoilt(value ?? Buffer.alloc(0)) }]);
      }
      await producer.close();
      for (const argv of [["--dry-run"], ["--repair", "--dry-run"]]) {
        const shown = await state.command("rebuild", "--json", ...values, ...argv);
        assert.equal(shown.code, 1, shown.err.join("\n"));
        const faults = jsonLines<Rebuilt>(shown).filter(({ unreadable: all }) => all.length > 0);
        assert.deepEqual(new Set(faults.map(({ store }) => store)), new Set(state.stores));
        for (const { unreadable: all } of faults)
          assert.deepEqual(
            all.map(({ writes }) => writes),
            ["last-good"],
          );
      }
      const repaired = await state.command("rebuild", "--repair", "--yes", ...values);
      assert.equal(repaired.code, 0, repaired.err.join("\n"));
      await state.assertSame();
      worker = await scene.worker(owner);
      await moved(400n);
      await scene.reached();
      await state.assertSame();
    });

  test("the worker has stopped nowhere", async () => {
    assert.deepEqual(await worker.drain(), { code: 0, signal: null }, worker.story());
  });
});
