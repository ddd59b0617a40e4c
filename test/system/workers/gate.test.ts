// Real workers whose pipeline is halted by dead letters, drained and closed by a command, and goes on: every record once.
import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { after, before, test } from "node:test";
import { isDrained } from "../../../src/engine/operate/gate/drained.ts";
import { isEmpty } from "../../support/gating.ts";
import { commandIn } from "../../support/named-command.ts";
import { openGate, shutGate } from "../../../src/engine/operate/gate/gate.ts";
import type { OperatePorts } from "../../../src/engine/operate/choice.ts";
import { headerText } from "../../../src/engine/core/record.ts";
import { recordOf } from "../../../src/engine/letters/pointer.ts";
import { readLetters } from "../../../src/engine/letters/read-letters.ts";
import type { GateNote, ShutState } from "../../../src/engine/notes/gate-note.ts";
import { AppFigures } from "../../support/app-figures.ts";
import { appCommand, appOf, applyApp, type Ended } from "../../support/app.ts";
import type { Sale } from "../../support/apps/totals.ts";
import { eventually } from "../../support/eventually.ts";
import { freshDatabase, type FreshDatabase } from "../../support/fresh-database.ts";
import { sharedStack } from "../../support/stack.ts";
import { WorkerProcess } from "../../support/worker-process.ts";

const prefix = `gate-t${randomBytes(4).toString("hex")}`;
process.env["TEST_TOPICS"] = prefix;
const { sales, summing } = await import("../../support/apps/totals.ts");
const app = appOf("totals", { TEST_TOPICS: prefix });
const plan = summing.plan();

let database: FreshDatabase;
let env: Record<string, string>;
let figures: AppFigures;
let ports: OperatePorts;
const expected = new Map<string, number>();

before(async () => {
  database = await freshDatabase();
  env = { ...(await sharedStack()), DATABASE_URL: database.url };
  figures = new AppFigures(plan, env);
  ports = { ...figures.clients, admin: figures.clients.kafka.admin() };
  await applyApp(app, env);
});
after(async () => {
  await ports.admin.close();
  await figures.close();
  await database.drop();
});

const resume = (...argv: string[]): Promise<Ended> =>
  appCommand(app, ["resume", prefix, ...argv], env);

async function sendValues(values: readonly Buffer[], partition: number): Promise<void> {
  const producer = figures.clients.kafka.producer();
  const at = { topic: sales.name, partition, key: Buffer.from("till"), headers: [] };
  await producer.send(values.map((value) => ({ ...at, value, timestamp: Date.now() })));
  await producer.close();
}

async function sendSales(count: number): Promise<void> {
  for (const partition of [0, 1]) {
    const values = Array.from({ length: count / 2 }, (_, n) => {
      const sale: Sale = { shop: `shop-${String(n % 7)}`, amount: 1 + (n % 13) };
      expected.set(sale.shop, (expected.get(sale.shop) ?? 0) + sale.amount);
      return Buffer.from(JSON.stringify(sale));
    });
    await sendValues(values, partition);
  }
}

const bad = (count: number): Buffer[] =>
  Array.from({ length: count }, () => Buffer.from("no json"));

async function assertRows(): Promise<void> {
  const rows = await database.query<{ shop: string; total: number }>("SELECT * FROM totals");
  assert.deepEqual(new Map(rows.map(({ shop, total }) => [shop, total])), expected);
}

const reasonOf = (worker: WorkerProcess, shape: RegExp): Promise<string> =>
  eventually(`/ready says ${String(shape)}`, async () => {
    const { reasons = [] } = (await worker.health()) ?? {};
    return reasons.find((reason) => shape.test(reason)) ?? null;
  });

const emptied = (): Promise<true> =>
  eventually("its groups are empty", async () => ((await isEmpty(plan, ports)) ? true : null));

const consumed = async (): Promise<number> => (await figures.ledger("main")).consumed ?? 0;

test("251 bad records halt the pipeline in every process and after a restart, until it is resumed", async (t) => {
  const args = ["--workers", "2"];
  const first = await WorkerProcess.start(t, { args, env, app });
  await first.ready();
  await sendSales(200);
  await figures.drained();
  await sendValues(bad(300), 0);
  const reason = await reasonOf(first, / is halted since /);
  assert.match(
    reason,
    new RegExp(
      `MILL_PIPELINE_HALTED .*: more than 250 among the last 5000 records\\. To go on: npx millrace resume ${prefix}$`,
    ),
  );
  await emptied();
  assert.equal(await consumed(), 450);
  assert.deepEqual(await first.drain(), { code: 0, signal: null });

  const second = await WorkerProcess.start(t, { args, env, app });
  await reasonOf(second, / is halted since /);
  await sendSales(100);
  const shown = await resume("--dry-run", "--json");
  const { state, by } = JSON.parse(shown.out) as Record<string, string>;
  assert.deepEqual([shown.code, state, by], [0, "halted", "breaker"]);
  assert.equal(await consumed(), 450);
  const resumed = await appCommand(app, commandIn(reason), env);
  assert.equal(resumed.code, 0, resumed.out);
  assert.match(resumed.out, new RegExp(`^${prefix} goes on$`, "m"));
  await figures.drained();
  assert.equal(await consumed(), 600);
  await assertRows();
  const none = await resume();
  assert.deepEqual([none.code, none.out.trim()], [0, "Nothing has stopped."]);
  assert.deepEqual(await second.drain(), { code: 0, signal: null });

  const third = await WorkerProcess.start(t, { args: ["--no-breaker"], env, app });
  await third.ready();
  await sendValues(bad(300), 1);
  await figures.drained();
  assert.equal(await consumed(), 900);
  assert.deepEqual(await third.drain(), { code: 0, signal: null });
  t.diagnostic([reason, resumed.out].join("\n"));
});

test("drained, closed and opened, with a worker on either side of it: every record once", async (t) => {
  const running = await WorkerProcess.start(t, { args: [], env, app });
  await running.ready();
  const before = await consumed();
  const gate = (state: ShutState): Promise<void> => {
    const atMs = figures.clients.clock.now();
    const facts = { code: "MILL_GATE_HELD", message: "a test", atMs, owner: "test" };
    const note: GateNote = { state, by: "promote", ...facts };
    return shutGate(plan, note, { ports });
  };
  await sendSales(2_000);
  await gate("draining");
  await reasonOf(running, / is draining since /);
  await sendSales(200);
  await eventually("it is drained", async () => ((await isDrained(plan, ports)) ? true : null));
  await gate("closed");
  await emptied();
  assert.equal(await isDrained(plan, ports), true);
  assert.ok((await consumed()) <= before + 2_000);
  const late = await WorkerProcess.start(t, { args: [], env, app });
  await reasonOf(late, / is closed since /);
  assert.equal(await isEmpty(plan, ports), true);
  await openGate(plan, "test", { ports });
  await late.ready();
  await running.ready();
  await figures.drained();
  assert.equal(await consumed(), before + 2_200);
  await assertRows();
  assert.deepEqual(await running.drain(), { code: 0, signal: null });
  assert.deepEqual(await late.drain(), { code: 0, signal: null });
});

test("a record as large as its topic takes becomes a letter that names it, since all of it would not fit", async (t) => {
  const bytesMax = 4_000_000;
  await ports.admin.alterTopicConfig(sales.name, { "max.message.bytes": String(bytesMax) });
  const value = Buffer.alloc(bytesMax - 100, "x");
  await eventually("the broker takes it", async () =>
    sendValues([value], 0).then(
      () => true as const,
      () => null,
    ),
  );
  const worker = await WorkerProcess.start(t, { args: [], env, app });
  await worker.ready();
  await figures.drained();
  const raws = await figures.raw(plan.deadLetters);
  const raw = raws.find(({ headers }) => headerText(headers, "dlq.pointer") !== null);
  assert.equal(raw?.value, null);
  assert.equal(headerText(raw.headers, "dlq.value-bytes"), String(value.length));
  const { letters } = await readLetters(plan, ports, ({ pointer }) => pointer !== null);
  const letter = letters.find(({ pointer }) => pointer !== null);
  assert.ok(letter !== undefined);
  const found = await recordOf(plan, letter, ports);
  assert.ok("record" in found);
  assert.ok(found.record.value?.equals(value));
  assert.deepEqual([String(found.record.key), found.record.headers], ["till", []]);
  assert.deepEqual(await worker.drain(), { code: 0, signal: null });
});
