// Records with times that cannot be used, read live and then by a run over the same range much later: the same letters, the
// same rest, since times are judged by the records' own Kafka timestamps and by no clock.
import assert from "node:assert/strict";
import { test } from "node:test";
import { hours, json, pipeline, string, topic, type Pipeline } from "#engine";
import type { Plan } from "../../src/engine/core/plan.ts";
import { headerText, type OutRecord } from "../../src/engine/core/record.ts";
import { progressOfRun } from "../../src/engine/reprocess/control/run-progress.ts";
import { pinRange } from "../../src/engine/reprocess/plan/pin.ts";
import { shadowOf } from "../../src/engine/reprocess/plan/shadow.ts";
import { RunBounds } from "../../src/engine/reprocess/run/bounds.ts";
import { Fleet } from "../support/fleet.ts";

interface Timed {
  readonly at: unknown;
}
const HOUR = 3_600_000;
const shape = { key: string, value: json<Timed>(), partitions: 1, owner: "tests" };
const input = topic("in", { ...shape, timestamp: ({ at }) => at as number });
const output = topic("out", shape);
const flow = pipeline("flow", ({ from }) => {
  from(input)
    .distinct("once", { by: ({ at }) => JSON.stringify(at), within: hours(2) })
    .to(output);
});

const asPipeline = (plan: Plan): Pipeline => ({
  kind: "pipeline",
  name: plan.pipeline,
  plan: () => plan,
});

const lettersIn = ({ kafka }: Fleet, name: string): string[] =>
  kafka
    .records(name, { committed: true })
    .map(({ headers }) =>
      ["offset", "code", "message"].map((of) => headerText(headers, `dlq.${of}`)),
    )
    .map((facts) => facts.join(" "));
const outputsIn = ({ kafka }: Fleet, name: string): string[] =>
  kafka
    .records(name, { committed: true })
    .map(({ value, timestamp }) => `${String(value)} ${String(timestamp)}`);

test("a run makes the same letters and the same outputs as live, whenever it is made", async () => {
  const shadow = shadowOf(flow.plan(), {
    ...{ run: 1, target: "shadow", pins: new Map() },
    staged: [],
  });
  const fleet = new Fleet([flow, asPipeline(shadow)]);
  const now = fleet.clock.now();
  const times = [now, now + 2 * HOUR, now + HOUR - 1, now * 1_000, null, now / 1_000, now, now - 9];
  const records = times.map((at): OutRecord => ({
    ...{ topic: input.name, partition: 0, key: Buffer.from("k"), headers: [], timestamp: now },
    value: Buffer.from(JSON.stringify({ at })),
  }));
  const live = await fleet.join({ plans: [flow.plan()] });
  await fleet.sendRecords(records);
  await fleet.until("live is through", () => outputsIn(fleet, output.name).length === 3);
  await fleet.during(live.worker.stop());
  const letters = lettersIn(fleet, flow.plan().deadLetters);
  assert.deepEqual(
    letters.map((text) => text.split(" ").slice(0, 2).join(" ")),
    [
      "1 MILL_DECODE_FUTURE_TIMESTAMP",
      "3 MILL_DECODE_FUTURE_TIMESTAMP",
      "4 MILL_DECODE_NO_TIMESTAMP",
      "5 MILL_DECODE_TIMESTAMP_UNIT",
    ],
  );

  // By now's clock the future of then has passed.
  fleet.clock.jump(3 * HOUR);
  const kafka = fleet.kafka.port();
  const ports = { kafka, admin: kafka.admin(), tableStore: () => assert.fail("no table") };
  const request = {
    from: { kind: "earliest" },
    to: { kind: "latest" },
    fromOffsets: [],
    toOffsets: [],
    marginMs: 0,
  } as const;
  const { range } = await fleet.during(pinRange(flow.plan(), { request, staged: [] }, ports));
  const bounds = new RunBounds(shadow, { range, state: "running", step: "range", options: {} });
  await fleet.join({ plans: [shadow], ports: { bounds } });
  for (let spent = 0; spent < 60; spent++) {
    await fleet.clock.advance(1_000);
    if ((await fleet.during(progressOfRun(shadow, { range, options: {} }, ports))).isDone) break;
  }
  assert.deepEqual(lettersIn(fleet, shadow.deadLetters), letters);
  assert.deepEqual(outputsIn(fleet, "out-r1"), outputsIn(fleet, output.name));
});
