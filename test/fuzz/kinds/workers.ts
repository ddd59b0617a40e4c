// A whole worker, on a cluster in memory: bytes of anybody lie in its sources, its own topics and its registry. It goes on with what
// is good, and what stops has a code that says why.
import { avro, json, pipeline, string, topic, type Pipeline } from "#engine";
import { errorTable } from "../../../src/engine/core/error-table.ts";
import type { OutRecord } from "../../../src/engine/core/record.ts";
import { redriveHeaders } from "../../../src/engine/core/redrive.ts";
import { gateRecord, storesRecord } from "../../../src/engine/notes/gate-note.ts";
import { startRecord } from "../../../src/engine/notes/notes.ts";
import { Fleet } from "../../support/fleet.ts";
import type { Draw } from "../draw.ts";
import { kindOf, must, type AnyKind, type Verdict } from "../kind.ts";
import { mutated, mutatedOrNull } from "../mutate/bytes.ts";
import { jsonBytes } from "../mutate/json.ts";
import { oddNumbers } from "../mutate/words.ts";
import { headersChanged, noteChanged, stampOf } from "./log.ts";

interface Order {
  readonly id: string;
  readonly n: number;
  readonly at?: number;
}
const orders = topic("orders", {
  ...{ key: string, partitions: 1, owner: "t", value: json<Order>() },
  timestamp: ({ at }: Order) => at ?? 1_000,
});
const schema = {
  ...{ type: "record", name: "Order" },
  fields: [
    { name: "id", type: "string" },
    { name: "n", type: "int" },
  ],
};
const typed = topic("typed", {
  key: string,
  value: avro<Order>(schema),
  partitions: 1,
  owner: "t",
});
const sums = topic("sums", { key: string, value: json<number>(), partitions: 1, owner: "t" });

const flow: Pipeline = pipeline("flow", { haltWhen: "never" }, ({ from }) => {
  from(orders)
    .merge("both", from(typed))
    .filter("some", ({ n }) => n !== 13)
    .rekey("by-id", ({ id }) => id)
    .groupByKey()
    .sum("total", ({ n }) => n)
    .to(sums);
});
const plan = flow.plan();
const [{ group }] = plan.parts as [(typeof plan.parts)[0]];
const between = plan.topics.internal.find(({ name }) => name.endsWith("-repartition"))?.name ?? "";

const base = { partition: 0, headers: [], timestamp: 1_000 } as const;
const order = { id: "o1", n: 5, at: 1_000 };
const avroBytes = Buffer.from([0, 0, 0, 0, 1, 4, 0x6f, 0x31, 10]);
const forged = redriveHeaders({
  ...{ id: "0".repeat(32), part: "main", redrives: 1, redrivesMax: 3, firstTime: null, job: "x" },
  origin: { topic: "orders", partition: 0, offset: 0n, timestamp: 1_000 },
});
const notes: readonly OutRecord[] = [
  gateRecord(plan.meta, null),
  storesRecord(plan.meta, null),
  startRecord(
    plan.meta,
    group,
    { topic: "orders", partition: 0, nextOffset: 0n },
    { topicId: null, partitions: null },
  ),
];

const makers: readonly ((draw: Draw) => OutRecord)[] = [
  (draw) => ({
    ...{ ...base, topic: "orders", key: mutatedOrNull(draw, Buffer.from("k")) },
    timestamp: draw.chance(0.9) ? 1_000 : Math.abs(stampOf(draw.of(oddNumbers))),
    value: jsonBytes(draw, order),
  }),
  (draw) => ({
    ...{ ...base, topic: "typed", key: Buffer.from("k"), value: mutated(draw, avroBytes) },
  }),
  (draw) => ({
    ...{ ...base, topic: between, key: Buffer.from("o1") },
    value: draw.chance(0.5)
      ? mutated(draw, Buffer.from(`\u0002abcdefgh{"id":"o1","n":5}`))
      : jsonBytes(draw, order),
  }),
  (draw) => {
    const note = draw.of(notes);
    return { ...note, ...noteChanged(draw, note) };
  },
  (draw) => ({
    ...{ ...base, topic: plan.redrive, key: null, value: jsonBytes(draw, order) },
    headers: headersChanged(draw, forged),
  }),
];

interface Input {
  readonly before: readonly OutRecord[];
  readonly behind: readonly OutRecord[];
}
const recordsOf = (draw: Draw): OutRecord[] => draw.list(0, 8, () => draw.of(makers)(draw));

const good: OutRecord = {
  ...{ ...base, topic: "orders", key: Buffer.from("good"), timestamp: 2_000 },
  value: Buffer.from(JSON.stringify({ ...order, id: "good" })),
};

async function read({ before, behind }: Input): Promise<Verdict> {
  const fleet = new Fleet([flow]);
  fleet.registry.force("typed-value", JSON.stringify(schema));
  await fleet.makeRedriveTopics();
  await fleet.sendRecords(before);
  const { worker } = await fleet.join();
  await fleet.clock.advance(1_000);
  await fleet.sendRecords([...behind, good]);
  await fleet.clock.advance(10_000);
  for (const task of worker.health())
    if (task.state === "stopped") {
      must(Object.hasOwn(errorTable, task.code), `a task stops with ${task.code}`);
      must(task.code !== "MILL_ENGINE_INVARIANT", `a task stops with ${task.code} ${task.message}`);
    }
  const isAllWell = worker.health().every(({ state }) => state === "running");
  const isOut = fleet.values(sums).length > 0;
  const isSaid = worker.whyPaused.length > 0 || !isAllWell;
  must(isOut || isSaid, "what is good does not come out, and nothing says why");
  for (const { level, message } of fleet.log.lines)
    must(level !== "error" || !/Error:|is not a function|undefined/.test(message), message);
  await fleet.during(worker.stop());
  return isSaid ? "refused" : "taken";
}

export const workerKind: AnyKind = kindOf({
  ...{
    name: "workers",
    codes: /^MILL_(NOTE_INVALID|STATE_CHANGED|GATE_HELD|TOPIC_MISSING)$/,
    weight: 5,
    costMs: 40,
  },
  make: (draw: Draw): Input => ({ before: recordsOf(draw), behind: recordsOf(draw) }),
  read,
});
