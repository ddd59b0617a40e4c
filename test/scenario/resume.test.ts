// A task that has stopped: what is noted of it, and how it goes on when an operator asks, without a restart and without
// disturbing anybody.
import assert from "node:assert/strict";
import { beforeEach, test } from "node:test";
import { pipeline } from "#engine";
import { Fleet, type FleetMember } from "../support/fleet.ts";
import { things } from "../support/plans.ts";
import {
  copy,
  input,
  isIn,
  note,
  noted,
  numbered,
  output,
  resume,
  sink,
  stopOn,
  stops,
  summed,
  sums,
  taskOn,
  wish,
  wrong,
} from "../support/stopping.ts";

beforeEach(() => void wrong.clear());

interface Scene {
  readonly fleet: Fleet;
  readonly member: FleetMember;
}

/** One worker; record 3 of partition 0 has stopped its task, and the stop is noted. */
async function stopped(
  use = copy,
  prepare: (fleet: Fleet) => void = () => undefined,
): Promise<Scene> {
  wrong.add(3);
  const fleet = new Fleet([use]);
  prepare(fleet);
  const member = await fleet.join();
  await fleet.send(input.name, numbered(1, 2, 3, 4));
  await fleet.until("the task has stopped", () => isIn(member, 0, "stopped"));
  await fleet.until("the stop is noted", () => stopOn(fleet, 0) !== null);
  return { fleet, member };
}

test("a stop is noted as soon as health shows it: whoever sees it there may ask for it to go on", async () => {
  for (const use of [copy, summed, sink])
    // Wherever the worker is between two of its own looks.
    for (const offset of [0, 500, 1_000, 1_500]) {
      wrong.add(3);
      const fleet = new Fleet([use]);
      const member = await fleet.join();
      await fleet.clock.advance(10_000 + offset);
      await fleet.send(input.name, numbered(1, 2, 3, 4));
      await fleet.until("the task has stopped", () => isIn(member, 0, "stopped"));
      await fleet.clock.advance(100);
      assert.notEqual(stopOn(fleet, 0), null, `${use.name} at ${String(offset)} ms`);
    }
});

const out = (fleet: Fleet): number[] => fleet.values(output).map(({ n }) => n);
/** What the pipeline has made of partition 0. */
const results: Record<string, (fleet: Fleet) => unknown> = {
  copy: out,
  summed: (fleet) => fleet.values(sums),
  sink: (fleet) => fleet.ledger("rows"),
};
const exact: Record<string, unknown> = {
  copy: [1, 2, 3, 4, 5],
  summed: [1, 3, 6, 10, 15],
  sink: { consumed: 5, emitted: 5 },
};

for (const use of [copy, summed, sink])
  test(`${use.name}: mended and resumed, a task goes on without a restart, and each record counts once`, async () => {
    const { fleet, member } = await stopped(use);
    wrong.clear();
    const { code, out: lines } = await resume(fleet, use.name);
    assert.equal(code, 0);
    assert.match(lines.at(-1) ?? "", / in-0 runs again$/);
    await fleet.send(input.name, numbered(5));
    await fleet.drained();
    assert.deepEqual(await results[use.name]?.(fleet), exact[use.name]);
    assert.ok(isIn(member, 0, "running"));
    assert.equal(stops(fleet), 1);
    await fleet.clock.advance(20_000);
    assert.deepEqual(
      [...noted(fleet).keys()].filter((key) => /^(stop|resume)\//.test(key)),
      [],
    );
  });

for (const use of [copy, sink])
  test(`${use.name}: what is still wrong stops the task again, once for each time it is asked`, async () => {
    const { fleet, member } = await stopped(use);
    const first = stopOn(fleet, 0) ?? assert.fail("a note");
    for (const times of [2, 3]) {
      const { code, out: lines } = await resume(fleet, use.name);
      assert.equal(code, 1);
      assert.match(lines.at(-1) ?? "", /in-0 has stopped again: MILL_RULE_HALT /);
      await fleet.clock.advance(60_000);
      assert.equal(stops(fleet), times);
    }
    const last = stopOn(fleet, 0) ?? assert.fail("a note");
    assert.deepEqual([last.code, last.message], [first.code, first.message]);
    assert.ok(last.atMs > first.atMs);
    wrong.clear();
    assert.equal((await resume(fleet, use.name)).code, 0);
    await fleet.drained();
    assert.ok(isIn(member, 0, "running"));
  });

/** Has records reach workers that join from now on later than their tasks run. */
function lateBatches(fleet: Fleet, ms: number): void {
  fleet.wrapPort = (port) => ({
    ...port,
    consumer: (options) => {
      const consumer = port.consumer(options);
      const start: typeof consumer.start = (handlers) =>
        consumer.start({
          ...handlers,
          onBatch: (batch) => void fleet.clock.sleep(ms).then(() => handlers.onBatch(batch)),
        });
      return new Proxy(consumer, {
        get: (of, name) => (name === "start" ? start : bound(of, name)),
      });
    },
  });
}

for (const use of [copy, summed, sink])
  for (const lateMs of [1_000, 3_000, 6_000])
    test(`${use.name}: a task runs again when it has committed or nothing waits for it, never before (${String(lateMs)} ms)`, async () => {
      const { fleet, member } = await stopped(use, (one) => void lateBatches(one, lateMs));
      const early = await resume(fleet, use.name);
      assert.equal(early.code, 1, early.out.join("\n"));
      assert.match(early.out.at(-1) ?? "", /in-0 has stopped again: MILL_RULE_HALT /);
      assert.equal(stops(fleet), 2);
      wrong.clear();
      const mended = await resume(fleet, use.name);
      assert.equal(mended.code, 0, mended.out.join("\n"));
      assert.match(mended.out.at(-1) ?? "", /in-0 runs again$/);
      await fleet.drained();
      assert.ok(isIn(member, 0, "running"));
    });

test("a gap of retention is still a gap: the same reason, with the command that decides", async () => {
  const fleet = new Fleet([copy]);
  await fleet.send(input.name, numbered(1));
  const first = await fleet.join();
  await fleet.drained();
  await fleet.during(first.worker.stop());
  await fleet.send(input.name, numbered(2, 3));
  await fleet.deleteRecords(input.name, 2n);
  const { worker } = await fleet.join();
  await fleet.until("the stop is noted", () => stopOn(fleet, 0) !== null);
  const { code, out: lines } = await resume(fleet, "copy");
  assert.equal(code, 1);
  assert.match(
    lines.at(-1) ?? "",
    /^main in-0 has stopped again: MILL_SOURCE_OFFSET_GONE .*npx millrace offsets reset copy --part main --topic in --partition 0 --to earliest$/,
  );
  await fleet.during(worker.stop());
});

test("an older wish has no effect on a later stop", async () => {
  const { fleet, member } = await stopped();
  const first = stopOn(fleet, 0) ?? assert.fail("a note");
  await fleet.clock.advance(1_000);
  fleet.kafka.rebalance("copy.main");
  await fleet.until("it has stopped again", () => stops(fleet) === 2);
  await wish(fleet, 0, first);
  await fleet.clock.advance(30_000);
  assert.equal(stops(fleet), 2);
  const second = stopOn(fleet, 0) ?? assert.fail("a note");
  assert.notEqual(second.atMs, first.atMs);
  // Now the wish that names it.
  wrong.clear();
  await wish(fleet, 0, second);
  await fleet.until("it runs", () => isIn(member, 0, "running"));
});

/** Partitions whose progress is asked for by workers that join from now on: what they take over. */
function takenOver(fleet: Fleet): number[] {
  const asked: number[] = [];
  const portOf = fleet.kafka.port.bind(fleet.kafka);
  fleet.kafka.port = (life) => {
    const port = portOf(life);
    const admin = port.admin();
    const committed: typeof admin.committed = (group, partitions, options) => {
      if (options.stable) asked.push(...partitions.map(({ partition }) => partition));
      return admin.committed(group, partitions, options);
    };
    return Object.assign(port, {
      admin: () =>
        new Proxy(admin, {
          get: (of, name) => (name === "committed" ? committed : bound(of, name)),
        }),
    });
  };
  return asked;
}

function bound(of: object, name: string | symbol): unknown {
  const value: unknown = Reflect.get(of, name);
  return typeof value === "function" ? (value.bind(of) as unknown) : value;
}

test("neighbours go on while a stopped task is taken over anew", async () => {
  let asked: number[] = [];
  const { fleet, member } = await stopped(copy, (f) => (asked = takenOver(f)));
  assert.deepEqual([...new Set(asked.splice(0))].sort(), [0, 1]);
  wrong.clear();
  const hold = fleet.hold(member, "committed");
  await wish(fleet, 0, stopOn(fleet, 0) ?? assert.fail("a note"));
  await fleet.until("it is taken over", () => hold.isReached());
  assert.ok(isIn(member, 0, "starting"));
  assert.ok(isIn(member, 1, "running"));
  await fleet.send(input.name, numbered(11, 12), 1);
  await fleet.clock.advance(2_000);
  assert.deepEqual(out(fleet), [1, 2, 11, 12]);
  hold.release();
  await fleet.drained();
  assert.deepEqual(out(fleet), [1, 2, 11, 12, 3, 4]);
  assert.deepEqual([...new Set(asked)], [0]);
});

test("of several stopped tasks of one worker only the named one is looked at", async () => {
  const { fleet, member } = await stopped();
  await fleet.send(input.name, numbered(3), 1);
  await fleet.until("the other is noted", () => stopOn(fleet, 1) !== null);
  wrong.clear();
  assert.equal((await resume(fleet, "copy", "--partition", "1")).code, 0);
  await fleet.clock.advance(20_000);
  assert.ok(isIn(member, 0, "stopped") && isIn(member, 1, "running"));
  assert.deepEqual(out(fleet), [1, 2, 3]);
});

test("what the task staged before it stopped and a slow commit still carries is not read again", async () => {
  wrong.add(3);
  const fleet = new Fleet([copy]);
  const member = await fleet.join();
  await fleet.drained();
  const hold = fleet.hold(member, "sendOffsets");
  await fleet.send(input.name, numbered(1, 2, 3));
  await fleet.until("the commit is under way", () => hold.isReached());
  assert.ok(isIn(member, 0, "stopped"));
  await fleet.until("the stop is noted", () => stopOn(fleet, 0) !== null);
  wrong.clear();
  await wish(fleet, 0, stopOn(fleet, 0) ?? assert.fail("a note"));
  await fleet.until("it is taken over", () => !isIn(member, 0, "stopped"));
  await fleet.clock.advance(2_000);
  hold.release();
  await fleet.drained();
  assert.deepEqual(out(fleet), [1, 2, 3]);
});

test("each of two workers resumes what it has, and only what is named", async () => {
  wrong.add(3);
  const fleet = new Fleet([copy]);
  const members = [await fleet.join(), await fleet.join()];
  await fleet.clock.advance(10_000);
  const ownerOf = (partition: number): FleetMember =>
    members.find((member) => taskOn(member, partition) !== undefined) ?? assert.fail("an owner");
  assert.notEqual(ownerOf(0), ownerOf(1));
  for (const partition of [0, 1]) await fleet.send(input.name, numbered(3, 4), partition);
  await fleet.until("both are noted", () => [0, 1].every((p) => stopOn(fleet, p) !== null));
  for (const p of [0, 1]) assert.equal(stopOn(fleet, p)?.owner, ownerOf(p).owner);
  wrong.clear();
  const { code, out: lines } = await resume(fleet, "copy", "--topic", "in", "--partition", "1");
  assert.deepEqual([code, lines.at(-1)], [0, "main in-1 runs again"]);
  await fleet.clock.advance(20_000);
  assert.ok(isIn(ownerOf(0), 0, "stopped"));
  assert.ok(isIn(ownerOf(1), 1, "running"));
  assert.equal((await resume(fleet, "copy", "--part", "main")).code, 0);
  await fleet.drained();
  assert.deepEqual(out(fleet), [3, 4, 3, 4]);
});

for (const [how, leave] of [
  ["a worker that takes it over", ({ port }: FleetMember, fleet: Fleet) => fleet.kafka.crash(port)],
  ["a rebalance", (_: FleetMember, fleet: Fleet) => fleet.kafka.rebalance("copy.main")],
] as const)
  test(`${how} takes the note away when the task runs`, async () => {
    const { fleet, member } = await stopped();
    wrong.clear();
    leave(member, fleet);
    await fleet.join();
    await fleet.drained();
    await fleet.until("the note is gone", () => stopOn(fleet, 0) === null);
    assert.deepEqual(out(fleet), [1, 2, 3, 4]);
    const { code, err } = await resume(fleet, "copy");
    assert.deepEqual([code, err], [0, ["Nothing has stopped."]]);
  });

test("a note that a zombie writes late stops nobody, and goes", async () => {
  wrong.add(3);
  const fleet = new Fleet([copy]);
  const zombie = await fleet.join();
  await fleet.drained();
  const hold = fleet.hold(zombie, "produce");
  await fleet.send(input.name, numbered(1, 3, 4));
  await fleet.until("it is about to note its stop", () => hold.isReached());
  fleet.kafka.freeze(zombie.port);
  wrong.clear();
  const owner = await fleet.join();
  await fleet.until("another worker has it", () => isIn(owner, 0, "running"));
  await fleet.drained();
  await fleet.clock.advance(15_000);
  assert.equal(stopOn(fleet, 0), null);
  hold.release();
  fleet.kafka.thaw(zombie.port);
  await fleet.until("the late note", () => stopOn(fleet, 0)?.owner === zombie.owner);
  await fleet.until("is taken away", () => stopOn(fleet, 0) === null);
  await fleet.send(input.name, numbered(5));
  await fleet.drained();
  assert.deepEqual(out(fleet), [1, 3, 4, 5]);
  assert.equal(stops(fleet), 1);
});

for (const use of [copy, sink])
  test(`${use.name}: a note about a task that runs is no stop, and a wish for it is no takeover`, async () => {
    const fleet = new Fleet([use]);
    let takeovers = 0;
    fleet.wrapStore = (store) => ({
      ...store,
      takeOver: (...asked) => {
        takeovers++;
        return store.takeOver(...asked);
      },
    });
    const member = await fleet.join();
    await fleet.drained();
    // Its own first looks are over.
    await fleet.clock.advance(30_000);
    const stop = { owner: "millrace-zombie", atMs: fleet.clock.now() };
    await note(fleet, 0, { kind: "stopped", code: "MILL_RULE_HALT", message: "late", ...stop });
    await wish(fleet, 0, stop);
    const before = takeovers;
    let hasPaused = false;
    await fleet.until("both are gone", () => {
      hasPaused ||= !isIn(member, 0, "running");
      return ![...noted(fleet).keys()].some((key) => /^(stop|resume)\//.test(key));
    });
    assert.deepEqual([hasPaused, takeovers], [false, before]);
  });

test("a stop over which another's note was written is noted again", async () => {
  const { fleet, member } = await stopped();
  const own = stopOn(fleet, 0);
  const atMs = fleet.clock.now();
  const late = { kind: "stopped", code: "MILL_TOPIC_MISSING", message: "late" } as const;
  await note(fleet, 0, { ...late, owner: "millrace-zombie", atMs });
  await fleet.until("it says the truth", () => stopOn(fleet, 0)?.owner === member.owner);
  assert.deepEqual(stopOn(fleet, 0), own);
});

test("a note that cannot be written changes nothing for the tasks, and is written later", async () => {
  wrong.add(3);
  const fleet = new Fleet([copy]);
  const member = await fleet.join();
  await fleet.drained();
  let failed = 0;
  fleet.watcher = ({ worker, request }) => {
    if (worker !== member.life || request !== "produce" || failed >= 3) return;
    failed++;
    throw new Error("no rights");
  };
  await fleet.send(input.name, numbered(1, 2, 3));
  await fleet.send(input.name, numbered(11), 1);
  await fleet.until("every attempt has failed", () => failed === 3);
  assert.deepEqual([isIn(member, 0, "stopped"), isIn(member, 1, "running")], [true, true]);
  await fleet.until("it is noted", () => stopOn(fleet, 0) !== null);
  assert.deepEqual(out(fleet), [1, 2, 11]);
  assert.equal(stops(fleet), 1);
  const warned = fleet.log.lines.filter(({ message }) => message === "housekeeping was put off");
  assert.deepEqual(
    warned.map(({ facts }) => [facts["what"], facts["error"]]),
    Array.from({ length: failed }, () => ["stops", "no rights"]),
  );
});

const [left, right] = [things("left", 1), things("right", 1)];
const merged = pipeline("merged", ({ from }) => {
  from(left).merge("both", from(right)).to(output);
});

test("a part of an assignment is judged as the whole of it is", async () => {
  const fleet = new Fleet([merged]);
  const { worker } = await fleet.join();
  await fleet.drained();
  // Of partition 1 there is now one topic of the two: other topics than the part reads, seen alone.
  fleet.kafka.widenTopic(left.name, 2);
  fleet.kafka.rebalance("merged.main");
  const codes = (): string[] => worker.health().map((t) => (t.state === "stopped" ? t.code : ""));
  await fleet.until("all have stopped", () => codes().every((code) => code !== ""));
  const before = codes();
  assert.equal(before.length, 3);
  await fleet.clock.advance(10_000);
  const { code, out: lines } = await resume(fleet, "merged", "--partition", "1");
  assert.equal(code, 1);
  assert.match(lines.at(-1) ?? "", /^main left-1 has stopped again: MILL_TOPIC_PARTITIONS /);
  assert.deepEqual(codes(), before);
});

test("what leads on is said: resume, or the reset that decides", async () => {
  const { member } = await stopped();
  const task = taskOn(member, 0);
  assert.ok(task?.state === "stopped");
  assert.match(task.message, /\. To look again without a restart: npx millrace resume copy$/);
});

test("a defect's own text, which may quote a value, is not noted", async () => {
  const fleet = new Fleet([sink]);
  fleet.wrapStore = (store) => ({
    ...store,
    commit: () => Promise.reject(new SyntaxError("Unexpected token in Jane Doe")),
  });
  await fleet.join();
  await fleet.send(input.name, numbered(1));
  await fleet.until("the stop is noted", () => stopOn(fleet, 0) !== null);
  const { code, message } = stopOn(fleet, 0) ?? assert.fail("a note");
  assert.equal(code, "MILL_ENGINE_INVARIANT");
  assert.equal(message, "an invariant of the engine does not hold");
});
