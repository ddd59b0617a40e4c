// A run of the reprocessor that decides nothing says since when and why; what it names as the way on is a command of its pipeline.
import assert from "node:assert/strict";
import { test } from "node:test";
import { pipeline } from "#engine";
import { progressLine } from "../../src/cli/reprocess/lines.ts";
import { sendOnce } from "../../src/engine/core/send-once.ts";
import { gateRecord } from "../../src/engine/notes/gate-note.ts";
import { watchRun, type RunReport } from "../../src/engine/reprocess/control/controller.ts";
import type { Probe } from "../../src/engine/reprocess/control/stall.ts";
import type { ReprocessPorts } from "../../src/engine/reprocess/words/ports.ts";
import type { RunRange } from "../../src/engine/reprocess/words/run.ts";
import { WorkerSwitch } from "../../src/engine/testing/doubles/worker-switch.ts";
import { Fleet } from "../support/fleet.ts";
import { things } from "../support/plans.ts";
import { Row, rowOf } from "../support/promoting.ts";
import { operatorOf } from "../support/redriving.ts";

const input = things("in", 1);
const output = things("out", 1);
const flow = pipeline("flow", ({ from }) => {
  from(input).to(output);
});

/** Watches a run over three records; its plan is the pipeline's own, under the run's name. */
async function watched(probe?: Probe) {
  const fleet = new Fleet([flow]);
  const [plan] = fleet.plans;
  assert.ok(plan !== undefined);
  const shadow = { ...plan, runOf: { pipeline: "flow", run: 1 } };
  const place = { part: "main", topic: "in", partition: 0, from: 0n, to: 3n };
  const range: RunRange = { places: [place], own: [], pins: {} };
  const runs = new Row(rowOf({ pipeline: "flow", run: 1, step: "range", range, follow: false }));
  const ports = { ...operatorOf(fleet).ports, runs: runs.reached(new WorkerSwitch()) };
  const reports: RunReport[] = [];
  const life = new AbortController();
  await fleet.send(
    input.name,
    [1, 2, 3].map((n) => ({ id: "k", n })),
  );
  const ended = watchRun(runs.row, {
    ...{ plan, shadow, ports: ports as unknown as ReprocessPorts, signal: life.signal },
    ...(probe === undefined ? {} : { probe }),
    report: (report) => void reports.push(report),
    waiting: (why) => assert.fail(why),
  });
  const line = (): string => progressLine(reports.at(-1) as RunReport);
  const end = async (): Promise<void> => {
    life.abort(new Error("the test is over"));
    await fleet.during(ended);
  };
  return { fleet, shadow, runs, reports, ended, line, end };
}

test("a run without workers says so in its line and in its row, and no more when they have come", async () => {
  const { fleet, runs, reports, ended, line } = await watched();
  await fleet.clock.advance(2_000);
  assert.equal(reports.at(-1)?.stall, null, "a short pause is no news");
  await fleet.clock.advance(5_000);
  assert.match(line(), /has decided nothing since 2026-.*: no worker has joined flow\.main$/);
  assert.match(runs.row.counts.stall?.why ?? "", /no worker has joined flow\.main/);
  await fleet.join();
  assert.equal((await fleet.during(ended)).state, "done");
  assert.doesNotMatch(line(), /has decided nothing/);
});

test("a run whose workers wait says for what", async () => {
  const reason = "flow-r1.main in-0 is paused: redis is away";
  const { fleet, line, end } = await watched(() =>
    Promise.resolve({ ok: false, reasons: [reason], tasks: [] }),
  );
  await fleet.clock.advance(8_000);
  assert.match(
    line(),
    /has decided nothing since .*: flow-r1\.main in-0 is paused: redis is away$/,
  );
  await end();
});

test("a run that is shut fails, and names a command that goes on with it", async () => {
  const { fleet, shadow, ended } = await watched();
  const note = { state: "halted", by: "breaker", code: "MILL_PIPELINE_HALTED" } as const;
  const facts = { message: "too many dead letters", atMs: fleet.clock.now(), owner: "w1" };
  const kafka = fleet.kafka.port();
  await fleet.during(sendOnce(kafka, [gateRecord(shadow.meta, { ...note, ...facts })]));
  const { state, error } = await fleet.during(ended);
  assert.equal(state, "failed");
  assert.match(error ?? "", /To go on: npx millrace reprocess run flow --run 1$/);
});
