// A topic that another pipeline writes (I4), on a real broker and in processes of their own: an outage of the writer is no
// quietness of its topic, and once the writer has worked everything its topic is quiet as any other.
import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { test } from "node:test";

process.env["TEST_TOPICS"] = `t${randomBytes(4).toString("hex")}`;
const { QuietScene, rowAt } = await import("../../support/quiet-scene.ts");
const { eventually } = await import("../../support/eventually.ts");
const { isWhole } = await import("../../support/whole.ts");
const { sharedStack } = await import("../../support/stack.ts");
const { IDLE_AFTER_MS, SIZE_MS, rawViews, cleanViews, cleanRows, beatRows, pipelineNames } =
  await import("../../support/apps/quiet.ts");

/** Other tests keep the machine busy where this one is not alone. */
const BEHIND_MS = isWhole ? 2_000 : 60_000;
const endOf = (atMs: number): number => (Math.floor(atMs / SIZE_MS) + 1) * SIZE_MS;

test(
  "a writing pipeline that stands still, or was stopped, is waited for; one that has worked everything is not",
  { timeout: 600_000 },
  async (t) => {
    const scene = await QuietScene.open(t, { ...(await sharedStack()) });
    const settings = { MILLRACE_SESSION_TIMEOUT_MS: "30000" };
    const start = () => scene.worker([pipelineNames.writer], settings);
    let writer = await start();
    const reader = await scene.worker([pipelineNames.reader, pipelineNames.beats]);
    const rows = scene.rows(cleanRows);
    const beatsSeen = scene.rows(beatRows);
    const outage = async (begin: () => Promise<void>, end: () => Promise<void>): Promise<void> => {
      // The writer is there and has nothing to do.
      const idleMs = Date.now();
      await scene.send(scene.view(rawViews, idleMs));
      const idle = await scene.row(rows, idleMs);
      const waited = idle.seenMs - endOf(idleMs) - IDLE_AFTER_MS;
      assert.ok(waited >= 0 && waited <= BEHIND_MS, `${String(waited)} ms behind idleAfter`);
      // One record has passed, the next one waits in front of the writer.
      const atMs = Date.now();
      const before = await scene.figures.end(cleanViews.name);
      await scene.send(scene.view(rawViews, atMs));
      await eventually("it has passed", async () =>
        (await scene.figures.end(cleanViews.name)) > before ? true : null,
      );
      await begin();
      await scene.send(scene.view(rawViews, atMs));
      await scene.beat(beatsSeen, Date.now() + IDLE_AFTER_MS);
      assert.equal(rowAt(rows, atMs), undefined, reader.story());
      await end();
      assert.equal((await scene.row(rows, atMs)).count, 2, reader.story());
    };
    await outage(
      async () => void writer.kill("SIGSTOP"),
      async () => void writer.kill("SIGCONT"),
    );
    if (isWhole)
      await outage(
        async () => void (await writer.drain()),
        async () => void (writer = await start()),
      );
    assert.equal(await scene.late(pipelineNames.reader), 0);
  },
);
