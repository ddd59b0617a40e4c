import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { tablesVerb } from "../../../src/cli/tables.ts";
import { DEFAULT_PLAN_SETTINGS } from "../../../src/engine/core/plan-settings.ts";
import { postgresPool } from "../../../src/engine/clients/postgres/pool.ts";
import { contractTable } from "../../contract/table-store.ts";
import { command, type CommandResult } from "../../support/command.ts";
import { freshDatabase, type FreshDatabase } from "../../support/fresh-database.ts";
import { stillClock } from "./fixture.ts";

let database: FreshDatabase;
before(async () => {
  database = await freshDatabase();
});
after(() => database.drop());

const noPlans = () => [];
const millrace = (...argv: string[]): Promise<CommandResult> =>
  command(
    tablesVerb(() => {
      const pool = postgresPool({ url: database.url });
      const tables = [contractTable];
      const own = { pool, clock: stillClock, tables, ...DEFAULT_PLAN_SETTINGS };
      return Promise.resolve({ ...own, close: () => pool.close() });
    }, noPlans),
    ["tables", ...argv],
  );
const created = [
  "millrace.progress",
  "millrace.letters",
  "millrace.runs",
  "public.contract_orders",
];

test("plans, applies, and finds nothing to do the second time", async () => {
  const lines = created.map((table) => `create   ${table}`);
  for (const argv of [["plan"], ["apply", "--dry-run"], ["apply"]])
    assert.deepEqual(await millrace(...argv), { code: 0, out: lines, err: [] });
  const again = await millrace("apply");
  assert.deepEqual(
    again.out,
    created.map((table) => `ok       ${table}`),
  );
});

test("prints one JSON object a table, with the statements", async () => {
  await database.query("ALTER TABLE contract_orders DROP COLUMN source_topic");
  const { out } = await millrace("plan", "--json");
  assert.deepEqual(JSON.parse(out.at(-1) ?? ""), {
    table: "public.contract_orders",
    state: "change",
    rows: 0,
    steps: ["add column source_topic text"],
    sql: [`ALTER TABLE "public"."contract_orders" ADD COLUMN "source_topic" text`],
    notes: [],
    owner: [],
  });
  assert.equal((await millrace("apply")).code, 0);
});

test("exits 78 and changes nothing when a table differs for good", async () => {
  await database.query("ALTER TABLE contract_orders ALTER amount TYPE numeric");
  const plan = await millrace("plan");
  assert.equal(plan.code, 78);
  assert.match(plan.out.join("\n"), /cannot amount: expected type bigint, found numeric/);
  const mend = `ALTER TABLE "public"."contract_orders" ALTER COLUMN "amount" TYPE bigint USING "amount"::bigint`;
  const at = plan.out.indexOf("  its owner may run:");
  assert.deepEqual(
    plan.out.slice(at + 1, at + 4),
    ["BEGIN", mend, "COMMIT"].map((statement) => `    ${statement};`),
  );
  const apply = await millrace("apply");
  assert.equal(apply.code, 78);
  assert.match(apply.err.join("\n"), /MILL_TABLE_DIFFERS {2}.*expected type bigint, found numeric/);
});

test("tells of triggers and constraints that may refuse rows, and that is no difference", async () => {
  await database.query(`ALTER TABLE contract_orders ALTER amount TYPE bigint;
    CREATE FUNCTION audit() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RETURN NEW; END $$;
    CREATE TRIGGER audit AFTER INSERT OR UPDATE ON contract_orders FOR EACH ROW EXECUTE FUNCTION audit();
    CREATE UNIQUE INDEX one_amount ON contract_orders (amount)`);
  const plan = await millrace("plan");
  assert.deepEqual(
    [plan.code, plan.out.slice(-3)],
    [
      0,
      [
        "ok       public.contract_orders",
        "  note: trigger audit (after insert or update, each row): public.audit()",
        "  note: unique index one_amount: a row that breaks it becomes a dead letter",
      ],
    ],
  );
});
