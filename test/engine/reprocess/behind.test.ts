// Records behind time, as the ledgers of live, of letters that came back and of a run have them.
import assert from "node:assert/strict";
import { test } from "node:test";
import { json, pipeline, seconds, string, topic, tumbling } from "#engine";
import { emptyLedger } from "../../../src/engine/core/ledger.ts";
import type { ProgressPorts } from "../../../src/engine/core/progress.ts";
import { encodeMetadata } from "../../../src/engine/core/task-inputs.ts";
import { behindOf } from "../../../src/engine/reprocess/verify/behind.ts";
import { rowOf } from "../../support/promoting.ts";

const shape = { key: string, value: json<number>(), partitions: 2, owner: "tests" };
const input = topic("in", shape);
const output = topic("out", shape);
const plan = pipeline("counting", ({ from }) => {
  from(input)
    .groupByKey()
    .windowedBy(tumbling({ size: seconds(1), grace: seconds(0) }))
    .count("n", { emit: "close" })
    .toStream("row", (n) => n)
    .to(output);
}).plan();

test("W4: what came behind time is the sum over all tasks, of live with its letters and of the run", async () => {
  const asked: string[] = [];
  const ports: ProgressPorts = {
    admin: {
      committed: (group, places) => {
        asked.push(group);
        const isRun = group.startsWith("counting-r7");
        return Promise.resolve(
          places.map((at) => {
            const behind = isRun ? { n: 1 } : { n: 20, other: 300 };
            const ledger = { ...emptyLedger(), behind };
            return { ...at, nextOffset: 1n, metadata: encodeMetadata({ owner: "w", ledger }) };
          }),
        );
      },
    },
    tableStore: () => assert.fail("there is no table"),
  };
  const range = { places: [], own: [], pins: {} };
  const row = rowOf({ pipeline: "counting", run: 7, step: null, range, follow: false });
  // Two partitions each; live has those of the letters beside.
  assert.deepEqual(await behindOf(plan, row, ports), { live: 4 * 320, run: 2 });
  assert.ok(asked.length >= 3);
});
