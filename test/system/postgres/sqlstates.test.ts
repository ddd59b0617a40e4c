// A refusal's SQLSTATE, made by triggers, constraints, policies, views and rights of a real Postgres: a letter, a wait or a
// stop, as docs/errors.md says. Each row is tried among good ones, and where that tells more, alone.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { after, before, describe, test } from "node:test";
import { postgresPool, type PostgresPool } from "../../../src/engine/clients/postgres/pool.ts";
import { MillraceError } from "../../../src/engine/core/errors.ts";
import { emptyLedger } from "../../../src/engine/core/ledger.ts";
import type { RowRefusal, SinkRow } from "../../../src/engine/core/ports.ts";
import { postgresTableStore } from "../../../src/engine/sinks/postgres/table-store.ts";
import { contractTable } from "../../contract/table-store.ts";
import { postgresFixture, stillClock, type PostgresFixture } from "./fixture.ts";

type End = "letter" | "wait" | "stop";

/** The documented table: what docs/errors.md says of a code. */
const doc = readFileSync(new URL("../../../docs/errors.md", import.meta.url), "utf8");
const documented = new Map(
  (doc.split("### Rows that Postgres refuses")[1] ?? "")
    .split("\n## ")[0]
    ?.matchAll(/^\| ([0-9A-Z, ]+) \| (.+?) \|/gm)
    .flatMap(([, states = "", end = ""]) => states.split(", ").map((s) => [s, end] as const)),
);
const said = (code: string): string =>
  documented.get(code) ?? documented.get(code.slice(0, 2)) ?? "a letter";

interface Outcome {
  readonly written: readonly number[];
  readonly refusals: readonly RowRefusal[];
  readonly error: MillraceError | null;
}

/** The amount that triggers take for the bad one. */
const BAD = 999;
const SECRET = "Secret-7f3a";

describe("a row that Postgres refuses", () => {
  let fixture: PostgresFixture;
  before(async () => {
    fixture = await postgresFixture([contractTable]);
    await fixture.database.query("CREATE SCHEMA app");
  });
  after(() => fixture.close());
  const sql = (text: string): Promise<object[]> => fixture.database.query(text);

  let tasks = 0;
  const started = async (pool: PostgresPool = fixture.pool) => {
    const store = postgresTableStore(pool, contractTable, { clock: stillClock });
    const topic = `sqlstates-${String(++tasks)}`;
    const task = { pipeline: "sqlstates", part: "contract_orders", topic, partition: 0 };
    const { epoch } = await store.takeOver(task, () => Promise.resolve(0n));
    return async (amounts: readonly number[]): Promise<Outcome> => {
      const refusals: RowRefusal[] = [];
      const rows = amounts.map((amount, index): SinkRow => ({
        values: [`${SECRET}-${topic}-${String(index)}`, amount, 1_000],
        index,
        offset: BigInt(index),
        timestamp: 0,
      }));
      const commit = {
        ...{ task, epoch, expectedOffset: 0n, nextOffset: 9n, rows, letters: [] },
        refused: ({ offset }: SinkRow, refusal: RowRefusal) => {
          refusals.push(refusal);
          const id = `${topic}-${String(offset)}`;
          return {
            id,
            topic: "x",
            partition: 0,
            key: null,
            value: null,
            headers: [],
            timestamp: 0,
          };
        },
        ledger: emptyLedger,
      };
      try {
        const { written } = await store.commit(commit);
        return { written: [...written].sort(), refusals, error: null };
      } catch (error) {
        assert.ok(error instanceof MillraceError, String(error));
        return { written: [], refusals: [], error };
      }
    };
  };

  const endOf = ({ error, refusals }: Outcome): End | "written" => {
    if (error === null) return refusals.length > 0 ? "letter" : "written";
    return error.disposition === "retry" ? "wait" : "stop";
  };
  const text = ({ error, refusals }: Outcome): string =>
    [error?.message ?? "", ...refusals.map((r) => `${r.code} ${r.message}`)].join(" ");

  const ONE = [1, 2, BAD, 3, 4];
  const among = async (): Promise<Outcome> => (await started())(ONE);
  const alone = async (): Promise<Outcome> => (await started())([BAD]);

  /** A trigger that does something to the bad row. */
  const trigger = (body: string, when = "BEFORE INSERT", level = "ROW"): Promise<object[]> =>
    sql(`CREATE FUNCTION app.guard() RETURNS trigger LANGUAGE plpgsql AS $guard$ ${body} $guard$;
      CREATE TRIGGER guard ${when} ON contract_orders FOR EACH ${level} EXECUTE FUNCTION app.guard()`);
  const forBad = (statement: string): string =>
    `BEGIN IF NEW.amount = ${String(BAD)} THEN ${statement}; END IF; RETURN NEW; END`;
  const untrigger = (): Promise<object[]> => sql("DROP FUNCTION IF EXISTS app.guard CASCADE");

  const isOneLetter = (outcome: Outcome, code: string): void => {
    assert.equal(outcome.error, null, text(outcome));
    assert.deepEqual(
      [outcome.written, outcome.refusals.map((refusal) => refusal.code)],
      [[0, 1, 3, 4], [code]],
    );
    assert.doesNotMatch(text(outcome), new RegExp(SECRET));
  };

  // Postgres' own classes and codes of nobody, those that otherwise wait or stop among them.
  const raised =
    "45000 ABCDE U0001 P0001 P0002 02000 08006 0A000 20000 21000 22012 22P02 23502 23505 23514 25006 25P02 28000 2F005 38000 39000 3D000 3F000 40001 40P01 42501 42703 42804 42883 428C9 42P01 44000 53100 53300 54000 54001 55000 55P03 57014 57P01 57P03 58030 72000 F0000 HV000 HV00N XX000 XX001";
  for (const code of raised.split(" "))
    test(`by RAISE with ${code} is one letter`, async () => {
      const raise = `RAISE EXCEPTION 'no %', NEW.order_id USING ERRCODE = '${code}', CONSTRAINT = NEW.order_id`;
      await trigger(forBad(raise));
      const outcome = await among();
      await untrigger();
      isOneLetter(outcome, code);
      assert.match(text(outcome), /raised by app\.guard\(\) line 1/);
    });

  test("alone by RAISE is a letter, whatever the code, unless that says: come again", async () => {
    for (const code of ["45000", "42P01", "XX001", "25P02"]) {
      await trigger(forBad(`RAISE EXCEPTION USING ERRCODE = '${code}'`));
      const outcome = await alone();
      await untrigger();
      assert.deepEqual(
        outcome.refusals.map((r) => r.code),
        [code],
        text(outcome),
      );
    }
  });

  test("alone by RAISE with a code that says come again is waited for, then a letter", async () => {
    await trigger(forBad("RAISE EXCEPTION USING ERRCODE = '40001'"));
    const commit = await started();
    const ends: string[] = [];
    for (let i = 0; i < 20 && ends.at(-1) !== "letter"; i++) ends.push(endOf(await commit([BAD])));
    await untrigger();
    assert.deepEqual(ends, [...Array<string>(10).fill("wait"), "letter"]);
  });

  test("by RAISE with 40001 passes as soon as its trigger lets it", async () => {
    await trigger(forBad("RAISE EXCEPTION USING ERRCODE = '40001'"));
    const commit = await started();
    assert.equal(endOf(await commit([BAD])), "wait");
    await untrigger();
    assert.equal(endOf(await commit([BAD])), "written");
  });

  // The errors of Postgres itself inside of a trigger.
  const inTrigger: readonly (readonly [string, string])[] = [
    ["20000", "CASE NEW.amount WHEN 1 THEN NULL; END CASE"],
    ["22012", "PERFORM 1 / (NEW.amount - NEW.amount)"],
    ["22P02", "PERFORM NEW.order_id::integer"],
    ["22003", "PERFORM NEW.amount::integer * 2147483647"],
    ["P0002", "PERFORM 1; SELECT 1 INTO STRICT NEW.amount WHERE false"],
    ["P0003", "SELECT n INTO STRICT NEW.amount FROM generate_series(1, 2) n"],
    ["P0004", "ASSERT false"],
    ["0A000", "PERFORM count(*) FROM millrace.progress FOR UPDATE"],
    ["2D000", "COMMIT"],
    ["3F000", "CREATE TABLE nowhere.t ()"],
    ["42501", "SET LOCAL ROLE sqlstates_reader; INSERT INTO millrace.runs DEFAULT VALUES"],
    ["42601", "EXECUTE 'SELEC 1'"],
    ["42703", "NEW.nothing := 1"],
    ["42704", "PERFORM NULL::nothing"],
    ["42883", "PERFORM app.nothing()"],
    ["42P01", "INSERT INTO app.nothing VALUES (1)"],
    ["54001", "PERFORM app.deep()"],
    ["55000", "PERFORM currval('app.numbers')"],
    ["2F005", "EXIT whole"],
  ];
  for (const [code, statement] of inTrigger)
    test(`by ${code} inside of a trigger: ${said(code)}`, async () => {
      await sql(`CREATE SEQUENCE IF NOT EXISTS app.numbers;
        CREATE OR REPLACE FUNCTION app.deep() RETURNS void LANGUAGE plpgsql AS $$ BEGIN PERFORM app.deep(); END $$`);
      if (code === "42501")
        await sql("DROP ROLE IF EXISTS sqlstates_reader; CREATE ROLE sqlstates_reader");
      // A function that ends without RETURN for the bad row.
      const body = code === "2F005" ? `<<whole>> ${forBad(statement)}` : forBad(statement);
      await trigger(body);
      const [one, only] = [await among(), await alone()];
      await untrigger();
      if (code === "42501") await sql("DROP ROLE sqlstates_reader");
      isOneLetter(one, code);
      const isSure = said(code) === "a letter";
      assert.equal(endOf(only), isSure ? "letter" : "stop", text(only));
      if (isSure) return;
      assert.equal(only.error?.code, "MILL_TABLE_TRIGGER", text(only));
      assert.match(
        text(only),
        new RegExp(`${code} .*app\\.(guard|deep)\\(\\).*; mend that function`),
      );
      assert.doesNotMatch(text(only), new RegExp(SECRET));
    });

  test("for a trigger's own fault stops when every row is refused so, and nothing is written", async () => {
    await trigger("BEGIN INSERT INTO app.audit_log VALUES (NEW.amount); RETURN NEW; END");
    const outcome = await (await started())([...Array(300).keys()]);
    await sql("CREATE TABLE app.audit_log (amount bigint)");
    const mended = await among();
    await untrigger();
    await sql("DROP TABLE app.audit_log");
    assert.equal(outcome.error?.code, "MILL_TABLE_TRIGGER", text(outcome));
    assert.match(text(outcome), /42P01 no such table, in app\.guard\(\) line 1/);
    assert.equal(mended.written.length, 5);
  });

  test("by a statement's trigger is no row at all: the task stops, whatever the code", async () => {
    for (const code of ["45000", "P0001", "23514"]) {
      await trigger(
        `BEGIN RAISE EXCEPTION USING ERRCODE = '${code}'; END`,
        "BEFORE INSERT",
        "STATEMENT",
      );
      const outcome = await among();
      await untrigger();
      assert.equal(outcome.error?.code, "MILL_TABLE_TRIGGER", text(outcome));
    }
    await trigger(
      "BEGIN RAISE EXCEPTION USING ERRCODE = '57014'; END",
      "BEFORE INSERT",
      "STATEMENT",
    );
    assert.equal(endOf(await among()), "wait");
    await untrigger();
  });

  // Constraints and the like, each made by one statement and taken away by another.
  const parent = "FOREIGN KEY (amount) REFERENCES app.known";
  const range = "EXCLUDE USING gist (int8range(amount, amount, '[]') WITH &&)";
  const fences: readonly (readonly [string, string, string])[] = [
    ["23514", "a check", "CHECK (amount < 900)"],
    ["23503", "a foreign key", parent],
    ["23503", "a deferred foreign key", `${parent} DEFERRABLE INITIALLY DEFERRED`],
    ["23P01", "a deferred exclusion", `${range} DEFERRABLE INITIALLY DEFERRED`],
  ];
  for (const [code, what, fence] of fences)
    test(`by ${code}, ${what}, is one letter`, async () => {
      await sql(`DELETE FROM contract_orders; CREATE TABLE app.known (n bigint PRIMARY KEY);
        INSERT INTO app.known SELECT generate_series(0, 900)`);
      if (code === "23P01") await (await started())([BAD]);
      await sql(`ALTER TABLE contract_orders ADD CONSTRAINT fence ${fence}`);
      const outcome = await among();
      await sql("ALTER TABLE contract_orders DROP CONSTRAINT fence; DROP TABLE app.known");
      isOneLetter(outcome, code);
      assert.match(text(outcome), /fence/);
    });

  test("by a unique index beside the key is one letter", async () => {
    await sql("DELETE FROM contract_orders");
    await (
      await started()
    )([BAD]);
    await sql("CREATE UNIQUE INDEX fence ON contract_orders (amount)");
    const outcome = await among();
    await sql("DROP INDEX fence");
    isOneLetter(outcome, "23505");
    assert.match(text(outcome), /constraint fence/);
  });

  test("by a constraint trigger that fires at COMMIT is one letter, also when a trigger has put it off again", async () => {
    await trigger(forBad("RAISE EXCEPTION USING ERRCODE = '45001'"), "AFTER INSERT");
    await sql(`DROP TRIGGER guard ON contract_orders;
      CREATE CONSTRAINT TRIGGER guard AFTER INSERT ON contract_orders DEFERRABLE INITIALLY DEFERRED
        FOR EACH ROW EXECUTE FUNCTION app.guard();
      CREATE FUNCTION app.later() RETURNS trigger LANGUAGE plpgsql AS
        $$ BEGIN SET CONSTRAINTS ALL DEFERRED; RETURN NEW; END $$;
      CREATE TRIGGER later BEFORE INSERT ON contract_orders FOR EACH ROW EXECUTE FUNCTION app.later()`);
    const outcome = await among();
    await sql("DROP FUNCTION app.later CASCADE");
    await untrigger();
    isOneLetter(outcome, "45001");
  });

  test("by a domain and by a column of a trigger's table is one letter", async () => {
    await sql(`CREATE TABLE app.strict (amount bigint NOT NULL);
      CREATE DOMAIN app.small AS bigint CHECK (value < 900)`);
    for (const [code, statement] of [
      ["23502", "INSERT INTO app.strict VALUES (NULL)"],
      ["23514", "PERFORM NEW.amount::app.small"],
    ] as const) {
      await trigger(forBad(statement));
      const [one, only] = [await among(), await alone()];
      await untrigger();
      isOneLetter(one, code);
      assert.equal(endOf(only), "letter", text(only));
    }
    await sql("DROP TABLE app.strict; DROP DOMAIN app.small");
  });

  test("by a column that nobody declared stops when it is alone, with the SQL that mends it", async () => {
    await sql(
      "DELETE FROM contract_orders; ALTER TABLE contract_orders ADD extra integer NOT NULL",
    );
    const outcome = await among();
    await sql("ALTER TABLE contract_orders DROP extra");
    assert.equal(outcome.error?.code, "MILL_TABLE_DIFFERS", text(outcome));
    assert.match(
      text(outcome),
      /23502 .*column extra.*: ALTER TABLE "public"\."contract_orders" ALTER COLUMN "extra" DROP NOT NULL/,
    );
  });

  test("by a policy or a view's check option is one letter, among others and alone", async () => {
    const name = `policed_${String(process.pid)}`;
    await sql(`CREATE ROLE ${name} LOGIN PASSWORD 'right'; GRANT USAGE ON SCHEMA millrace TO ${name};
      GRANT ALL ON ALL TABLES IN SCHEMA millrace, public TO ${name};
      ALTER TABLE contract_orders ENABLE ROW LEVEL SECURITY;
      CREATE POLICY small ON contract_orders USING (true) WITH CHECK (amount < 900);
      ALTER TABLE contract_orders RENAME TO behind;
      CREATE VIEW contract_orders AS SELECT * FROM behind WHERE amount < 900 WITH CHECK OPTION`);
    const [viewed, viewedAlone] = [await among(), await alone()];
    await sql("DROP VIEW contract_orders; ALTER TABLE behind RENAME TO contract_orders");
    const url = new URL(fixture.database.url);
    url.username = name;
    url.password = "right";
    const pool = postgresPool({ url: url.href });
    const [policed, policedAlone] = [
      await (await started(pool))(ONE),
      await (await started(pool))([BAD]),
    ];
    await pool.close();
    await sql(`ALTER TABLE contract_orders DISABLE ROW LEVEL SECURITY;
      DROP POLICY small ON contract_orders; DROP OWNED BY ${name}; DROP ROLE ${name}`);
    isOneLetter(viewed, "44000");
    assert.equal(endOf(viewedAlone), "letter");
    isOneLetter(policed, "42501");
    assert.match(text(policed), /refused by a row-level policy/);
    assert.equal(endOf(policedAlone), "letter");
  });

  // The table's fault: no row is looked for, however many there are.
  const stops: readonly (readonly [string, string, string])[] = [
    [
      "428C9",
      "ALTER TABLE contract_orders DROP source_topic, ADD source_topic text GENERATED ALWAYS AS ('x') STORED",
      "ALTER TABLE contract_orders DROP source_topic, ADD source_topic text",
    ],
    [
      "42P10",
      "ALTER TABLE contract_orders DROP CONSTRAINT contract_orders_pkey",
      "DELETE FROM contract_orders; ALTER TABLE contract_orders ADD PRIMARY KEY (order_id)",
    ],
    [
      "42703",
      "ALTER TABLE contract_orders RENAME amount TO sum",
      "ALTER TABLE contract_orders RENAME sum TO amount",
    ],
    [
      "42804",
      "ALTER TABLE contract_orders ALTER source_topic TYPE jsonb USING NULL",
      "ALTER TABLE contract_orders ALTER source_topic TYPE text",
    ],
    [
      "42P01",
      "ALTER TABLE contract_orders RENAME TO elsewhere",
      "ALTER TABLE elsewhere RENAME TO contract_orders",
    ],
    [
      "0A000",
      "CREATE RULE none AS ON INSERT TO contract_orders DO INSTEAD NOTHING",
      "DROP RULE none ON contract_orders",
    ],
    [
      "55000",
      "ALTER TABLE contract_orders DROP CONSTRAINT contract_orders_pkey, ADD PRIMARY KEY (order_id) DEFERRABLE",
      "ALTER TABLE contract_orders DROP CONSTRAINT contract_orders_pkey, ADD PRIMARY KEY (order_id)",
    ],
  ];
  for (const [code, breaks, mends] of stops)
    test(`for the table's sake stops with ${code} and the command that mends it`, async () => {
      await sql(breaks);
      const outcome = await among();
      await sql(mends);
      assert.equal(endOf(outcome), "stop", text(outcome));
      assert.match(text(outcome), new RegExp(`${code} .*: npx millrace tables plan`));
      assert.equal(endOf(await among()), "written");
    });

  test("while a trigger waits for a lock or for too long is waited for", async () => {
    await sql("CREATE TABLE app.locked (n integer); INSERT INTO app.locked VALUES (1)");
    const rival = await fixture.database.connect();
    await rival.query("BEGIN; SELECT FROM app.locked FOR UPDATE");
    for (const [code, statement] of [
      ["55P03", "PERFORM 1 FROM app.locked FOR UPDATE NOWAIT"],
      ["57014", "PERFORM pg_sleep(5)"],
    ] as const) {
      await trigger(forBad(statement));
      const outcome = await among();
      await untrigger();
      assert.equal(endOf(outcome), said(code) === "waits" ? "wait" : "unsaid", text(outcome));
      assert.match(text(outcome), new RegExp(`${code} .*in app\\.guard\\(\\) line 1`));
    }
    await rival.query("ROLLBACK");
    await rival.end();
    await sql("DROP TABLE app.locked");
  });
});
