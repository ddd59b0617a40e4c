// The exit codes that errors end with.
import assert from "node:assert/strict";
import { test } from "node:test";
import type { ErrorCode } from "../../../src/engine/core/error-table.ts";
import { ConfigErrors, MillraceError } from "../../../src/engine/core/errors.ts";
import { exitCodeOf } from "../../../src/engine/core/exit-codes.ts";

const problems = (...codes: ErrorCode[]): ConfigErrors =>
  new ConfigErrors(codes.map((code) => new MillraceError(code, "x")));

test("a right that is missing ends with 4, alone and among its like, and with 78 beside other problems", () => {
  const codes = ["MILL_KAFKA_AUTH", "MILL_POSTGRES_AUTH", "MILL_REDIS_AUTH"] as const;
  for (const code of [...codes, "MILL_REGISTRY_AUTH"] as const)
    assert.equal(exitCodeOf(new MillraceError(code, "x")), 4, code);
  assert.equal(exitCodeOf(problems(...codes)), 4);
  assert.equal(exitCodeOf(problems(...codes, "MILL_TABLE_MISSING")), 78);
});
