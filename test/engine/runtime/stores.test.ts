import assert from "node:assert/strict";
import { test } from "node:test";
import { pipeline, seconds } from "#engine";
import { MillraceError } from "../../../src/engine/core/errors.ts";
import type { WorkerContext } from "../../../src/engine/runtime/context.ts";
import { bindPart } from "../../../src/engine/runtime/task/bind.ts";
import { openStores } from "../../../src/engine/runtime/task/stream/stores.ts";
import { CacheBudget } from "../../../src/engine/state/task-stores.ts";
import { FakeClock } from "../../../src/engine/testing/doubles/fake-clock.ts";
import { RecordingLog } from "../../../src/engine/testing/doubles/recording-log.ts";
import { RecordingMeter } from "../../../src/engine/testing/doubles/recording-meter.ts";
import { MemoryKafka } from "../../../src/engine/testing/memory-kafka.ts";
import { things } from "../../support/plans.ts";
import { TroubledCopies } from "../../support/troubled-copies.ts";

test("stores of a takeover that fails leave no share of the cache behind", async () => {
  const flow = pipeline("flow", ({ from }) => {
    const once = from(things("in")).distinct("once", { by: (t) => t.n, within: seconds(1) });
    once
      .groupByKey()
      .count("n")
      .to(things("out") as never);
  });
  const plan = flow.plan();
  const [part] = plan.parts;
  assert.ok(part);
  const kafka = new MemoryKafka(new FakeClock());
  for (const { changelog } of part.stores)
    kafka.createTopic({ topic: changelog.name, partitions: changelog.partitions });
  const port = kafka.port();
  const copies = new TroubledCopies();
  copies.onCall = (call, { store }) => {
    if (store === "n") throw new MillraceError("MILL_STATE_FORMAT", "of another release");
  };
  const cache = new CacheBudget(100);
  const clock = new FakeClock();
  const context = {
    ...{ kafka: port, admin: port.admin(), stateCopies: () => copies, cache, clock },
    ...{ random: { next: () => 0.5 }, log: new RecordingLog(), meter: new RecordingMeter() },
  } as unknown as WorkerContext;
  const bound = bindPart(plan, part, {
    schemas: new Map(),
    writerIds: new Map(),
    onBroken: () => undefined,
  });
  const persist = <T>(_dependency: string, work: () => Promise<T>): Promise<T> => work();
  const { signal } = new AbortController();
  const learner = { context, signal, onWaiting: () => undefined };
  const task = { partition: 0, signal, persist, restore: () => undefined, learner };
  for (let i = 0; i < 3; i++)
    await assert.rejects(openStores({ context, bound, task }), MillraceError);
  const share = cache.share({});
  share.add(100);
  assert.equal(share.isOver, false);
});
