import assert from "node:assert/strict";
import { test } from "node:test";
import { layoutOf } from "../../../../src/engine/core/table-layout.ts";
import { compareTable, isWider } from "../../../../src/engine/provision/tables/compare.ts";
import {
  checkName,
  createIndex,
  createTable,
} from "../../../../src/engine/provision/tables/ddl.ts";
import { desiredTable, ownTables } from "../../../../src/engine/provision/tables/desired.ts";
import type { FoundTable } from "../../../../src/engine/provision/tables/found.ts";
import { contractTable } from "../../../contract/table-store.ts";

const desired = desiredTable(layoutOf(contractTable));

const asDesired = (more: Partial<FoundTable> = {}): FoundTable => ({
  isTable: true,
  kind: "r",
  keyName: "contract_orders_pkey",
  comment: null,
  columns: desired.columns.map((c) => ({ ...c, isFilled: false })),
  key: desired.key,
  indexes: [],
  uniques: [desired.key],
  checks: [{ name: "contract_orders_amount_check", comment: "declared: (amount >= 0)" }],
  hasRows: true,
  ...more,
});
const textsOf = (found: FoundTable): string[] =>
  compareTable(desired, found).map(({ text, sql }) => `${sql === null ? "refused: " : ""}${text}`);

test("makes a table from its declaration", () => {
  assert.deepEqual(createTable(desired), [
    `CREATE TABLE "public"."contract_orders" (
  "order_id" text NOT NULL,
  "amount" bigint NOT NULL,
  "updated_at" timestamp with time zone NOT NULL,
  "source_topic" text,
  "source_partition" integer,
  "source_offset" bigint NOT NULL,
  "processed_at" timestamp with time zone NOT NULL,
  CONSTRAINT "contract_orders_amount_check" CHECK ((amount >= 0)),
  PRIMARY KEY ("order_id")
)`,
    `COMMENT ON CONSTRAINT "contract_orders_amount_check" ON "public"."contract_orders" IS 'declared: (amount >= 0)'`,
    `COMMENT ON COLUMN "public"."contract_orders"."processed_at" IS 'Written by Millrace, which made this table.'`,
  ]);
});

test("gives a table without version the record's time as one", () => {
  const names = desiredTable(layoutOf({ ...contractTable, version: null })).columns.map(
    (c) => c.name,
  );
  assert.ok(names.includes("source_timestamp"));
});

test("checks the symbols of an enum and the user's own rule in one constraint", () => {
  const layout = layoutOf({
    ...contractTable,
    row: {
      format: {
        kind: "avro",
        name: "T",
        schema: {
          type: "record",
          name: "T",
          fields: [
            { name: "id", type: "string" },
            { name: "status", type: { type: "enum", name: "S", symbols: ["a", "b"] } },
          ],
        },
      },
    },
    key: ["id"],
    version: null,
    columns: { status: { check: "status <> id" } },
  });
  assert.equal(
    desiredTable(layout).columns[1]?.check,
    `("status" IN ('a', 'b')) AND (status <> id)`,
  );
});

test("keeps long generated names apart and within Postgres' limit", () => {
  const long = { ...desired, name: "t".repeat(60) };
  const names = ["a".repeat(60), `${"a".repeat(59)}b`].map((column) => checkName(long, column));
  assert.equal(new Set(names).size, 2);
  assert.ok(names.every((name) => name.length <= 60));
  assert.match(createIndex(desired, ["a", "b"]), /^CREATE INDEX "contract_orders_a_b_idx" ON/);
});

test("finds nothing to do where all is as declared", () => {
  assert.deepEqual(textsOf(asDesired()), []);
});

test("says what differs, and refuses what could lose data", () => {
  const columns = asDesired().columns;
  const without = (name: string) => columns.filter((c) => c.name !== name);
  const changed = (name: string, more: object) =>
    columns.map((c) => (c.name === name ? { ...c, ...more } : c));
  const extra = { name: "x", type: "text", nullable: false, isFilled: false, comment: null };
  const cases: readonly (readonly [Partial<FoundTable>, string])[] = [
    [{ isTable: false, kind: "v" }, "refused: something else than a table has this name: a view"],
    [{ key: [] }, "refused: primary key: expected order_id, found none"],
    [{ key: ["amount"] }, "refused: primary key: expected order_id, found amount"],
    [{ columns: without("source_topic") }, "add column source_topic text"],
    [{ columns: without("amount"), hasRows: false }, "add column amount bigint"],
    [
      { columns: without("amount") },
      "refused: add column amount bigint: it is NOT NULL, has no default, and the table has rows",
    ],
    [
      { columns: changed("amount", { type: "integer" }) },
      "amount: expected type bigint, found integer",
    ],
    [
      { columns: changed("amount", { type: "text" }) },
      "refused: amount: expected type bigint, found text",
    ],
    [{ columns: changed("amount", { nullable: true }) }, "amount: forbid null"],
    [{ columns: changed("source_topic", { nullable: false }) }, "source_topic: allow null"],
    // A comment that nobody declares is left alone, and so is a constraint of somebody else.
    [{ columns: changed("amount", { comment: "old" }) }, ""],
    [{ comment: "old" }, ""],
    [{ columns: changed("processed_at", { comment: "old" }) }, "processed_at: change the comment"],
    [{ checks: [] }, "amount: change the check"],
    [
      { checks: [{ name: "contract_orders_amount_check", comment: null }] },
      "refused: amount: another check has the name contract_orders_amount_check",
    ],
    [
      {
        checks: [...asDesired().checks, { name: "contract_orders_order_id_check", comment: null }],
      },
      "",
    ],
    [
      {
        checks: [
          ...asDesired().checks,
          { name: "contract_orders_order_id_check", comment: "declared: (true)" },
        ],
      },
      "order_id: change the check",
    ],
    [
      { columns: [...columns, extra] },
      "refused: column x is not declared, but is NOT NULL without default",
    ],
    [{ columns: [...columns, { ...extra, nullable: true }] }, ""],
    [{ columns: [...columns, { ...extra, isFilled: true }] }, ""],
  ];
  for (const [found, text] of cases) assert.equal(textsOf(asDesired(found)).join(), text);
});

test("widens a type only where every value stays what it is", () => {
  const wider = [
    ["smallint", "bigint"],
    ["real", "double precision"],
    ["numeric(10,2)", "numeric(12,2)"],
    ["numeric(10,2)", "numeric(12,4)"],
    ["numeric(10,2)", "numeric"],
    ["character varying(5)", "text"],
    ["character varying(5)", "character varying(9)"],
  ];
  const narrower = [
    ["bigint", "integer"],
    ["numeric(10,2)", "numeric(10,4)"],
    ["numeric(10,2)", "numeric(10,1)"],
    ["numeric", "numeric(10,2)"],
    ["text", "character varying(9)"],
    ["character varying", "character varying(9)"],
    ["character varying(9)", "character varying(5)"],
    ["text", "uuid"],
    ["bigint", "timestamp with time zone"],
  ];
  for (const [from = "", to = ""] of wider) assert.ok(isWider(from, to), `${from} → ${to}`);
  for (const [from = "", to = ""] of narrower) assert.ok(!isWider(from, to), `${from} → ${to}`);
});

test("keeps our own tables in a schema of their own", () => {
  assert.deepEqual(
    ownTables.map(({ schema, name }) => `${schema}.${name}`),
    ["millrace.progress", "millrace.letters", "millrace.runs"],
  );
});
