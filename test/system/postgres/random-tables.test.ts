// Whatever tables others have, whatever is declared of them and whichever pipelines are named: `tables apply` changes nothing
// of a table of others, and of ours only what is declared; the SQL that it prints for an owner is whole.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { tablesVerb } from "../../../src/cli/tables.ts";
import { postgresPool, type PostgresPool } from "../../../src/engine/clients/postgres/pool.ts";
import { DEFAULT_PLAN_SETTINGS } from "../../../src/engine/core/plan-settings.ts";
import { checkTables } from "../../../src/engine/provision/tables/tables.ts";
import { command } from "../../support/command.ts";
import { rowsWritten, tableState, type TableState } from "../../support/foreign-tables.ts";
import { freshDatabase, type FreshDatabase } from "../../support/fresh-database.ts";
import {
  randomTables,
  rowOf,
  type RandomTable,
  type RandomTables,
} from "../../support/random-tables.ts";
import { stillClock } from "./fixture.ts";

/** About two seconds each. */
const SEEDS = Number(process.env["MILLRACE_TEST_SEEDS"] ?? 8);
let database: FreshDatabase;
let pool: PostgresPool;
before(async () => {
  database = await freshDatabase();
  pool = postgresPool({ url: database.url });
});
after(async () => {
  await pool.close();
  await database.drop();
});

const millrace = ({ tables, plans }: RandomTables, ...argv: string[]) =>
  command(
    tablesVerb(
      () =>
        Promise.resolve({
          ...{ pool, clock: stillClock, ...DEFAULT_PLAN_SETTINGS },
          tables: tables.map(({ table }) => table as never),
          close: () => Promise.resolve(),
        }),
      () => plans,
    ),
    ["tables", ...argv],
  );

const stateOf = ({ table }: RandomTable): Promise<TableState> =>
  tableState(database, table.schema, table.name);
const isNamed = ({ name }: RandomTable, named: readonly string[]): boolean =>
  named.length === 0 || named.includes(`p-${name.slice(2)}`);
const withoutRows = ({ rows: _rows, ...state }: TableState) => state;

/** The aspects of our table that nothing declares. */
const undeclared = ({ fields, hasDescription }: RandomTable, state: TableState) => ({
  ...{ owner: state.owner, rights: state.rights, triggers: state.triggers },
  comment: hasDescription ? null : state.comment,
  columns: state.columns
    .filter(({ name }) => fields.every((field) => field.name !== name) && name !== "processed_at")
    .concat(state.columns.filter(({ name }) => name === "b"))
    .map((column) => {
      const field = fields.find(({ name }) => name === column.name);
      const isDocumented = (field?.doc ?? null) !== null;
      return {
        ...column,
        comment: isDocumented ? null : column.comment,
        ...(field === undefined ? {} : { nullable: null }),
      };
    }),
  checks: state.checks.filter((check) => !JSON.stringify(check).includes("declared: ")),
});

/** Every index and constraint that was there is there still. */
const assertKept = (was: TableState, now: TableState, message: string): void => {
  for (const kind of ["indexes", "constraints"] as const)
    for (const one of was[kind]) assert.ok(now[kind].includes(one), `${message}: ${one}`);
};

async function judge(seed: number): Promise<{ code: number; scripts: number }> {
  const drawn = await randomTables(seed, database, pool);
  const { tables, named } = drawn;
  const message = `MILLRACE_TEST_SEED=${String(seed)}`;
  const before = await Promise.all(tables.map(stateOf));
  const { code, out } = await millrace(drawn, "apply", ...named);
  assert.ok([0, 78].includes(code), `${message}: ${out.join("\n")}`);
  const after = await Promise.all(tables.map(stateOf));
  tables.forEach((one, at) => {
    const [was, now] = [before[at] as TableState, after[at] as TableState];
    if (code !== 0 || !isNamed(one, named)) return assert.deepEqual(now, was, message);
    if (!one.isOurs) {
      assert.deepEqual(withoutRows(now), withoutRows(was), message);
      return assert.ok(
        was.rows.every((row) => now.rows.includes(row)),
        message,
      );
    }
    assert.deepEqual(undeclared(one, now), undeclared(one, was), message);
    assertKept(was, now, message);
  });
  return { code, scripts: await ownersRun(drawn, message) };
}

/** Each owner runs the script that was printed; then a plan and a worker are content. Returns how many there were. */
async function ownersRun(drawn: RandomTables, message: string): Promise<number> {
  const { out } = await millrace(drawn, "plan");
  const scripts = out.join("\n").match(/^ {4}BEGIN;$[^]*?^ {4}COMMIT;$/gm) ?? [];
  for (const script of scripts) await database.query(script);
  const applied = await millrace(drawn, "apply");
  assert.equal(applied.code, 0, `${message}: ${[...applied.out, ...applied.err].join("\n")}`);
  for (const { table, fields } of drawn.tables) {
    assert.deepEqual(await checkTables([table as never], pool), [], message);
    const row = rowOf(fields, "new");
    const values = fields.map(({ name }) => row[name]);
    assert.equal(await rowsWritten(pool, table as never, [values]), 1, message);
  }
  return scripts.length;
}

test("nothing that is not declared changes, and the owners' scripts are whole", async (t) => {
  const first = Number(process.env["MILLRACE_TEST_SEED"] ?? 1);
  t.diagnostic(`MILLRACE_TEST_SEED=${String(first)}`);
  const runs: Awaited<ReturnType<typeof judge>>[] = [];
  for (let seed = first; seed < first + SEEDS; seed++) runs.push(await judge(seed));
  for (const exit of [0, 78])
    assert.ok(
      runs.some(({ code }) => code === exit),
      `no run ends with ${String(exit)}`,
    );
  assert.ok(runs.reduce((sum, { scripts }) => sum + scripts, 0) > SEEDS / 2, "few scripts");
});
