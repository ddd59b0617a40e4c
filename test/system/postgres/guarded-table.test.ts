// A table of others, as a user has it: a trigger refuses rows by a code of its own, another writes an audit log that only the
// role's search_path finds. A real worker writes it under that role.
import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { after, before, test } from "node:test";
import { AppFigures } from "../../support/app-figures.ts";
import { appCommand, appOf, applyApp } from "../../support/app.ts";
import { eventually } from "../../support/eventually.ts";
import { freshDatabase, type FreshDatabase } from "../../support/fresh-database.ts";
import { sharedStack } from "../../support/stack.ts";
import { WorkerProcess } from "../../support/worker-process.ts";

const prefix = `guarded-t${randomBytes(4).toString("hex")}`;
process.env["TEST_TOPICS"] = prefix;
const { guarded, orders } = await import("../../support/apps/guarded.ts");
const app = appOf("guarded", { TEST_TOPICS: prefix });
const role = `guarded_${randomBytes(4).toString("hex")}`;

let database: FreshDatabase;
let env: Record<string, string>;
let figures: AppFigures;
let sent = 0;

const AUDIT = "CREATE TABLE app.audit_log (id text, amount integer)";

before(async () => {
  database = await freshDatabase();
  const stack = await sharedStack();
  await applyApp(app, { ...stack, DATABASE_URL: database.url });
  await database.query(`CREATE SCHEMA app; ${AUDIT};
    CREATE ROLE ${role} LOGIN PASSWORD 'right'; ALTER ROLE ${role} SET search_path = app, public;
    GRANT USAGE ON SCHEMA app, millrace TO ${role}; GRANT INSERT ON app.audit_log TO ${role};
    GRANT SELECT, INSERT, UPDATE, DELETE ON orders, millrace.progress, millrace.letters TO ${role};
    CREATE FUNCTION app.audit() RETURNS trigger LANGUAGE plpgsql AS
      $$ BEGIN INSERT INTO audit_log VALUES (NEW.id, NEW.amount); RETURN NULL; END $$;
    CREATE TRIGGER audit AFTER INSERT ON orders FOR EACH ROW EXECUTE FUNCTION app.audit();
    CREATE FUNCTION app.guard() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
      IF NEW.amount = 999 THEN RAISE EXCEPTION 'no to %', NEW.id USING ERRCODE = '45000'; END IF;
      IF NEW.amount = 888 THEN RETURN NULL; END IF;
      RETURN NEW; END $$;
    CREATE TRIGGER guard BEFORE INSERT ON orders FOR EACH ROW EXECUTE FUNCTION app.guard()`);
  const url = new URL(database.url);
  url.username = role;
  url.password = "right";
  env = { ...stack, DATABASE_URL: url.href };
  figures = new AppFigures(guarded.plan(), env);
});
after(async () => {
  await figures.close();
  await database.query(`DROP OWNED BY ${role}; DROP ROLE ${role}`);
  await database.drop();
});

/** A record for each of these amounts. */
async function send(...amounts: readonly number[]): Promise<void> {
  const producer = figures.clients.kafka.producer();
  await producer.send(
    amounts.map((amount) => ({
      topic: orders.name,
      partition: 0,
      key: Buffer.from("k"),
      value: Buffer.from(JSON.stringify({ id: `order-${String(sent++)}`, amount })),
      headers: [],
      timestamp: Date.now(),
    })),
  );
  await producer.close();
}

const amountsIn = async (table: string): Promise<number[]> =>
  (await database.query<{ amount: number }>(`SELECT amount FROM ${table} ORDER BY amount`)).map(
    ({ amount }) => amount,
  );

test("a trigger's own code is one letter, the role's search_path holds, a broken trigger stops until it is mended", async (t) => {
  const worker = await WorkerProcess.start(t, { args: [], env, app });
  await worker.ready();
  await send(1, 2, 999, 888, 3);
  await figures.drained();
  await send(999);
  await send(4);
  await figures.drained();
  assert.deepEqual(await amountsIn("orders"), [1, 2, 3, 4]);
  assert.deepEqual(await amountsIn("app.audit_log"), [1, 2, 3, 4]);
  const letters = await eventually("both letters", async () => {
    const found = await figures.raw(`${prefix}-dead-letters`);
    return found.length === 2 ? found : null;
  });
  for (const { headers } of letters) {
    const told = new Map(headers.map(([name, value]) => [name, String(value)]));
    assert.equal(told.get("dlq.class"), "sink");
    assert.equal(told.get("dlq.code"), "45000");
    assert.equal(told.get("dlq.message"), "45000 refused, raised by guard() line 2");
  }
  const listed = await appCommand(app, ["dlq", "list", prefix], env);
  assert.match(listed.out, /^2 +sink +orders +- +45000 +2 open/m);
  const ledger = await figures.ledger("orders");
  assert.deepEqual(
    [ledger.consumed, ledger.emitted, ledger["dead-lettered"], ledger.filtered],
    [7, 4, { sink: 2 }, { orders: 1 }],
  );

  await database.query("DROP TABLE app.audit_log");
  await send(5);
  const reason = await eventually("the task has stopped", async () => {
    const { tasks = [] } = (await worker.health()) ?? {};
    const [task] = tasks.filter(({ topic, state }) => topic === orders.name && state === "stopped");
    return task === undefined ? null : JSON.stringify(task);
  });
  assert.match(
    reason,
    /MILL_TABLE_TRIGGER.*42P01 no such table, in audit\(\) line 1; mend that function/,
  );
  await database.query(`${AUDIT}; GRANT INSERT ON app.audit_log TO ${role}`);
  const resumed = await appCommand(app, ["resume", prefix], env);
  assert.equal(resumed.code, 0, resumed.out);
  assert.match(resumed.out, /orders-0 runs again/);
  await figures.drained();
  assert.deepEqual(await amountsIn("orders"), [1, 2, 3, 4, 5]);
  assert.deepEqual(await worker.drain(), { code: 0, signal: null });
});

test("a right that is missing is told at the start, with the SQL", async () => {
  await database.query(`REVOKE INSERT ON orders FROM ${role}`);
  const started = await appCommand(app, ["run"], env);
  assert.equal(started.code, 4, started.out);
  const grant = `GRANT SELECT, INSERT, UPDATE ON "public"."orders" TO "${role}"`;
  assert.ok(started.out.includes(grant), started.out);
  const plan = await appCommand(app, ["tables", "plan"], env);
  assert.equal(plan.code, 78, plan.out);
  assert.ok(plan.out.includes(`    ${grant};`), plan.out);
  await database.query(grant);
  assert.equal((await appCommand(app, ["tables", "plan"], env)).code, 0);
});
