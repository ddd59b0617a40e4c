// The settings of role, database and address for a session hold for the user's triggers as they do by hand, and never
// break what we write and read.
import assert from "node:assert/strict";
import { after, before, beforeEach, describe, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { postgresPool, type PostgresPool } from "../../../src/engine/clients/postgres/pool.ts";
import { emptyLedger } from "../../../src/engine/core/ledger.ts";
import type { PendingLetter } from "../../../src/engine/core/ports.ts";
import { avro } from "../../../src/engine/define/schema.ts";
import { postgresTable } from "../../../src/engine/define/table.ts";
import { planTables } from "../../../src/engine/provision/tables/tables.ts";
import { postgresTableStore } from "../../../src/engine/sinks/postgres/table-store.ts";
import { postgresFixture, stillClock, type PostgresFixture } from "./fixture.ts";

const ROLE = `set_${String(process.pid)}`;

interface Kinds {
  readonly id: string;
  readonly note: string | null;
  readonly at: number;
}

const kinds = postgresTable("kinds", {
  row: avro<Kinds>({
    type: "record",
    name: "Kinds",
    fields: [
      { name: "id", type: "string" },
      { name: "note", type: ["null", "string"] },
      { name: "day", type: { type: "int", logicalType: "date" } },
      { name: "at", type: { type: "long", logicalType: "timestamp-millis" } },
      { name: "raw", type: "bytes" },
      { name: "half", type: "double" },
    ],
  }),
  key: ["id"],
  version: "at",
  columns: { note: { default: "'It\\s'" } },
  description: "It's a \\ and a '.",
});

describe("a session", () => {
  let fixture: PostgresFixture;
  let database = "";
  const sql = (text: string): Promise<object[]> => fixture.database.query(text);
  before(async () => {
    fixture = await postgresFixture([kinds]);
    database = new URL(fixture.database.url).pathname.slice(1);
    await sql(`CREATE ROLE ${ROLE} LOGIN PASSWORD 'right'; CREATE SCHEMA app; CREATE SCHEMA evil;
      CREATE TABLE app.audit_log (id text, day text, path text);
      CREATE FUNCTION app.audit() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
        INSERT INTO audit_log VALUES (NEW.id, NEW.day::text, current_setting('search_path')); RETURN NULL; END $$`);
    await sql(`GRANT USAGE ON SCHEMA app, evil, millrace TO ${ROLE};
      GRANT ALL ON ALL TABLES IN SCHEMA app, public, millrace TO ${ROLE}`);
  });
  beforeEach(() =>
    sql(`ALTER ROLE ${ROLE} RESET ALL; ALTER DATABASE ${database} RESET ALL;
      DROP TRIGGER IF EXISTS audit ON kinds; TRUNCATE app.audit_log, kinds`),
  );
  after(async () => {
    await sql(`DROP OWNED BY ${ROLE}; DROP ROLE ${ROLE}`);
    await fixture.close();
  });

  const poolOf = (options = ""): PostgresPool => {
    const url = new URL(fixture.database.url);
    url.username = ROLE;
    url.password = "right";
    if (options !== "") url.searchParams.set("options", options);
    return postgresPool({ url: url.href });
  };

  let tasks = 0;
  const owed: PendingLetter = {
    ...{ id: "one", topic: "letters", partition: 0, timestamp: 1_700_000_000_123 },
    ...{ key: Buffer.from("k\\'"), value: Buffer.from([0, 92, 39, 200, 255]), headers: [] },
  };
  const AT = Date.parse("2026-02-03T04:05:06.789Z");
  const values = (id: string) => [id, null, "2026-02-03", AT, Buffer.from([0, 92, 255]), 0.1 + 0.2];

  /** Writes a row, an older one and a letter, and reads all back: as on any other session. */
  const works = async (pool: PostgresPool): Promise<void> => {
    const store = postgresTableStore(pool, kinds, { clock: stillClock });
    const topic = `settings-${String(++tasks)}`;
    const task = { pipeline: "settings", part: "kinds", topic, partition: 0 };
    const { epoch } = await store.takeOver(task, () => Promise.resolve(0n));
    const commit = (from: bigint, id: string) =>
      store.commit({
        ...{ task, epoch, expectedOffset: from, nextOffset: from + 1n, letters: [owed] },
        rows: [{ values: values(id), index: 0, offset: 5n, timestamp: 0 }],
        refused: (_, { message }) => assert.fail(message),
        ledger: emptyLedger,
      });
    assert.deepEqual([...(await commit(0n, topic)).written], [0]);
    assert.deepEqual([...(await commit(1n, topic)).stale], [0]);
    assert.deepEqual(await store.pendingLetters(task, 10), [owed]);
    await store.forget(task, ["one"]);
    assert.deepEqual(await store.pendingLetters(task, 10), []);
    assert.equal((await store.progress(task))?.nextOffset, 2n);
    const [row] = await sql(`SELECT note, day = '2026-02-03' AS day, encode(raw, 'hex') AS raw,
      extract(epoch FROM at)::text AS at, half = 0.1::float8 + 0.2::float8 AS half FROM kinds WHERE id = '${topic}'`);
    assert.deepEqual(row, {
      note: null,
      day: true,
      raw: "005cff",
      at: `${String(AT / 1_000)}000`,
      half: true,
    });
    const plans = await planTables([kinds], pool);
    assert.deepEqual(
      plans.flatMap(({ table, steps }) => steps.map(({ text }) => `${table}: ${text}`)),
      [],
    );
  };

  const settings: Readonly<Record<string, string>> = {
    search_path: "app",
    DateStyle: "German, DMY",
    TimeZone: "Asia/Kathmandu",
    IntervalStyle: "iso_8601",
    bytea_output: "escape",
    standard_conforming_strings: "off",
    array_nulls: "off",
    client_encoding: "LATIN1",
    extra_float_digits: "-10",
    default_transaction_isolation: "serializable",
    default_transaction_deferrable: "on",
    statement_timeout: "200ms",
    lock_timeout: "1ms",
    idle_in_transaction_session_timeout: "1ms",
    idle_session_timeout: "50ms",
    row_security: "off",
    quote_all_identifiers: "on",
    transform_null_equals: "on",
    synchronous_commit: "off",
    plan_cache_mode: "force_generic_plan",
    xmloption: "document",
    backslash_quote: "off",
    escape_string_warning: "on",
  };
  for (const [name, value] of Object.entries(settings))
    test(`works whatever ${name} is for role, database or address`, async (t) => {
      const sets = [
        () => sql(`ALTER ROLE ${ROLE} SET ${name} = '${value}'`),
        () =>
          sql(`ALTER ROLE ${ROLE} RESET ALL; ALTER DATABASE ${database} SET ${name} = '${value}'`),
        () => sql(`ALTER DATABASE ${database} RESET ALL`),
      ];
      for (const [i, set] of sets.entries()) {
        await set();
        const pool = poolOf(i === 2 ? `-c ${name}=${value.replaceAll(" ", "\\ ")}` : "");
        t.after(() => pool.close());
        await works(pool);
        if (name === "idle_session_timeout") await sleep(150);
        if (name === "statement_timeout")
          await pool.transaction((session) => session.query("SELECT pg_sleep(0.3)"));
        await works(pool);
      }
    });

  test("finds what a trigger names by the search_path of role, database or address, as by hand", async (t) => {
    await sql(
      "CREATE TRIGGER audit AFTER INSERT ON kinds FOR EACH ROW EXECUTE FUNCTION app.audit()",
    );
    const sets = [
      () => sql(`ALTER ROLE ${ROLE} SET search_path = app, public`),
      () =>
        sql(
          `ALTER ROLE ${ROLE} RESET ALL; ALTER DATABASE ${database} SET search_path = app, public`,
        ),
      () => sql(`ALTER DATABASE ${database} RESET ALL`),
    ];
    for (const [i, set] of sets.entries()) {
      await set();
      const pool = poolOf(i === 2 ? "-c search_path=app,public" : "");
      t.after(() => pool.close());
      await works(pool);
    }
    const found = await sql(
      "SELECT count(*)::integer AS n, count(DISTINCT id)::integer AS ids FROM app.audit_log",
    );
    assert.deepEqual(found, [{ n: 3, ids: 3 }]);
  });

  test("cannot be given other functions, operators or tables in place of ours by a search_path", async (t) => {
    await sql(`CREATE FUNCTION evil.unnest(text[]) RETURNS SETOF text LANGUAGE sql AS $$ SELECT 'evil' $$;
      CREATE FUNCTION evil.count() RETURNS bigint LANGUAGE sql AS $$ SELECT 0::bigint $$;
      CREATE FUNCTION evil.never(varchar, text) RETURNS boolean LANGUAGE sql AS $$ SELECT false $$;
      CREATE FUNCTION evil.hashtextextended(text, integer) RETURNS bigint LANGUAGE sql AS $$ SELECT 1/0::bigint $$;
      CREATE OPERATOR evil.= (LEFTARG = varchar, RIGHTARG = text, FUNCTION = evil.never);
      CREATE TABLE evil.kinds (); CREATE TABLE evil.progress (); CREATE TABLE evil.letters ()`);
    const pool = poolOf("-c search_path=evil,public");
    t.after(() => pool.close());
    await works(pool);
    const lock = await pool.lock("mine");
    assert.notEqual(lock, null);
    await lock?.release();
  });

  test("with a search_path on which built-ins mean something else is refused with a sentence", async (t) => {
    const pool = poolOf("-c search_path=app,pg_catalog");
    t.after(() => pool.close());
    await works(pool);
    await sql(`CREATE FUNCTION evil.never(text, text) RETURNS boolean LANGUAGE sql AS $$ SELECT false $$;
      CREATE OPERATOR evil.= (LEFTARG = text, RIGHTARG = text, FUNCTION = evil.never)`);
    const bad = poolOf("-c search_path=evil,pg_catalog,public");
    t.after(() => bad.close());
    await assert.rejects(bad.query("SELECT 1"), (error: Error) => {
      assert.match(
        error.message,
        /search_path: evil\.= stands before the built-in of that name; put pg_catalog first: ALTER ROLE set_\d+ SET search_path = pg_catalog, evil, public/,
      );
      return true;
    });
    await sql("DROP OPERATOR evil.= (text, text)");
  });

  test("that may only read waits, and says which setting that may be", async (t) => {
    await sql(`ALTER ROLE ${ROLE} SET default_transaction_read_only = on`);
    const pool = poolOf();
    t.after(() => pool.close());
    await assert.rejects(works(pool), {
      code: "MILL_POSTGRES_UNAVAILABLE",
      message: /default_transaction_read_only/,
    });
  });
});
