// docs/cases.md names the test of each small input that once failed.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { faultsOf, namedRows } from "./named-tests.ts";

const text = readFileSync(join(import.meta.dirname, "../../docs/cases.md"), "utf8");
const sections = [...text.matchAll(/^## (.+)$/gm)].map(([, heading = ""]) => heading);

test("every case names a test that is there, by its file and its title", () => {
  const rows = sections.flatMap((section) => namedRows(text, section));
  assert.deepEqual(
    rows.map(({ rule }) => rule),
    [
      ...["K1", "K2", "K3", "T1", "T2", "A1", "A2", "A3", "A4", "A5", "A6", "A7", "A8"],
      ...["J1", "J2", "J3", "J4", "J5", "J6", "P1", "P2", "P3", "P4", "S1", "S2", "S3", "S4", "S5"],
    ],
  );
  assert.deepEqual(rows.flatMap(faultsOf), []);
  for (const { rule, tests } of rows)
    assert.ok(
      tests.some(({ titles }) => titles.length > 0),
      rule,
    );
});
