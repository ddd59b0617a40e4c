import assert from "node:assert/strict";
import { test } from "node:test";
import { prometheusMeter } from "../../../src/engine/clients/prometheus.ts";
import { InvariantError } from "../../../src/engine/core/errors.ts";
import { emptyLedger } from "../../../src/engine/core/ledger.ts";
import { catalogue, ledgerOutcomes } from "../../../src/engine/observe/catalogue.ts";
import {
  announcePart,
  forgetTask,
  publishCommitTime,
  publishLag,
  publishLedger,
  publishState,
} from "../../../src/engine/observe/task-metrics.ts";

const task = { pipeline: "orders", part: "main", topic: "raw", partition: 3 };
const at = 'pipeline="orders",part="main",topic="raw",partition="3"';

const linesOf = async (meter: { render(): Promise<string> }): Promise<readonly string[]> =>
  (await meter.render()).split("\n").filter((line) => line !== "" && !line.startsWith("#"));

test("a new part shows every ledger outcome and letter class at 0", async () => {
  const meter = prometheusMeter(catalogue);
  announcePart(meter, { pipeline: "orders", part: "main" }, ["by-hour"]);
  const lines = await linesOf(meter);
  const part = 'pipeline="orders",part="main"';
  for (const outcome of ledgerOutcomes)
    assert.ok(
      lines.includes(`millrace_ledger_records_total{${part},outcome="${outcome}"} 0`),
      outcome,
    );
  assert.ok(lines.includes('millrace_dead_letters_total{pipeline="orders",class="decode"} 0'));
  assert.ok(lines.includes(`millrace_consumed_records_total{${part}} 0`));
  assert.ok(lines.includes(`millrace_time_behind_total{${part},operator="by-hour"} 0`));
});

test("a commit adds its ledger: consumed equals the sum of the outcomes", async () => {
  const meter = prometheusMeter(catalogue);
  const delta = { ...emptyLedger(), consumed: 11, emitted: 5, deduplicated: 1 };
  delta["null-key"] = 1;
  delta["dead-lettered"] = { decode: 1, rule: 1 };
  delta.filtered = { paid: 1 };
  delta.late = { own: 1 };
  delta.behind = { "by-hour": 3 };
  publishLedger(meter, task, delta);
  publishLedger(meter, task, { ...emptyLedger(), consumed: 2, emitted: 2 });
  const lines = await linesOf(meter);
  const sum = lines
    .filter((line) => line.startsWith("millrace_ledger_records_total{"))
    .reduce((total, line) => total + Number(line.split(" ").at(-1)), 0);
  assert.equal(sum, 13);
  for (const line of [
    'millrace_consumed_records_total{pipeline="orders",part="main"} 13',
    'millrace_ledger_records_total{pipeline="orders",part="main",outcome="emitted"} 7',
    'millrace_ledger_records_total{pipeline="orders",part="main",outcome="dead-lettered"} 2',
    'millrace_dead_letters_total{pipeline="orders",class="decode"} 1',
    'millrace_dead_letters_total{pipeline="orders",class="rule"} 1',
    'millrace_time_behind_total{pipeline="orders",part="main",operator="by-hour"} 3',
  ])
    assert.ok(lines.includes(line), line);
});

test("a ledger that does not balance is an invariant error and is not published", async () => {
  const meter = prometheusMeter(catalogue);
  const delta = { ...emptyLedger(), consumed: 2, emitted: 1 };
  assert.throws(() => publishLedger(meter, task, delta), InvariantError);
  assert.ok(!(await meter.render()).includes('pipeline="orders"'));
});

test("lag says whether its seconds are only the least that is known", async () => {
  const meter = prometheusMeter(catalogue);
  publishLag(meter, task, { records: 3, seconds: 1.5, isAtLeast: true });
  assert.ok((await linesOf(meter)).includes(`millrace_lag_seconds_at_least{${at}} 1`));
  publishLag(meter, task, { records: 4, seconds: 2.5, isAtLeast: false });
  const lines = await linesOf(meter);
  assert.ok(lines.includes(`millrace_lag_records{${at}} 4`));
  assert.ok(lines.includes(`millrace_lag_seconds{${at}} 2.5`));
  assert.ok(lines.includes(`millrace_lag_seconds_at_least{${at}} 0`));
});

test("exactly one state of a task is 1", async () => {
  const meter = prometheusMeter(catalogue);
  publishState(meter, task, "starting");
  publishState(meter, task, "paused");
  const lines = (await linesOf(meter)).filter((line) => line.startsWith("millrace_task_state"));
  assert.equal(lines.length, 4);
  assert.deepEqual(
    lines.filter((line) => line.endsWith(" 1")),
    [`millrace_task_state{${at},state="paused"} 1`],
  );
});

test("a task that left takes all of its gauges along, and no other's", async () => {
  const meter = prometheusMeter(catalogue);
  const other = { ...task, partition: 4 };
  for (const each of [task, other]) {
    publishLag(meter, each, { records: 1, seconds: 1, isAtLeast: false });
    publishState(meter, each, "running");
    publishCommitTime(meter, each, 5_000);
  }
  forgetTask(meter, task);
  const lines = await linesOf(meter);
  assert.equal(lines.filter((line) => line.includes('partition="3"')).length, 0);
  assert.equal(lines.filter((line) => line.includes('partition="4"')).length, 8);
});
