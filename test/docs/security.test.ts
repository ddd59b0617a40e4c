// The page on security names every topic that a pipeline has for itself, and every code by which foreign content is refused.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { avro, json, pipeline, postgresTable, string, topic } from "#engine";
import { isErrorCode } from "../../src/engine/core/error-table.ts";
import { things, type Thing } from "../support/plans.ts";

const text = readFileSync(join(import.meta.dirname, "../../docs/security.md"), "utf8");
const section = text.split("## Who may write which internal topic")[1]?.split("\n## ")[0] ?? "";
/** The names in the first column. */
const names = section
  .split("\n")
  .filter((line) => line.startsWith("| `<"))
  .flatMap((line) =>
    [...(line.split("|")[1] ?? "").matchAll(/`([^`]+)`/g)].map(([, name]) => name),
  );

const input = things("in", 2);
const sums = topic("sums", { key: string, value: json<number>(), partitions: 2, owner: "tests" });
const rows = postgresTable<Thing>("rows", {
  row: avro<Thing>({
    type: "record",
    name: "Row",
    fields: [
      { name: "id", type: "string" },
      { name: "n", type: "int" },
    ],
  }),
  key: ["id"],
});

test("every topic that a pipeline has for itself is in the table", () => {
  const shop = pipeline("shop", ({ from }) => {
    const totals = from(input)
      .groupBy("by-id", ({ id }) => id)
      .sum("total", ({ n }) => n)
      .toStream();
    totals.to(sums);
    totals.map("as-row", (n, { key }) => ({ id: key, n })).upsertInto(rows);
  });
  const { topics } = shop.plan();
  const own = [...topics.internal.map(({ name }) => name), ...topics.own, ...topics.late];
  assert.ok(own.length >= 7, own.join());
  const patterns = names.map((name = "") => {
    const escaped = name.replace("<pipeline>", "shop").replaceAll(/<[a-z]+>/g, "[a-z_-]+");
    return new RegExp(`^${escaped}$`);
  });
  for (const name of own)
    assert.ok(
      patterns.some((pattern) => pattern.test(name)),
      name,
    );
});

test("the codes that it names are codes, and those of foreign content are all named", () => {
  const named = new Set([...section.matchAll(/MILL_[A-Z_]+/g)].map(([code]) => code));
  for (const code of named) assert.ok(isErrorCode(code), code);
  for (const code of [
    ...["MILL_STATE_CHANGELOG", "MILL_STATE_ENTRY", "MILL_PROGRESS_INVALID"],
    ...["MILL_OUTBOX_INVALID", "MILL_RUN_INVALID", "MILL_REDRIVE_UNPROVEN"],
  ])
    assert.ok(named.has(code), code);
});
