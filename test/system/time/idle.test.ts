// Idleness on real servers: the last windows of a topic that has gone quiet close by the wall clock, also where their copies were
// lost meanwhile, one idle partition of twelve keeps nobody longer, and what is under way upstream (an open transaction, a worker
// that stands still) is no quietness.
import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { test } from "node:test";
import { setTimeout as delay } from "node:timers/promises";
import { Redis } from "ioredis";

process.env["TEST_TOPICS"] = `t${randomBytes(4).toString("hex")}`;
const { QuietScene, rowAt } = await import("../../support/quiet-scene.ts");
const { sharedStack } = await import("../../support/stack.ts");
const { eventually } = await import("../../support/eventually.ts");
const { isWhole } = await import("../../support/whole.ts");
const { IDLE_AFTER_MS, PARTITIONS, SIZE_MS, ...quiet } =
  await import("../../support/apps/quiet.ts");
const { manyViews, manyRows, beatRows, keptViews, keptRows, pipelineNames } = quiet;

/** So much later than by the wall clock a window closes at most. Other tests keep the machine busy where this one is not alone. */
const BEHIND_MS = isWhole ? 2_000 : 60_000;
const endOf = (atMs: number): number => (Math.floor(atMs / SIZE_MS) + 1) * SIZE_MS;

test(
  "an idle topic closes its last window idleAfter behind the wall clock, and one idle partition of twelve keeps nobody longer",
  { timeout: 600_000 },
  async (t) => {
    const scene = await QuietScene.open(t, { ...(await sharedStack()) });
    const worker = await scene.worker([pipelineNames.rekeyed]);
    const rows = scene.rows(manyRows);
    const busy = Array.from({ length: PARTITIONS - 1 }, (_, i) => i);
    // Eleven partitions get records all the time; the last one has had one.
    const startMs = Date.now();
    const sent: number[] = [startMs];
    await scene.send(scene.view(manyViews, startMs, PARTITIONS - 1));
    const lastEnd = endOf(startMs + 2 * IDLE_AFTER_MS);
    while (Date.now() < lastEnd) {
      const nowMs = Date.now();
      sent.push(...busy.map(() => nowMs));
      await scene.send(...busy.map((partition) => scene.view(manyViews, nowMs, partition)));
      await delay(100);
    }
    const counted = (): number => rows.reduce((sum, { count }) => sum + count, 0);
    await eventually(`every record is counted\n${worker.story()}`, () =>
      counted() >= sent.length ? true : null,
    );
    assert.equal(counted(), sent.length, "each once");
    const waits = rows.map(({ end, seenMs }) => seenMs - end - IDLE_AFTER_MS);
    t.diagnostic(
      `${String(rows.length)} rows, ${String(Math.min(...waits))} to ${String(Math.max(...waits))} ms behind idleAfter`,
    );
    assert.ok(Math.min(...waits) >= 0, "a window waits for the idle partition for idleAfter");
    assert.ok(Math.max(...waits) <= BEHIND_MS, "and no longer");
    assert.equal(await scene.late(pipelineNames.rekeyed, "by-shop"), 0);
    assert.deepEqual(await worker.drain(), { code: 0, signal: null });
  },
);

test(
  "a partition in front of an open transaction is not quiet, nor at once when the transaction has ended",
  { timeout: 600_000 },
  async (t) => {
    const env = { ...(await sharedStack()) };
    const scene = await QuietScene.open(t, env);
    await scene.worker([pipelineNames.rekeyed, pipelineNames.beats]);
    const rows = scene.rows(manyRows);
    const beatsSeen = scene.rows(beatRows);
    const { kafka } = scene.figures.clients;
    for (const ending of ["commit", "abort"] as const) {
      const producer = kafka.txProducer({
        transactionalId: `${pipelineNames.rekeyed}-${ending}`,
        timeoutMs: 60_000,
      });
      await producer.init();
      const openMs = Date.now();
      producer.begin();
      await producer.send([scene.view(manyViews, openMs, 3)]);
      await scene.send(scene.view(manyViews, openMs, 4));
      // The window of the beat closes twice idleAfter from now: a source beside it is quiet by then.
      await scene.beat(beatsSeen, openMs + IDLE_AFTER_MS);
      assert.equal(rowAt(rows, openMs, "p4"), undefined, "the open transaction is waited for");
      await producer[ending]();
      const isAborted = ending === "abort";
      const abortedMs = Date.now();
      // What was aborted is sent again, as a writer does that was restarted: the outage alone has kept it back.
      if (isAborted)
        await eventually("the writer is back", () =>
          Date.now() - abortedMs >= IDLE_AFTER_MS / 2 ? true : null,
        );
      if (isAborted) await scene.send(scene.view(manyViews, openMs, 3));
      const endedMs = Date.now();
      for (const key of ["p3", "p4"]) {
        const { count, seenMs } = await scene.row(rows, openMs, key);
        assert.equal(count, 1, key);
        assert.ok(
          seenMs - endedMs <= IDLE_AFTER_MS + BEHIND_MS,
          `${key} ${String(seenMs - endedMs)}`,
        );
      }
      await producer.close();
    }
    assert.equal(await scene.late(pipelineNames.rekeyed, "by-shop"), 0);
  },
);

if (isWhole)
  test(
    "a worker that stands still while it writes a topic between parts is waited for, for however long",
    { timeout: 600_000 },
    async (t) => {
      const scene = await QuietScene.open(t, { ...(await sharedStack()) });
      // A session longer than it stands still: nobody takes its partition over meanwhile.
      const settings = { MILLRACE_SESSION_TIMEOUT_MS: "30000" };
      const names = [pipelineNames.rekeyed];
      const workers = [await scene.worker(names, settings), await scene.worker(names, settings)];
      const beater = await scene.worker([pipelineNames.beats]);
      const rows = scene.rows(manyRows);
      const beatsSeen = scene.rows(beatRows);
      const reads = (worker: (typeof workers)[0]): Promise<readonly [number, number]> =>
        worker.metrics().then((metrics) => [metrics.running("main"), metrics.running("by-shop")]);
      const frozen = await eventually("one reads, both write", async () => {
        const found = await Promise.all(workers.map(reads));
        const isSplit = found.every(([main]) => main === PARTITIONS / 2);
        const isRead = found.some(([, reading]) => reading === 1);
        return isSplit && isRead ? workers[found.findIndex(([, reading]) => reading === 0)] : null;
      });
      const all = Array.from({ length: PARTITIONS }, (_, i) => i);
      const rowsOf = (atMs: number) =>
        Promise.all(all.map((partition) => scene.row(rows, atMs, `p${String(partition)}`)));
      const sendAll = (atMs: number) =>
        scene.send(...all.map((partition) => scene.view(manyViews, atMs, partition)));
      const beforeMs = Date.now();
      await sendAll(beforeMs);
      await rowsOf(beforeMs);
      frozen.kill("SIGSTOP");
      const stoodMs = Date.now();
      await sendAll(stoodMs);
      await scene.beat(beatsSeen, stoodMs + IDLE_AFTER_MS);
      const early = all.filter((partition) => rowAt(rows, stoodMs, `p${String(partition)}`));
      assert.deepEqual(early, [], "half of the records are on their way");
      frozen.kill("SIGCONT");
      const goneOnMs = Date.now();
      const last = Math.max(...(await rowsOf(stoodMs)).map(({ seenMs }) => seenMs));
      assert.ok(last - goneOnMs <= IDLE_AFTER_MS + BEHIND_MS, String(last - goneOnMs));
      assert.equal(await scene.late(pipelineNames.rekeyed, "by-shop"), 0);
      assert.ok(!beater.hasEnded);
    },
  );

test(
  "copies in Redis that are gone while nothing comes keep no window open, and nothing of it is lost",
  { timeout: 600_000 },
  async (t) => {
    const env = { ...(await sharedStack()) };
    const scene = await QuietScene.open(t, env);
    const worker = await scene.worker([pipelineNames.kept]);
    const redis = new Redis(env.REDIS_URL);
    t.after(() => redis.disconnect());
    const rows = scene.rows(keptRows);
    const copy = `{${pipelineNames.kept}:views:0}`;
    // One window of each key: no record closes one.
    const atMs = Date.now() + SIZE_MS;
    const sent = Array.from({ length: 100 }, (_, i) => {
      return { ...scene.view(keptViews, atMs), key: Buffer.from(`k${String(i)}`) };
    });
    await scene.send(...sent);
    await eventually("the copy has every window", async () =>
      (await redis.zcard(`${copy}:due`)) >= sent.length ? true : null,
    );
    assert.equal(await redis.unlink(copy, `${copy}:due`), 2);
    assert.deepEqual(rows, [], "no window was closed before");
    await eventually(`every window is closed\n${worker.story()}`, () =>
      rows.length >= sent.length ? true : null,
    );
    assert.ok(rows.every(({ end, seenMs }) => seenMs - end >= IDLE_AFTER_MS));
    assert.equal(new Set(rows.map(({ key }) => key)).size, sent.length, "each once");
    assert.ok(rows.every(({ count }) => count === 1));
    assert.ok((await worker.metrics()).sum("millrace_state_repairs_total") > 0);
    assert.deepEqual(await worker.drain(), { code: 0, signal: null }, worker.story());
  },
);
