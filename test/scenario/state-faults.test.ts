// State when something goes wrong at an exact moment: a worker dies, a copy of state is lost, put back or away, a marker or
// a zombie's write comes late. Whatever it is, what comes out is what a naive second program says.
import assert from "node:assert/strict";
import { test } from "node:test";
import { pipeline, seconds } from "#engine";
import { PIECE_CHANGES_MAX } from "../../src/engine/core/state.ts";
import { seededRandom } from "../../src/engine/testing/doubles/seeded-random.ts";
import type { FleetMember } from "../support/fleet.ts";
import { things } from "../support/plans.ts";
import { someLoads, StateFleet, stateFlow, type Sent } from "../support/state-flow.ts";
import type { CopyCall } from "../support/troubled-copies.ts";

const flow = stateFlow();
/** Every batch reads the copies. */
const noCache = { cacheBytesMax: 0 };

async function started(limits: Partial<typeof noCache> = {}) {
  const fleet = new StateFleet([flow], limits);
  const member = await fleet.join();
  await fleet.drained();
  return { fleet, member };
}

/** Sends the loads in three parts, with a checkpoint or two for each. */
async function inThree(fleet: StateFleet, all: readonly Sent[]): Promise<void> {
  const third = Math.ceil(all.length / 3);
  for (let from = 0; from < all.length; from += third) {
    await fleet.sendLoads(all.slice(from, from + third));
    await fleet.clock.advance(130);
  }
}

/** Runs `attempt` for the first, second, … call, until one is not reached any more; returns how many there were. */
async function atEvery(attempt: (nth: number) => Promise<boolean>): Promise<number> {
  for (let nth = 1; ; nth++) if (!(await attempt(nth))) return nth - 1;
}

test("a worker that dies at any request to Kafka loses and doubles nothing", async () => {
  const reached = await atEvery(async (nth) => {
    const { fleet, member } = await started();
    let count = 0;
    fleet.watcher = ({ worker }) => {
      if (worker === member.life && ++count === nth) worker.crash();
    };
    await inThree(fleet, someLoads(seededRandom(nth), 45));
    if (count >= nth) await fleet.join();
    await fleet.assertExact(`crash at request ${String(nth)}`);
    return count >= nth;
  });
  assert.ok(reached > 10, String(reached));
});

for (const limits of [{}, noCache])
  test(`a worker that dies at any call to its copies loses and doubles nothing, with ${"cacheBytesMax" in limits ? "no" : "a"} cache`, async () => {
    const reached = await atEvery(async (nth) => {
      const { fleet, member } = await started(limits);
      let count = 0;
      // The call takes effect, and its answer is never heard.
      fleet.troubled.onCall = () => {
        if (++count === nth) member.life.crash();
      };
      await inThree(fleet, someLoads(seededRandom(nth), 45));
      const isReached = count >= nth;
      fleet.troubled.onCall = () => undefined;
      if (isReached) await fleet.join();
      await fleet.assertExact(`crash at call ${String(nth)}`);
      return isReached;
    });
    assert.ok(reached > 10, String(reached));
  });

type Trouble = (fleet: StateFleet, putBack: () => Promise<void>) => Promise<void>;
const troubles: Record<string, Trouble> = {
  wiped: (fleet) => fleet.troubled.wipe(),
  "put back from a backup": (_, putBack) => putBack(),
};

for (const [trouble, happen] of Object.entries(troubles))
  test(`copies that are ${trouble} before any call lead to no wrong result`, async () => {
    await atEvery(async (nth) => {
      const { fleet } = await started(noCache);
      const all = someLoads(seededRandom(nth), 60);
      await fleet.sendLoads(all.slice(0, 20));
      await fleet.drained();
      const putBack = await fleet.troubled.snapshot();
      let count = 0;
      fleet.troubled.onCall = async () => {
        if (++count === nth) await happen(fleet, putBack);
      };
      await inThree(fleet, all.slice(20));
      await fleet.assertExact(`${trouble} at call ${String(nth)}`);
      return count >= nth;
    });
  });

for (const [trouble, happen] of Object.entries(troubles))
  test(`copies that are ${trouble} between two pieces of one checkpoint are not taken for whole`, async () => {
    // As many keys in one partition as two pieces take; some of them are there before.
    const all = Array.from({ length: PIECE_CHANGES_MAX + 20 }, (_, i): Sent => ({
      ...{ key: `k${String(i)}-0`, partition: 0, timestamp: 1_000 + i },
      load: { id: i % 3, n: 1 + (i % 12) },
    }));
    const again = all.map((one) => ({ ...one, load: { ...one.load, id: one.load.id + 3 } }));
    const reached = await atEvery(async (nth) => {
      const { fleet } = await started(noCache);
      await fleet.sendLoads(all.slice(0, 40));
      await fleet.drained();
      const putBack = await fleet.troubled.snapshot();
      let count = 0;
      fleet.troubled.onCall = async (call) => {
        if (call === "apply" && ++count === nth) await happen(fleet, putBack);
      };
      await fleet.sendLoads(all.slice(40));
      await fleet.clock.advance(300);
      await fleet.sendLoads(again.slice(0, 60));
      await fleet.assertExact(`${trouble} at piece ${String(nth)}`);
      return count >= nth;
    });
    assert.ok(reached > 4, String(reached));
  });

test("copies that are wiped while no batch touches them are read anew before they are used", async () => {
  const { fleet } = await started(noCache);
  for (let round = 0; round < 5; round++) {
    await fleet.sendLoads(someLoads(seededRandom(round), 20));
    await fleet.clock.advance(500);
    await fleet.troubled.wipe();
  }
  await fleet.assertExact("wiped between batches");
  assert.ok(fleet.meter.counter("millrace_state_repairs_total") >= 4);
});

test("a copy that is wiped while a checkpoint is committed has that checkpoint in the end", async () => {
  const { fleet, member } = await started(noCache);
  await fleet.sendLoads(someLoads(seededRandom(1), 20));
  await fleet.drained();
  await fleet.sendLoads(someLoads(seededRandom(2), 20));
  const sending = fleet.hold(member, "send");
  await fleet.until("the checkpoint is about to be sent", sending.isReached);
  await fleet.troubled.wipe();
  // The next batch finds the copies gone, and reads the changelogs as they are before the checkpoint.
  const reading = fleet.hold(member, "read");
  await fleet.sendLoads(someLoads(seededRandom(3), 20));
  await fleet.until("a changelog is about to be read", reading.isReached);
  sending.release();
  await fleet.clock.advance(50);
  reading.release();
  await fleet.clock.advance(500);
  await fleet.sendLoads(someLoads(seededRandom(4), 20));
  await fleet.assertExact("wiped during a commit");
});

test("while the copies are away tasks without state go on, those with state wait, and nothing is lost", async () => {
  const [plainIn, plainOut] = [things("plain-in"), things("plain-out")];
  const plain = pipeline("plain", ({ from }) => {
    from(plainIn).to(plainOut);
  });
  for (const when of ["before a batch", "before a checkpoint"]) {
    const fleet = new StateFleet([flow, plain], noCache);
    const { worker } = await fleet.join();
    await fleet.drained();
    await fleet.sendLoads(someLoads(seededRandom(1), 20));
    if (when === "before a batch") await fleet.drained();
    else await fleet.clock.advance(1);
    fleet.troubled.setAvailable(false);
    await fleet.sendLoads(someLoads(seededRandom(2), 20));
    const stateOf = (name: string) =>
      worker.health().filter(({ pipeline: of, state }) => of === name && state === "running");
    for (let i = 1; i <= 5; i++) {
      await fleet.send(plainIn.name, [{ id: "", n: i }]);
      await fleet.clock.advance(2_000);
      assert.equal(fleet.values(plainOut).length, i, when);
    }
    const waiting = worker.health().filter(({ pipeline: of }) => of === "flow");
    assert.deepEqual(
      waiting.map((task) => task.state === "paused" && task.why),
      ["redis is away", "redis is away"],
    );
    assert.equal(stateOf("plain").length, 2);
    fleet.troubled.setAvailable(true);
    await fleet.until("both run again", () => stateOf("flow").length === 2);
    const ledger = fleet.meter.counter("millrace_dead_letters_total", { class: "crash" });
    assert.equal(ledger, 0);
    await drainedFlow(fleet, when);
  }
});

/** The ledger of `main` has both pipelines' records, so only what came out is compared. */
async function drainedFlow(fleet: StateFleet, context: string): Promise<void> {
  await fleet.drained();
  const own = new StateFleet([flow]);
  await own.join();
  await own.sendLoads(fleet.sent);
  await own.assertExact("without faults");
  for (const name of ["firsts", "changes", "totals"])
    assert.deepEqual(byKey(fleet, name), byKey(own, name), `${context}: ${name}`);
  await fleet.assertCopies(context);
}

function byKey(fleet: StateFleet, name: string): Record<string, string[]> {
  const found: Record<string, string[]> = {};
  for (const { key, value } of fleet.kafka.records(name, { committed: true }))
    (found[String(key)] ??= []).push(String(value));
  return found;
}

for (const call of ["position", "read", "apply", "rebuild", "put", "finish"] as const)
  for (const after of [false, true])
    test(`calls to ${call} that are lost ${after ? "behind" : "before"} their effect change nothing`, async () => {
      const { fleet } = await started(noCache);
      const all = someLoads(seededRandom(7), 90);
      for (let part = 0; part < 3; part++) {
        if (call !== "read" && call !== "apply") await fleet.troubled.wipe();
        for (let i = 0; i < 3; i++) fleet.troubled.failNext(call, { after });
        await inThree(fleet, all.slice(part * 30, part * 30 + 30));
      }
      await fleet.assertExact(`${call} lost`);
    });

/** Whatever was on its way to the copies is held, until `release`. */
function holdCalls(fleet: StateFleet, which: CopyCall): { count: number; release: () => void } {
  const gate = Promise.withResolvers<void>();
  const held = { count: 0, release: () => gate.resolve() };
  fleet.troubled.onCall = (call) => {
    if (call !== which) return;
    held.count++;
    return gate.promise;
  };
  return held;
}

for (const request of ["send", "sendOffsets", "commit"] as const)
  for (const after of [false, true])
    test(`a ${request} that is lost ${after ? "after" : "before"} it took effect leaves state as it was decided`, async () => {
      for (let seed = 1; seed <= 5; seed++) {
        const { fleet } = await started(seed % 2 === 0 ? noCache : {});
        const all = someLoads(seededRandom(seed), 90);
        await fleet.sendLoads(all.slice(0, 30));
        await fleet.drained();
        fleet.kafka.failNext(request, { after });
        await inThree(fleet, all.slice(30));
        await fleet.assertExact(`seed ${String(seed)}`);
        assert.equal(fleet.meter.counter("millrace_rewinds_total"), 1);
      }
    });

test("what a commit that failed had changed in memory is not seen by what is processed again", async () => {
  for (const limits of [{}, noCache]) {
    const { fleet, member } = await started(limits);
    const all = someLoads(seededRandom(3), 90);
    await fleet.sendLoads(all.slice(0, 30));
    await fleet.drained();
    await fleet.sendLoads(all.slice(30, 60));
    const held = fleet.hold(member, "commit");
    await fleet.until("the commit is under way", held.isReached);
    // Processed behind the commit that is to fail.
    await fleet.sendLoads(all.slice(60));
    await fleet.clock.advance(50);
    fleet.kafka.failNext("commit");
    held.release();
    await fleet.assertExact("behind a failed commit");
  }
});

test("progress that is visible before its changelog is waited for: the target is the high watermark", async () => {
  const { fleet } = await started(noCache);
  const all = someLoads(seededRandom(5), 60);
  await fleet.sendLoads(all.slice(0, 20));
  await fleet.drained();
  fleet.kafka.delayMarkers(({ topic }) => topic.endsWith("-changelog"));
  await fleet.sendLoads(all.slice(20, 40));
  await fleet.clock.advance(500);
  // Only the changelog knows now what was decided; the new member's partition comes from a worker that is still there.
  await fleet.troubled.wipe();
  const { worker } = await fleet.join();
  await fleet.sendLoads(all.slice(40));
  await fleet.clock.advance(5_000);
  const starting = worker.health().filter(({ state }) => state === "starting");
  assert.equal(starting.length, 1);
  fleet.kafka.releaseMarkers();
  await fleet.assertExact("markers late");
});

test("a zombie's write that comes late, before or behind its successor's, changes nothing", async () => {
  for (const rounds of [0, 1, 3]) {
    const { fleet, member } = await started(noCache);
    await fleet.sendLoads(someLoads(seededRandom(1), 30));
    await fleet.drained();
    const held = holdCalls(fleet, "apply");
    await fleet.sendLoads(someLoads(seededRandom(2), 30));
    await fleet.until("its writes are on their way", () => held.count > 3);
    fleet.kafka.freeze(member.port);
    fleet.troubled.onCall = () => undefined;
    await fleet.join();
    for (let round = 0; round < rounds; round++) {
      await fleet.sendLoads(someLoads(seededRandom(10 + round), 20));
      await fleet.clock.advance(15_000);
    }
    held.release();
    await fleet.sendLoads(someLoads(seededRandom(20), 20));
    await fleet.clock.advance(3_000);
    fleet.kafka.thaw(member.port);
    await fleet.sendLoads(someLoads(seededRandom(21), 20));
    await fleet.assertExact(`late by ${String(rounds)} rounds`);
  }
});

for (const request of ["send", "sendOffsets", "commit"] as const)
  test(`a worker with state that stood still at ${request} until another had its partitions doubles nothing`, async () => {
    const { fleet, member } = await started(noCache);
    await fleet.sendLoads(someLoads(seededRandom(1), 30));
    await fleet.drained();
    await fleet.sendLoads(someLoads(seededRandom(2), 30));
    const held = fleet.hold(member, request);
    await fleet.until(`${request} is under way`, held.isReached);
    fleet.kafka.freeze(member.port);
    held.release();
    await fleet.join();
    await fleet.sendLoads(someLoads(seededRandom(3), 30));
    await fleet.clock.advance(15_000);
    fleet.kafka.thaw(member.port);
    await fleet.sendLoads(someLoads(seededRandom(4), 30));
    await fleet.assertExact(request);
  });

test("workers that come and go take each other's state over", async () => {
  const { fleet, member } = await started();
  const members: FleetMember[] = [member];
  for (let round = 0; round < 8; round++) {
    await fleet.sendLoads(someLoads(seededRandom(round), 25));
    await fleet.clock.advance(round * 17);
    if (members.length < 2 || round % 3 === 0) members.push(await fleet.join());
    else await fleet.during((members.shift() as FleetMember).worker.stop());
  }
  await fleet.assertExact("coming and going");
  assert.equal(fleet.meter.counter("millrace_fenced_total"), 0);
});

test("stream time goes on where the last owner left it", async () => {
  const { fleet, member } = await started();
  const at = (timestamp: number, id: number): Sent => ({
    key: "k-0",
    partition: 0,
    load: { id, n: 1 },
    timestamp,
  });
  await fleet.sendLoads([at(10_000, 1), at(100_000, 2)]);
  await fleet.drained();
  await fleet.during(member.worker.stop());
  await fleet.join();
  // By its own time a repeat; but what it could repeat may be forgotten by stream time, so it is late.
  await fleet.sendLoads([at(15_000, 1)]);
  await fleet.assertExact("stream time");
  assert.deepEqual(await fleet.ledger("main"), { consumed: 3, emitted: 2, late: 1 });
});

test("a halt leaves stream time where the record before it was", async () => {
  const outcomes: number[] = [];
  for (const isHalted of [false, true]) {
    const [input, output] = [things("in", 1), things("out", 1)];
    let isStrict = isHalted;
    const strict = pipeline("strict", ({ from }) => {
      from(input)
        .expect("go-on", ({ id }) => !(isStrict && id === "halt"), { otherwise: "halt" })
        .distinct("once", { by: ({ n }) => n, within: seconds(20) })
        .to(output);
    });
    const fleet = new StateFleet([strict]);
    const { worker } = await fleet.join();
    const record = (id: string, n: number, timestamp: number) => ({
      ...{ topic: input.name, partition: 0, key: Buffer.from("k"), headers: [], timestamp },
      value: Buffer.from(JSON.stringify({ id, n })),
    });
    await fleet.sendRecords([
      record("", 1, 10_000),
      record("halt", 2, 11_000),
      record("", 1, 12_000),
      record("", 3, 900_000),
    ]);
    if (isHalted) {
      await fleet.until("it stops", () => worker.health()[0]?.state === "stopped");
      await fleet.during(worker.stop());
      isStrict = false;
      await fleet.join();
    }
    await fleet.drained();
    outcomes.push(fleet.values(output).length);
  }
  assert.deepEqual(outcomes, [3, 3]);
});
