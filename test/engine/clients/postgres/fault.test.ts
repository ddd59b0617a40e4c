import assert from "node:assert/strict";
import { test } from "node:test";
import pg from "pg";
import { PostgresError, translate } from "../../../../src/engine/clients/postgres/fault.ts";
import { postgresPool } from "../../../../src/engine/clients/postgres/pool.ts";

const ADDRESS = "db:5432/shop";

const serverError = (code: string, facts: Partial<pg.DatabaseError> = {}): pg.DatabaseError =>
  Object.assign(new pg.DatabaseError("Secret in the message", 0, "error"), {
    code,
    detail: "Key (id)=(Secret) already exists.",
    ...facts,
  });
const faultOf = (error: unknown): PostgresError => {
  const translated = translate(error, ADDRESS);
  assert.ok(translated instanceof PostgresError, String(translated));
  return translated;
};

const classes: Readonly<Record<string, readonly string[]>> = {
  "transient MILL_POSTGRES_UNAVAILABLE retry":
    "08000 08006 08P01 53100 53200 53300 57014 57P01 57P02 57P03 57P05 55P03 40001 40P01 25006 25P03 58030".split(
      " ",
    ),
  "row MILL_SINK_REFUSED dead-letter":
    "22001 22003 22P02 22021 22P05 23502 23503 23505 23514 21000 54000 P0001 09000 44000 45000 99999 ABCDE".split(
      " ",
    ),
  "stop MILL_TABLE_DIFFERS halt": "42703 42P01 42804 42P10 3F000".split(" "),
  "stop MILL_POSTGRES_AUTH halt": "28000 28P01 42501".split(" "),
  "stop MILL_POSTGRES_REFUSED halt": "42601 3D000 0A000 XX000 25P02 XX001".split(" "),
};
for (const [expected, states] of Object.entries(classes))
  test(`answers ${expected} to ${states.join(" ")}`, () => {
    for (const state of states) {
      const { facts, code, disposition } = faultOf(serverError(state));
      assert.equal(`${facts.fault} ${code} ${disposition}`, expected, state);
    }
  });

test("names column and constraint, and never what Postgres quotes", () => {
  const error = serverError("23505", { table: "orders", constraint: "orders_pkey" });
  const { message, cause } = faultOf(error);
  assert.equal(
    message,
    `Postgres refused the row: 23505 unique violation, table orders, constraint orders_pkey, at ${ADDRESS}`,
  );
  assert.equal(cause, undefined);
  for (const state of Object.values(classes).flat())
    if (!/^42(703|P01|501)$/.test(state))
      assert.doesNotMatch(JSON.stringify(faultOf(serverError(state))), /Secret/);
});

test("takes a RAISE or a policy for the row's, whatever its code, and one that says come again with patience", () => {
  const told = (code: string, routine: string, where?: string): string => {
    const { facts, code: ours } = faultOf(
      serverError(code, { routine, ...(where ? { where } : {}) }),
    );
    return [facts.fault, facts.doubt ?? "sure", ours].join(" ");
  };
  for (const code of ["45000", "42P01", "XX001", "28000", "0A000"])
    assert.equal(told(code, "exec_stmt_raise"), "row sure MILL_SINK_REFUSED");
  for (const code of ["40001", "57014", "08006", "HV00N"])
    assert.equal(told(code, "exec_stmt_raise"), "transient patience MILL_POSTGRES_UNAVAILABLE");
  for (const code of ["42501", "44000"])
    assert.equal(told(code, "ExecWithCheckOptions"), "row sure MILL_SINK_REFUSED");
  const where = "PL/pgSQL function f() line 1 at SQL statement";
  assert.equal(told("42P01", "parserOpenTable"), "stop others MILL_TABLE_DIFFERS");
  assert.equal(told("42P01", "parserOpenTable", where), "stop others MILL_TABLE_TRIGGER");
  assert.equal(told("XX001", "any"), "stop sure MILL_POSTGRES_REFUSED");
});

test("names the innermost function, and nothing else of what the context quotes", () => {
  const of = (where: string): string =>
    faultOf(serverError("42P01", { routine: "parserOpenTable", where })).facts.detail;
  const contexts: readonly (readonly [string, string])[] = [
    ["PL/pgSQL function app.f() line 3 at SQL statement", "in app.f() line 3"],
    [
      'SQL statement "SELECT Secret"\nPL/pgSQL function f(text,integer) line 12 at PERFORM',
      "in f(text,integer) line 12",
    ],
    ["PL/pgSQL function app.f()", "in app.f()"],
    ['PL/Python function "g"', "in g"],
    ['SQL function "h" statement 2\nPL/pgSQL function f() line 1 at PERFORM', "in h"],
    ["PL/pgSQL-Funktion f() Zeile 3 bei RAISE", "in a function"],
    ['PL/pgSQL function "Secret fn"() line 1 at RAISE', "in a function"],
  ];
  for (const [where, name] of contexts) {
    assert.equal(of(where), `42P01 no such table, ${name}`);
    assert.doesNotMatch(of(where), /Secret/);
  }
  // The constraint or the column that a RAISE names is the user's own text.
  const facts = { routine: "exec_stmt_raise", constraint: "Secret", where: contexts[0]?.[0] };
  assert.equal(
    faultOf(serverError("45000", facts)).facts.detail,
    "45000 refused, raised by app.f() line 3",
  );
});

test("takes a broken network for transient, with its name", () => {
  for (const code of ["ECONNREFUSED", "ECONNRESET", "ETIMEDOUT", "ENOTFOUND", "EPIPE"]) {
    const { facts, message } = faultOf(Object.assign(new Error("connect"), { code }));
    assert.equal(facts.fault, "transient");
    assert.match(message, new RegExp(`${code}, at ${ADDRESS}`));
  }
  for (const text of [
    "Connection terminated unexpectedly",
    "timeout exceeded when trying to connect",
    "Query read timeout",
    "Client has encountered a connection error and is not queryable",
  ])
    assert.equal(faultOf(new Error(text)).facts.fault, "transient", text);
});

test("stops at a certificate or a password that will not become right", () => {
  for (const code of [
    "CERT_HAS_EXPIRED",
    "DEPTH_ZERO_SELF_SIGNED_CERT",
    "ERR_TLS_CERT_ALTNAME_INVALID",
  ])
    assert.equal(faultOf(Object.assign(new Error("x"), { code })).facts.fault, "stop");
  const sasl = "SASL: SCRAM-SERVER-FIRST-MESSAGE: client password must be a string";
  const noTls = "The server does not support SSL connections";
  assert.equal(faultOf(new Error(sasl)).code, "MILL_POSTGRES_AUTH");
  assert.equal(faultOf(new Error(noTls)).code, "MILL_POSTGRES_REFUSED");
});

test("leaves a bug of ours as it is", () => {
  const bug = new TypeError("x is not a function");
  assert.equal(translate(bug, ADDRESS), bug);
});

test("refuses an address that is none, without repeating it", () => {
  for (const url of ["db:5432/shop", "http://user:hunter2@db/shop", ""])
    assert.throws(
      () => postgresPool({ url }),
      (error: Error) => /DATABASE_URL/.test(error.message) && !/hunter2/.test(error.message),
    );
  assert.equal(postgresPool({ url: "postgres://u:p@db/shop" }).address, "db:5432/shop");
});
