import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { faults, scenarios } from "../chaos/catalogue.ts";
import { reliabilityText, reportFile } from "../reliability/report.ts";
import { readResults } from "../reliability/results.ts";
import { mutations } from "../simulation/mutations.ts";

/** Rows of the fault matrix that can be struck here; the others need windows, a full disk, certificates or a backfill. */
const ROWS = [
  ...[1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 21, 23, 24, 25, 26],
  ...[28, 29, 30, 31, 32, 33, 35, 36, 37, 38, 39, 40, 41, 42, 44, 46, 47],
];

test("the report is what the results give", () => {
  assert.equal(readFileSync(reportFile, "utf8"), reliabilityText(readResults()));
});

test("every row of the matrix can be struck, and was", () => {
  const known = [...faults, ...scenarios].map(({ row }) => row);
  assert.deepEqual(
    known.sort((a, b) => a - b),
    ROWS,
  );
  const struck = new Set(
    readResults().chaos.flatMap(({ rows }) =>
      rows.filter(({ fired }) => fired > 0).map(({ row }) => row),
    ),
  );
  assert.deepEqual(
    ROWS.filter((row) => !struck.has(row)),
    [],
  );
});

test("every deliberate mistake has a result, and was caught", () => {
  const { mistakes } = readResults();
  const names = (all: readonly { readonly name: string }[]): string[] =>
    all.map(({ name }) => name).sort();
  assert.deepEqual(names(mistakes), names(mutations));
  assert.ok(mistakes.every(({ by }) => by !== null));
});
