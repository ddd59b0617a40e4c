// More windows are due at once than a checkpoint takes: what is said to the part behind waits for all of them (M2), or their
// results would be late there.
import assert from "node:assert/strict";
import { test } from "node:test";
import { json, pipeline, seconds, string, topic, tumbling } from "#engine";
import { ledgerOfPart } from "../../src/engine/core/progress.ts";
import { Fleet } from "../support/fleet.ts";
import { things } from "../support/plans.ts";

interface Sum {
  readonly n: number;
}

const KEYS = 1_200;
const input = things("in", 2);
const sums = topic("sums", { key: string, value: json<Sum>(), partitions: 1, owner: "tests" });
const chained = pipeline("chained", { state: "memory" }, ({ from }) => {
  from(input)
    .groupBy("by-id", ({ id }) => id)
    .windowedBy(tumbling({ size: seconds(10), grace: seconds(2) }))
    .count("n", { emit: "close" })
    .toStream("row", (n) => ({ n }))
    .groupBy("all", () => "all")
    .windowedBy(tumbling({ size: seconds(10), grace: seconds(0) }))
    .sum("sum", ({ n }) => n, { emit: "close" })
    .toStream("row-of-all", (n) => ({ n }))
    .to(sums);
});

test("M2: no marker goes out while entries are due by its watermark", async () => {
  const fleet = new Fleet([chained], { checkpointRecordsMax: 300, markerIntervalMs: 0 });
  const startMs = Math.ceil(fleet.clock.now() / 10_000) * 10_000;
  const at = (second: number, ids: readonly string[]) =>
    [0, 1].flatMap((partition) =>
      ids.map((id) => ({
        ...{ topic: input.name, partition, key: Buffer.from(id), headers: [] },
        value: Buffer.from(JSON.stringify({ id, n: 1 })),
        timestamp: startMs + second * 1_000,
      })),
    );
  await fleet.join();
  await fleet.sendRecords(
    at(
      1,
      Array.from({ length: KEYS }, (_, i) => `k${String(i)}`),
    ),
  );
  await fleet.sendRecords(at(13, ["last"]));
  await fleet.clock.advance(10_000);
  assert.deepEqual(fleet.values(sums), [{ n: 2 * KEYS }]);
  const progress = await fleet.progress();
  for (const { name } of fleet.plans[0]?.parts ?? [])
    assert.equal(ledgerOfPart(progress, name).late["own"] ?? 0, 0);
  for (const { name } of fleet.plans[0]?.parts ?? [])
    assert.equal(ledgerOfPart(progress, name).late["closed"] ?? 0, 0);
});
