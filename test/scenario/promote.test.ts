// A promotion and its undo in virtual time, with live traffic: exact whatever dies at whatever moment.
import assert from "node:assert/strict";
import { test } from "node:test";
import { promoteSteps, undoSteps } from "../../src/engine/reprocess/words/steps.ts";
import { WorkerSwitch } from "../../src/engine/testing/doubles/worker-switch.ts";
import { PromoteScene } from "../support/promoting.ts";
import { operatorOf, redriveBy, stateCounts } from "../support/redriving.ts";

async function scene(bonus = 0): Promise<PromoteScene> {
  const made = new PromoteScene(bonus);
  await made.send(20);
  await made.joinLive();
  await made.startRun();
  await made.fleet.clock.advance(3_000);
  made.flow();
  return made;
}

/** Traffic ends, and everything is as if nothing had happened. */
async function isExact(here: PromoteScene): Promise<void> {
  await here.fleet.clock.advance(3_000);
  here.end();
  await here.atRest();
}

test("live goes on in the run's tables and stores, each record once, and back again", async () => {
  const here = await scene();
  await here.fleet.during(here.promote());
  assert.equal(here.runs.row.state, "promoted");
  await here.fleet.clock.advance(5_000);
  await here.fleet.during(here.undo());
  assert.equal(here.runs.row.state, "undone");
  await isExact(here);
});

test("with another rule, live goes on from the run's stores, and from its own after an undo", async () => {
  const here = await scene(5);
  await here.fleet.during(here.promote());
  await here.fleet.clock.advance(3_000);
  const { made } = here;
  await isExact(here);
  assert.notDeepEqual(made, here.made);
  here.flow();
  await here.fleet.during(here.undo());
  await isExact(here);
});

test("what the run has refused too is a letter still, before and behind an undo", async () => {
  const here = await scene();
  await here.spoil(3);
  await here.fleet.clock.advance(3_000);
  assert.equal(await here.openLetters(), 6);
  await here.fleet.during(here.promote());
  assert.equal(await here.openLetters(), 6);
  await here.spoil(2);
  await here.fleet.clock.advance(3_000);
  assert.equal(await here.openLetters(), 10);
  await here.fleet.during(here.undo());
  // Records that failed since the promotion are read again: their letters belong to its line.
  assert.equal(await here.openLetters(), 6);
  await isExact(here);
  assert.equal(await here.openLetters(), 10);
});

/** Letters come when what is owed is slow to be read: of live's tables, or of the run's. */
async function owing(isSlow: (table: string) => boolean): Promise<PromoteScene> {
  const here = new PromoteScene();
  const { fleet } = here;
  fleet.wrapStore = (store, { name }) => ({
    ...store,
    pendingLetters: async (task, most) => {
      const owed = await store.pendingLetters(task, most);
      if (owed.length > 0 && isSlow(name)) await fleet.clock.sleep(3_000);
      return owed;
    },
  });
  await here.send(20);
  await here.joinLive();
  await here.startRun();
  fleet.wrapStore = (store) => store;
  await fleet.clock.advance(3_000);
  await here.spoil(3);
  return here;
}

test("letters that the run's tables still owe when its workers leave come along", async () => {
  const here = await owing((name) => name.endsWith("_r7"));
  await here.fleet.during(here.promote());
  assert.equal(await here.openLetters(), 6);
  await isExact(here);
});

test("letters that live's tables still owe when it is stopped are sent before the run goes on", async () => {
  const here = await owing((name) => !name.endsWith("_r7"));
  const written = new Map<string, number>();
  const { deadLetters } = here.live;
  here.runs.onStep = (step) =>
    void written.set(step, here.fleet.kafka.records(deadLetters, { committed: true }).length);
  await here.fleet.during(here.promote());
  assert.equal(written.get("catching-up"), 6);
  await isExact(here);
});

test("a redrive that is at work ends when live is stopped, and brings nothing back behind the promotion", async () => {
  const here = await scene();
  await here.spoil(10);
  await here.fleet.clock.advance(3_000);
  const work = redriveBy(operatorOf(here.fleet), here.fleet, { ratePerS: 2 });
  const ended = assert.rejects(work, { code: "MILL_KAFKA_FENCED" });
  await here.fleet.clock.advance(2_000);
  await here.fleet.during(here.promote());
  await ended;
  // The run has refused them all, so each is a letter still, also those that came back and failed once more.
  assert.equal(await here.openLetters(), 20);
  const { redrive } = here.live;
  const sent = here.fleet.kafka.records(redrive, { committed: true }).length;
  assert.ok(sent > 0 && sent < 20, String(sent));
  assert.deepEqual(stateCounts(here.fleet), { open: sent });
  await isExact(here);
});

/** The last value of each key. */
const lastOf = (values: readonly { id: string; total: number }[]): Record<string, number> =>
  Object.fromEntries(values.map(({ id, total }) => [id, total]));

for (const isCorrected of [false, true])
  test(`output topics keep what live wrote${isCorrected ? ", and get what differs" : ""}`, async () => {
    const here = await scene(5);
    here.pause();
    await here.fleet.clock.advance(5_000);
    const before = here.output;
    here.corrections = isCorrected;
    await here.fleet.during(here.promote());
    await here.fleet.clock.advance(5_000);
    const totals = lastOf(here.expected.totals);
    assert.notEqual(totals["k1"], lastOf(before)["k1"]);
    assert.deepEqual(here.output.slice(0, before.length), before);
    assert.equal(here.output.length - before.length, isCorrected ? 1 : 0);
    assert.deepEqual(lastOf(here.output), isCorrected ? totals : lastOf(before));
    here.flow();
    await isExact(here);
  });

test("corrections that are killed half-way are not doubled", async () => {
  for (const request of ["init", "send", "commit"]) {
    const here = await scene(5);
    here.pause();
    await here.fleet.clock.advance(5_000);
    const { length } = here.output;
    here.corrections = true;
    const isKilled = await killed(here, "promote", (life) => {
      here.fleet.watcher = (call) => {
        const isThere = here.runs.row.step === "correcting" && call.request === request;
        if (call.worker === life && isThere) return { taken: () => life.crash() };
        return undefined;
      };
    });
    assert.ok(isKilled, request);
    await goOn(here, "promote");
    assert.equal(here.output.length - length, 1, request);
    here.flow();
    await isExact(here);
  }
});

/** Until the row is in the state, by as many processes as it takes. */
async function goOn(here: PromoteScene, work: "promote" | "undo"): Promise<void> {
  const wanted = work === "promote" ? "promoted" : "undone";
  for (let i = 0; here.runs.row.state !== wanted; i++) {
    assert.ok(i < 3, here.said.join("\n"));
    await here.fleet.during(here[work]());
  }
}

/** A process that dies where `where` says so; the next one goes on. */
async function killed(
  here: PromoteScene,
  work: "promote" | "undo",
  where: (life: WorkerSwitch) => void,
): Promise<boolean> {
  const life = new WorkerSwitch();
  where(life);
  let isOver = false;
  const over = (): void => void (isOver = true);
  here[work](life).then(over, over);
  await here.fleet.clock.advanceUntil(() => isOver || life.state === "crashed", 120_000);
  // What it had on its way arrives.
  await here.fleet.clock.advance(2_000);
  return life.state === "crashed";
}

for (const step of promoteSteps.filter((one) => one !== "correcting"))
  test(`killed when "${step}" stands in the row, it is gone on with`, async () => {
    const here = await scene();
    const isKilled = await killed(here, "promote", (life) => {
      here.runs.onStep = (now) => (now === step ? life.crash() : undefined);
    });
    assert.ok(isKilled);
    assert.equal(here.runs.row.step, step);
    await goOn(here, "promote");
    await isExact(here);
  });

for (const step of undoSteps)
  test(`an undo that is killed when "${step}" stands in the row is gone on with`, async () => {
    const here = await scene();
    await here.fleet.during(here.promote());
    await here.fleet.clock.advance(3_000);
    const isKilled = await killed(here, "undo", (life) => {
      here.runs.onStep = (now) => (now === step ? life.crash() : undefined);
    });
    assert.ok(isKilled);
    assert.equal(here.runs.row.step, step);
    await goOn(here, "undo");
    await isExact(here);
  });

/** Counts what a process asks of Kafka, and ends it at the n-th request. */
const atRequest =
  (here: PromoteScene, n: number) =>
  (life: WorkerSwitch): void => {
    let count = 0;
    here.fleet.watcher = ({ worker }) => {
      if (worker === life && ++count === n) life.crash();
      return undefined;
    };
  };

const EVERY = Number(process.env["PROMOTE_EVERY"] ?? 7);

test("killed at any of its requests, it is gone on with", async (t) => {
  let n = 1;
  for (; ; n += EVERY) {
    const here = await scene();
    if (!(await killed(here, "promote", atRequest(here, n)))) break;
    await goOn(here, "promote");
    await isExact(here);
  }
  t.diagnostic(`${String(n)} requests`);
  assert.ok(n > 30, "it asks more of Kafka than that");
});

test("an undo that is killed at any of its requests is gone on with", async () => {
  for (let n = 1; ; n += EVERY) {
    const here = await scene();
    await here.fleet.during(here.promote());
    await here.fleet.clock.advance(2_000);
    if (!(await killed(here, "undo", atRequest(here, n)))) return;
    await goOn(here, "undo");
    await isExact(here);
  }
});

for (const step of ["draining", "closing", "catching-up", "stopping", "swapping"])
  test(`killed at "${step}" and aborted, live goes on as it was`, async () => {
    const here = await scene();
    await killed(here, "promote", (life) => {
      here.runs.onStep = (now) => (now === step ? life.crash() : undefined);
    });
    await here.fleet.during(here.abort());
    assert.equal(here.runs.row.state, "running");
    await isExact(here);
  });

test("what is swapped is not aborted", async () => {
  const here = await scene();
  await killed(here, "promote", (life) => {
    here.runs.onStep = (now) => (now === "swapped" ? life.crash() : undefined);
  });
  await assert.rejects(here.fleet.during(here.abort()), { code: "MILL_RUN_STATE" });
  await goOn(here, "promote");
  await isExact(here);
});

test("a live worker that is frozen through all of it commits nothing when it wakes, and obeys", async () => {
  const here = await scene();
  const frozen = await here.joinLive();
  await here.fleet.clock.advance(5_000);
  here.fleet.kafka.freeze(frozen.port);
  // Its session ends first, and its partitions are worked off by the other one.
  await here.fleet.during(here.promote());
  const before = (await here.fleet.progress()).length;
  here.fleet.kafka.thaw(frozen.port);
  await here.fleet.clock.advance(20_000);
  assert.equal((await here.fleet.progress()).length, before);
  await isExact(here);
  assert.ok(frozen.worker.isJoined);
});
