import assert from "node:assert/strict";
import { test } from "node:test";
import { aggregate, prometheusMeter } from "../../../src/engine/clients/prometheus.ts";
import { InvariantError } from "../../../src/engine/core/errors.ts";
import { catalogue } from "../../../src/engine/observe/catalogue.ts";

const task = { pipeline: "p", part: "main", topic: "t", partition: "0" };

test("a name or a label that the catalogue does not have is an invariant error", () => {
  const meter = prometheusMeter(catalogue);
  for (const wrong of [
    () => meter.count("millrace_record_total", {}),
    () => meter.count("millrace_rebalances_total", {}),
    () => meter.count("millrace_rebalances_total", { grp: "g" }),
    () => meter.count("millrace_rebalances_total", { group: "g", topic: "t" }),
    () => meter.count("millrace_retries_total", { dependency: "mysql" }),
    () => meter.count("toString", {}),
  ])
    assert.throws(wrong, InvariantError);
});

test("a metric used as another type is an invariant error", () => {
  const meter = prometheusMeter(catalogue);
  assert.throws(() => meter.count("millrace_inbox_bytes", {}), InvariantError);
  assert.throws(() => meter.gauge("millrace_rebalances_total", { group: "g" }, 1), InvariantError);
  assert.throws(() => meter.observe("millrace_inbox_bytes", {}, 1), InvariantError);
});

test("counters add up, gauges stand, histograms fill their buckets", async () => {
  const meter = prometheusMeter(catalogue);
  meter.count("millrace_rebalances_total", { group: "g" });
  meter.count("millrace_rebalances_total", { group: "g" }, 4);
  meter.gauge("millrace_inbox_bytes", {}, 9);
  meter.gauge("millrace_inbox_bytes", {}, 7);
  meter.observe("millrace_checkpoint_seconds", { kind: "sink" }, 0.03);
  const text = await meter.render();
  for (const line of [
    'millrace_rebalances_total{group="g"} 5',
    "millrace_inbox_bytes 7",
    'millrace_checkpoint_seconds_bucket{le="0.025",kind="sink"} 0',
    'millrace_checkpoint_seconds_bucket{le="0.05",kind="sink"} 1',
    'millrace_checkpoint_seconds_count{kind="sink"} 1',
  ])
    assert.ok(text.includes(`${line}\n`), line);
});

test("counters whose label values are known are there at 0 before anything happens", async () => {
  const text = await prometheusMeter(catalogue).render();
  assert.ok(text.includes('millrace_fenced_total{kind="stream"} 0\n'));
  assert.ok(text.includes('millrace_retries_total{dependency="redis"} 0\n'));
});

test("forgetting takes the gauges with these labels and leaves counters", async () => {
  const meter = prometheusMeter(catalogue);
  meter.gauge("millrace_lag_records", task, 5);
  meter.gauge("millrace_lag_records", { ...task, partition: "1" }, 6);
  meter.count("millrace_rewinds_total", { pipeline: "p", part: "main" });
  meter.forget(task);
  const text = await meter.render();
  assert.ok(!text.includes('partition="0"'));
  assert.ok(text.includes('partition="1"} 6'));
  assert.ok(text.includes('millrace_rewinds_total{pipeline="p",part="main"} 1'));
  assert.throws(() => meter.forget({}), InvariantError);
});

test("a forgotten gauge can be set again", async () => {
  const meter = prometheusMeter(catalogue);
  meter.gauge("millrace_lag_records", task, 5);
  meter.forget({ pipeline: "p" });
  meter.gauge("millrace_lag_records", task, 2);
  assert.match(await meter.render(), /millrace_lag_records\{.*\} 2\n/);
});

test("a described process shows its build, its event loop and its memory", async () => {
  const meter = prometheusMeter(catalogue);
  meter.describeProcess({ version: "0.1.0", node: "v24" });
  const text = await meter.render();
  assert.ok(text.includes('millrace_build_info{version="0.1.0",node="v24"} 1\n'));
  assert.match(text, /\nnodejs_eventloop_lag_p99_seconds \d/);
  assert.match(text, /\nprocess_resident_memory_bytes \d/);
});

test("every figure of a process is one, however close two scrapes lie", async () => {
  const meter = prometheusMeter(catalogue);
  meter.describeProcess({ version: "0.1.0", node: "v24" });
  await meter.render();
  const values = (await meter.render())
    .split("\n")
    .filter((line) => line.startsWith("nodejs_") && !line.includes("_info{"))
    .map((line) => [line, Number(line.split(" ").at(-1))] as const);
  assert.ok(values.length > 10);
  for (const [line, value] of values) assert.ok(value >= 0 && value < 1e12, line);
  const seconds = values.filter(([line]) => line.includes("eventloop_lag"));
  for (const [line, value] of seconds) assert.ok(value < 3_600, line);
});

test("several processes become one text: counters and histograms summed, lag the largest", async () => {
  const one = prometheusMeter(catalogue);
  const two = prometheusMeter(catalogue);
  for (const meter of [one, two]) meter.describeProcess({ version: "0.1.0", node: "v24" });
  one.count("millrace_rebalances_total", { group: "g" }, 2);
  two.count("millrace_rebalances_total", { group: "g" }, 3);
  one.gauge("millrace_lag_records", task, 5);
  two.gauge("millrace_lag_records", task, 8);
  for (const meter of [one, two])
    meter.observe("millrace_checkpoint_seconds", { kind: "stream" }, 0.2);
  // As it comes out of IPC: plain JSON.
  const overIpc = (snapshot: unknown): never => JSON.parse(JSON.stringify(snapshot)) as never;
  const snapshots = [overIpc(await one.snapshot()), overIpc(await two.snapshot())];
  const text = await aggregate(snapshots);
  for (const line of [
    "millrace_up 2",
    'millrace_build_info{version="0.1.0",node="v24"} 1',
    'millrace_rebalances_total{group="g"} 5',
    'millrace_lag_records{pipeline="p",part="main",topic="t",partition="0"} 8',
    'millrace_checkpoint_seconds_bucket{le="0.25",kind="stream"} 2',
    'millrace_checkpoint_seconds_count{kind="stream"} 2',
  ])
    assert.ok(text.includes(`${line}\n`), line);
  assert.equal(await aggregate([]), "\n");
});
